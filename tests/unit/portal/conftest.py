"""The archive that the pages are tested on is the one that the interface is tested on."""

from unit.api.conftest import served, served_archive

__all__ = ["served", "served_archive"]
