"""The ``fink`` command: one word per use case, a table to a person, one JSON document with ``--format json``."""

from fink.cli import (
    archives,
    catalogues,
    crossmatches,
    deliveries,
    demos,
    lookups,
    plans,
    runs,
    servers,
    serving,
    substreams,
    tables,
    tokens,
    transfers,
)
from fink.cli.application import app, main

__all__ = [
    "app",
    "archives",
    "catalogues",
    "crossmatches",
    "deliveries",
    "demos",
    "lookups",
    "main",
    "plans",
    "runs",
    "servers",
    "serving",
    "substreams",
    "tables",
    "tokens",
    "transfers",
]
