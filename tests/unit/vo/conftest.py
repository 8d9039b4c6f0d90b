"""The archive that the protocols are tested on is the one that the interface is tested on, and what they know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.rows import declared_columns
from fink.config import VoSettings
from fink.vo.execution import Answer, answer
from fink.vo.tables import Table, public_tables
from unit.api.conftest import served_archive

__all__ = ["served_archive"]

Ask = Callable[..., Answer]


@pytest.fixture(scope="session")
def tables() -> Mapping[str, Table]:
    """The tables of the real vocabulary."""
    return public_tables(declared_columns())


@pytest.fixture(scope="session")
def archive(served_archive: Path) -> Iterator[EmbeddedArchive]:
    """Read the archive of the simulated nights."""
    with EmbeddedArchive.reader(served_archive) as reader:
        yield reader


@pytest.fixture(scope="session")
def ask(archive: EmbeddedArchive, tables: Mapping[str, Table]) -> Ask:
    """Give what answers an ADQL query."""

    def asked(text: str, rows: int = 10_000, **limits: Any) -> Answer:
        return answer(archive, tables, text, rows, VoSettings.model_validate(limits))

    return asked
