"""An alert batch: many alerts of one survey in columns, their light curves, and their packets as they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.lightcurves import LightCurves, concatenate_rows

PADDING = 8192
"""Readable bytes that follow the last packet in a buffer, so that kernels may read a little ahead."""

STAMPS = ("science", "template", "difference")
"""The stamps that a packet may carry."""


@dataclass(frozen=True)
class Packets:
    """The bytes of ``n`` Avro records as their survey wrote them, in one buffer.

    Parameters
    ----------
    buffer
        uint8, with at least `PADDING` bytes after the last record.
    starts, ends
        (n,) int64, where each record's body begins and ends (framing and container headers excluded).
    schema
        (n,) int32, index into `schemas`.
    schemas
        The writers' schemas as JSON text, minified or not, as they were met.
    """

    buffer: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    schema: NDArray[np.int32]
    schemas: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: NDArray[Any]) -> Self:
        """Give the packets of these rows; the buffer is shared, not copied."""
        return replace(self, starts=self.starts[rows], ends=self.ends[rows], schema=self.schema[rows])

    def body(self, row: int) -> bytes:
        """Give the bytes of one record."""
        return self.buffer[self.starts[row] : self.ends[row]].tobytes()

    @classmethod
    def from_bodies(cls, bodies: Sequence[bytes], schema: bytes) -> Self:
        """Join single records of one schema."""
        ends = np.cumsum([len(body) for body in bodies], dtype=np.int64)
        starts = ends - np.array([len(body) for body in bodies], dtype=np.int64)
        buffer = np.frombuffer(b"".join(bodies) + bytes(PADDING), np.uint8)
        return cls(buffer, starts, ends, np.zeros(len(bodies), np.int32), (schema,))


@dataclass(frozen=True)
class Cutouts:
    """Where the stamps of ``n`` alerts lie; nothing is unpacked until something asks (`fink.codecs.cutouts`).

    Parameters
    ----------
    start, length
        (n, 3) int64, byte ranges into the packets' buffer of the science, template and difference stamp;
        length 0 where the packet carries none.
    unpacked
        What was unpacked already, by start, length and plane; None where nothing is to be remembered.
    """

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    unpacked: dict[tuple[int, int, str], Any] | None = field(default=None, compare=False, repr=False)

    def remembering(self) -> Self:
        """Give the same ranges with a memory of what is unpacked, which all rows taken from them share."""
        return replace(self, unpacked={})

    def take(self, rows: NDArray[Any]) -> Self:
        """Give the ranges of these rows."""
        return replace(self, start=self.start[rows], length=self.length[rows])

    @classmethod
    def none(cls, n: int) -> Self:
        """Make the ranges of ``n`` alerts that carry no stamps."""
        return cls(np.zeros((n, 3), np.int64), np.zeros((n, 3), np.int64))


@dataclass(frozen=True)
class AlertBatch:
    """``n`` alerts of one survey.

    Parameters
    ----------
    survey
        Name of the survey.
    alerts
        ``n`` rows: the core vocabulary, the survey's own columns, and what modules have added.
    lightcurves
        ``n`` light curves, in time order, the alert's own detection included.
    packets
        ``n`` records as they came.
    cutouts
        Where the stamps lie in them.
    """

    survey: str
    alerts: pa.Table
    lightcurves: LightCurves
    packets: Packets
    cutouts: Cutouts

    def __len__(self) -> int:
        return int(self.alerts.num_rows)

    def take(self, rows: NDArray[Any]) -> Self:
        """Give these rows, in this order."""
        index = np.ascontiguousarray(rows, np.int64)
        return replace(
            self,
            alerts=self.alerts.take(pa.array(index)),
            lightcurves=self.lightcurves.take(index),
            packets=self.packets.take(index),
            cutouts=self.cutouts.take(index),
        )

    def with_columns(self, added: dict[str, pa.Array]) -> Self:
        """Give the batch with columns added or replaced."""
        # one new table: adding column by column copies the list of columns each time
        arrays: dict[str, Any] = dict(zip(self.alerts.column_names, self.alerts.columns, strict=True)) | added
        fields = {field.name: field for field in self.alerts.schema} | {name: pa.field(name, values.type) for name, values in added.items()}
        alerts = pa.Table.from_arrays(list(arrays.values()), schema=pa.schema(list(fields.values()), self.alerts.schema.metadata))
        return replace(self, alerts=alerts)


def concatenate(parts: Sequence[AlertBatch]) -> AlertBatch:
    """Put batches of one survey under one another; their packets share one buffer.

    Raises
    ------
    ValueError
        If the batches are of different surveys or their packets lie in different buffers.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    if any(p.survey != first.survey or p.packets.buffer is not first.packets.buffer for p in parts):
        raise ValueError("batches of different surveys or buffers cannot be put under one another")
    packets = replace(
        first.packets,
        starts=np.concatenate([p.packets.starts for p in parts]),
        ends=np.concatenate([p.packets.ends for p in parts]),
        schema=np.concatenate([p.packets.schema for p in parts]),
    )
    cutouts = Cutouts(np.concatenate([p.cutouts.start for p in parts]), np.concatenate([p.cutouts.length for p in parts]))
    alerts = pa.concat_tables([p.alerts for p in parts]).combine_chunks()
    return AlertBatch(first.survey, alerts, concatenate_rows([p.lightcurves for p in parts]), packets, cutouts)
