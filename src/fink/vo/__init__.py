"""The Virtual Observatory's protocols: cone search, TAP with ADQL, DataLink; thin, over the archive and the services."""
