"""Use cases on top of the archive and the plan: no HTTP and no SQL inside."""
