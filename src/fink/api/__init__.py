"""The REST interface: arguments in, a service called, answers out; one set of routes under each survey's name."""
