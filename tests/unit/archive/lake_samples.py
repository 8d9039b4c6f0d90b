"""Alerts, points and packets for the tests of the lake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from fink.archive.lake import Lake
from fink.archive.segments import FileRecord
from fink.codecs.parquet import read_parquet
from fink.tables import Packets

NIGHT = 20181129


def alert_rows(commit: int, n: int = 20, **more: pa.Array) -> pa.Table:
    """Make ``n`` alerts of one commit; alert ids differ between commits, objects recur, one in five has no object."""
    rng = np.random.default_rng(commit)
    objects = [None if i % 5 == 4 else f"ZTF18{rng.integers(0, 7):07d}" for i in range(n)]
    columns = {
        "alert_id": pa.array(np.arange(n, dtype=np.int64) - 10 + 1000 * commit),
        "object_id": pa.array(objects, pa.string()),
        "survey": pa.array(["ztf"] * n),
        "mjd": pa.array(58451.0 + rng.random(n)),
        "mag": pa.array(rng.normal(19, 1, n).astype(np.float32), mask=rng.random(n) < 0.2),
        "commit": pa.array(np.full(n, commit, np.int64)),
    }
    return pa.table({**columns, **more})


def point_rows(commit: int, n: int = 50) -> pa.Table:
    """Make ``n`` points that the alerts of one commit brought."""
    rng = np.random.default_rng(1000 + commit)
    owners = alert_rows(commit).take(pa.array(rng.integers(0, 20, n)))
    columns = {
        "alert_id": owners["alert_id"],
        "object_id": owners["object_id"],
        "commit": owners["commit"],
        "mjd": pa.array(58440.0 + rng.random(n) * 10),
        "band": pa.array(rng.choice(["g", "r"], n).tolist()),
        "kind": pa.array(rng.choice(["detection", "forced", "limit"], n).tolist()),
        "flux": pa.array(rng.normal(0, 1e3, n).astype(np.float32)),
    }
    return pa.table(columns)


def some_packets(commit: int, n: int = 5, schemas: tuple[bytes, ...] = (b'{"v": 1}', b'{"v": 22}')) -> Packets:
    """Make ``n`` packets of uneven lengths, one of them empty, written with alternating schemas."""
    rng = np.random.default_rng(commit)
    bodies = [rng.bytes(int(size)) for size in [0, *rng.integers(1, 300, n - 1)]]
    packets = Packets.from_bodies(bodies, b"")
    return Packets(packets.buffer, packets.starts, packets.ends, np.arange(n, dtype=np.int32) % len(schemas), schemas)


class Published:
    """The list of files as an index would keep it: what survives a crash."""

    def __init__(self, folder: Path, compact_rows: int = 200_000, records: dict[str, FileRecord] | None = None) -> None:
        self.folder = folder
        self.compact_rows = compact_rows
        self.records = records or {}
        self.lake = self.open()

    def open(self) -> Lake:
        """Open the lake as after a start, from what was published."""
        self.lake = Lake(self.folder, writable=True, compact_rows=self.compact_rows)
        self.lake.recover(self.records)
        return self.lake

    def publish(self) -> None:
        """Sync and publish what was appended or changed."""
        self.lake.sync()
        for name, record in self.lake.unsettled().items():
            if record is None:
                self.records.pop(name, None)
            else:
                self.records[name] = record
        self.lake.settle()

    def commit(self, number: int, night: int = NIGHT) -> None:
        """Append and publish one commit's rows, points and packets."""
        self.lake.append_rows("ztf", night, alert_rows(number), commit=number)
        self.lake.append_points("ztf", night, point_rows(number), commit=number)
        self.lake.append_packets("packets", "ztf", night, some_packets(number), commit=number)
        self.publish()

    def files(self) -> set[str]:
        """Give the files that are on disk."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


def everything(lake: Lake, records: dict[str, FileRecord], kind: str) -> pa.Table:
    """Read all rows or points of the lake, from wherever they lie, in one order."""
    parts = []
    for name, record in records.items():
        if record.kind == kind and record.state == "parquet":
            parts.append(read_parquet(lake.folder / name).replace_schema_metadata(None))
        elif record.kind == kind and record.state != "dropped":
            parts += lake.tables(name, record)
    table = pa.concat_tables([pa.table(part.to_pydict()) for part in parts], promote_options="permissive")
    return table.sort_by([(name, "ascending") for name in table.column_names])
