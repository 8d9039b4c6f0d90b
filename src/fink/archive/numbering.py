"""Small numbers that stand for names in keys and packed values: surveys, bands, row formats. A number is given once, for good."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from fink.archive.index import Changes, Store
from fink.archive.rows import RowFormat
from fink.errors import ArchiveError

_SURVEYS, _BANDS, _FORMAT = b"surveys", b"bands\0", b"format\0"


class Numbering:
    """The numbers that an archive has given.

    Parameters
    ----------
    store
        The index; new numbers are written with the commit that needs them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed: dict[bytes, bytes] = {}
        self.forget()

    def forget(self) -> None:
        """Go back to what the index holds: a commit failed, or the writer has gone on."""
        self._changed.clear()
        self.surveys: list[str] = orjson.loads(self._store.get("meta", _SURVEYS) or b"[]")
        self.bands: dict[str, list[str]] = {
            key[len(_BANDS) :].decode(): orjson.loads(value) for key, value in self._store.scan_prefix("meta", _BANDS)
        }
        found = self._store.scan_prefix("meta", _FORMAT)
        self.formats = [RowFormat.from_bytes(number, value) for number, (_, value) in enumerate(found)]

    def put(self, changes: Changes) -> None:
        """Add new numbers to a commit."""
        for key, value in self._changed.items():
            changes.put("meta", key, value)

    def settle(self) -> None:
        """Say that the commit was written."""
        self._changed.clear()

    def survey(self, name: str) -> int:
        """Give the number of a survey, a new one where it has none."""
        if name not in self.surveys:
            self.surveys.append(name)
            self._changed[_SURVEYS] = orjson.dumps(self.surveys)
        return self.surveys.index(name)

    def known_survey(self, name: str) -> int | None:
        """Give the number of a survey, None where the archive holds nothing of it."""
        return self.surveys.index(name) if name in self.surveys else None

    def band_numbers(self, survey: str, names: Sequence[str]) -> NDArray[np.int8]:
        """Give the archive's number of each band, new ones where there are none.

        Raises
        ------
        ArchiveError
            If a survey has more than 127 bands.
        """
        known = self.bands.setdefault(survey, [])
        new = [name for name in names if name not in known]
        if new:
            known += new
            self._changed[_BANDS + survey.encode()] = orjson.dumps(known)
        if len(known) > 127:
            raise ArchiveError(f"the survey {survey} has {len(known)} bands; an archive holds 127 at most")
        return np.array([known.index(name) for name in names], np.int8)

    def band_indices(self, survey: str, names: Sequence[str]) -> NDArray[np.int8]:
        """Give the index in ``names`` of each of the archive's numbers, -1 where it is not among them."""
        return np.array([names.index(name) if name in names else -1 for name in self.bands.get(survey, [])], np.int8)

    def row_format(self, table: pa.Table, indexed: frozenset[str]) -> RowFormat:
        """Give the format of a table's indexed columns, a new one where no equal one exists."""
        wanted = RowFormat.of_table(len(self.formats), table, indexed)
        for known in self.formats:
            if known.columns == wanted.columns:
                return known
        self.formats.append(wanted)
        self._changed[_FORMAT + wanted.number.to_bytes(2, "big")] = wanted.to_bytes()
        return wanted
