"""The files of an installed catalogue, written a part at a time from sources that come in order; read by `fink.catalogs.store`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from fink.catalogs.kernel import DEEPEST
from fink.catalogs.match import Tier

PLACE = ("_ra", "_dec")
MOTION = ("_pm_ra", "_pm_dec")
SHAPE = ("_radius", "_axis_ratio", "_position_angle")


class Writer(Protocol):
    """Writes its part of every batch of sources to files of its own."""

    def write(self, at: int, batch: pa.RecordBatch) -> None:
        """Write the rows from ``at`` on."""

    def close(self) -> None:
        """Finish the files."""


class BlockWriter:
    """Writes some columns of numbers as one array, (n, k); an empty one where the batches do not have them."""

    def __init__(self, path: Path, names: Sequence[str], there: bool, n: int, kind: type) -> None:
        self._names = names if there else ()
        self._array = _new_array(path, (n if there else 0, len(names)), kind)

    def write(self, at: int, batch: pa.RecordBatch) -> None:
        """Write the rows from ``at`` on."""
        for i, name in enumerate(self._names):
            self._array[at : at + batch.num_rows, i] = batch[name].to_numpy(zero_copy_only=False)

    def close(self) -> None:
        """Write what is still in memory."""
        _flush(self._array)


class TableWriter:
    """Counts the sources of each pixel, and makes of it where each pixel's sources begin."""

    def __init__(self, path: Path, tiers: Sequence[Tier]) -> None:
        self._tiers = tiers
        self._by_number: dict[int, Tier] = {}
        self._offsets = _new_array(path, (sum(table_length(tier) for tier in tiers),), np.int64)

    def write(self, at: int, batch: pa.RecordBatch) -> None:
        """Count the sources of a batch; pixels of one tier come in order."""
        cells, numbers = batch["_cell"].to_numpy(), batch["_tier"].to_numpy()
        for number in np.unique(numbers).tolist():
            # tiers come in order, so the first number that is seen is that of the first
            tier = self._by_number.setdefault(number, self._tiers[min(len(self._by_number), len(self._tiers) - 1)])
            pixels, counts = np.unique(cells[numbers == number] >> (2 * (DEEPEST - tier.order)), return_counts=True)
            self._offsets[tier.start + 1 + pixels] += counts

    def close(self) -> None:
        """Turn counts into rows."""
        before = 0
        for tier in self._tiers:
            end = tier.start + table_length(tier)
            for begin in range(tier.start, end, _AT_ONCE):
                part = self._offsets[begin : min(begin + _AT_ONCE, end)]
                part[0] += before
                np.cumsum(part, out=part)
                before = int(part[-1])
        _flush(self._offsets)


_AT_ONCE = 1 << 20


def table_length(tier: Tier) -> int:
    """Give the number of entries of a tier's table: one more than its pixels."""
    return (12 << (2 * tier.order)) + 1


class NumberWriter:
    """Writes a column of numbers; of whole numbers and truth values also which are there, where some are not."""

    def __init__(self, folder: Path, name: str, n: int, kind: str) -> None:
        self._name, self._n, self._path = name, n, folder / f"{name}.valid.npy"
        self._array = _new_array(folder / f"{name}.npy", (n,), pa.type_for_alias(kind).to_pandas_dtype())
        self._valid: NDArray[Any] | None = None

    def write(self, at: int, batch: pa.RecordBatch) -> None:
        """Write the rows from ``at`` on."""
        values, rows = batch[self._name], slice(at, at + batch.num_rows)
        if self._array.dtype.kind == "f":
            self._array[rows] = values.to_numpy(zero_copy_only=False)
            return
        if values.null_count and self._valid is None:
            self._valid = _new_array(self._path, (self._n,), np.bool_)
            self._valid[:at] = True
        if self._valid is not None:
            self._valid[rows] = values.is_valid().to_numpy(zero_copy_only=False)
        self._array[rows] = values.fill_null(False if self._array.dtype == np.bool_ else 0).to_numpy(zero_copy_only=False)

    def close(self) -> None:
        """Write what is still in memory."""
        _flush(self._array)
        if self._valid is not None:
            _flush(self._valid)


class WordWriter:
    """Writes a column of few different texts as codes."""

    def __init__(self, folder: Path, name: str, n: int, words: Sequence[str]) -> None:
        self._name, self._words = name, pa.array(words, pa.string())
        self._array = _new_array(folder / f"{name}.npy", (n,), np.int16)

    def write(self, at: int, batch: pa.RecordBatch) -> None:
        """Write the rows from ``at`` on."""
        codes = pc.index_in(batch[self._name], self._words).fill_null(-1)
        self._array[at : at + batch.num_rows] = codes.to_numpy(zero_copy_only=False)

    def close(self) -> None:
        """Write what is still in memory."""
        _flush(self._array)


class TextWriter:
    """Writes a column of many different texts: their bytes one after the other, and where each begins; nothing for none."""

    def __init__(self, folder: Path, name: str, n: int) -> None:
        self._name, self._end = name, 0
        self._offsets = _new_array(folder / f"{name}.offsets.npy", (n + 1,), np.int64)
        self._file = (folder / f"{name}.text").open("wb")

    def write(self, at: int, batch: pa.RecordBatch) -> None:
        """Write the rows from ``at`` on."""
        values = batch[self._name].cast(pa.large_string()).fill_null("")
        _, offsets, data = values.buffers()
        begins = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
        if data is not None:
            self._file.write(memoryview(data)[begins[0] : begins[-1]])
        self._offsets[at + 1 : at + 1 + len(values)] = begins[1:] - begins[0] + self._end
        self._end += int(begins[-1] - begins[0])

    def close(self) -> None:
        """Finish the files."""
        self._file.close()
        _flush(self._offsets)


def _new_array(path: Path, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
    """Make an array in a file, all zero."""
    if 0 in shape:
        np.save(path, np.zeros(shape, kind))
        return np.zeros(shape, kind)
    return open_memmap(path, "w+", kind, shape)


def _flush(array: NDArray[Any]) -> None:
    if isinstance(array, np.memmap):
        array.flush()
