"""The portal: pages for people, made on the server, each with a twin in JSON for programs."""
