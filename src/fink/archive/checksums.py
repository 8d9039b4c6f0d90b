"""The checksum of a commit: SHA-256 over what it archived, chained to the commit before, and the same before and after compaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ORDER = ("mjd", "alert_id")
"""Columns by which a commit's rows are ordered."""


def row_order(alerts: pa.Table) -> NDArray[np.int64]:
    """Give the order of a commit's rows: by time, then number."""
    return np.lexsort((alerts["alert_id"].to_numpy(), alerts["mjd"].to_numpy()))


def checksum(before: str, header: Mapping[str, str], alerts: pa.Table, selections: Mapping[str, NDArray[Any]]) -> str:
    """Compute the checksum of a commit.

    Parameters
    ----------
    before
        Checksum of the commit before, empty for the first.
    header
        What else it covers: survey, night, source, plan, identities of quarantined items.
    alerts
        Its rows in their order; columns count by name, so that their order in the table does not.
    selections
        For each substream the rows that it took.
    """
    digest = hashlib.sha256(before.encode())
    for name in sorted(header):
        digest.update(f"{name}={header[name]};".encode())
    for name in sorted(alerts.column_names):
        # a column that is null throughout counts as not there: joining commits of different plans makes such columns
        if alerts[name].null_count < alerts.num_rows:
            digest.update(f"{name}:".encode())
            _add_column(digest, alerts[name])
    for name in sorted(selections):
        digest.update(f"{name}>".encode())
        digest.update(np.ascontiguousarray(selections[name], np.uint32).tobytes())
    return digest.hexdigest()


def _add_column(digest: Any, column: pa.ChunkedArray) -> None:
    """Add the values of a column, whatever Arrow keeps below its nulls."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    # most columns have none, and what follows costs more than hashing them
    some = array.null_count > 0
    digest.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes() if some else bytes((len(array) + 7) // 8))
    if array.type == pa.string():
        filled = array.fill_null("") if some else array
        offsets = np.frombuffer(filled.buffers()[1], np.int32, len(filled) + 1, filled.offset * 4)
        digest.update(np.diff(offsets).tobytes())
        if filled.buffers()[2] is not None:
            digest.update(memoryview(filled.buffers()[2])[offsets[0] : offsets[-1]])
        return
    filled = array.fill_null(False if array.type == pa.bool_() else 0) if some else array
    digest.update(np.ascontiguousarray(filled.to_numpy(zero_copy_only=False)).tobytes())
