"""Commits in memory, as followers see an archive."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.commits import Commit, Counts, FollowerPosition, PlanRecord
from fink.tables import Packets
from simulated import nights

OLD = PlanRecord({"rate": "float", "fast": "bool", "kind": "string"}, {"m": "1"})
NEW = PlanRecord({"rate": "float", "fast": "bool", "kind": "string", "period": "double"}, {"m": "2"})


def packets_of(survey: str) -> Packets:
    """Give the packets that commits take from: 60 of each survey."""
    return nights(survey, 1, 60)[0].packets


class Recorded:
    """Commits in memory, as followers see an archive."""

    id = "one archive"

    def __init__(self) -> None:
        self._parts: list[tuple[Commit, dict[str, tuple[pa.Table, Packets]]]] = []
        self._plans: dict[str, PlanRecord] = {}
        self._positions: dict[str, FollowerPosition] = {}

    def add(self, rows: dict[str, list[int]], plan: PlanRecord = OLD, survey: str = "ztf") -> None:
        """Commit some alerts for substreams."""
        number = len(self._parts) + 1
        self._plans[plan.identity] = plan
        selected = {name: len(taken) for name, taken in rows.items()}
        commit = Commit(number, survey, 20251120, "test", plan.identity, Counts(), {}, selected, {}, f"sum {number}")
        self._parts.append(
            (commit, {name: (self._rows(taken, plan), packets_of(survey).take(np.array(taken, np.int64))) for name, taken in rows.items()})
        )

    @staticmethod
    def _rows(taken: list[int], plan: PlanRecord) -> pa.Table:
        columns = {
            "alert_id": pa.array(taken, pa.int64()),
            "object_id": pa.array([f"object {i % 7}" if i % 5 else None for i in taken]),
            "rate": pa.array([None if i % 3 == 0 else i / 7 for i in taken], pa.float32()),
            "fast": pa.array([i % 2 == 0 for i in taken]),
            "kind": pa.array([f"kind {i}" for i in taken]),
            "period": pa.array([i * 1.5 for i in taken], pa.float64()),
        }
        return pa.table({name: values for name, values in columns.items() if name in ("alert_id", "object_id") or name in plan.columns})

    def last_commit(self) -> int:
        return len(self._parts)

    def commit(self, number: int) -> Commit:
        return self._parts[number - 1][0]

    def selection(self, number: int, substream: str) -> pa.Table:
        return self.selected(number, substream)[0]

    def selected(self, number: int, substream: str) -> tuple[pa.Table, Packets]:
        return self._parts[number - 1][1][substream]

    def selections(self, number: int) -> tuple[pa.Table, Packets, dict[str, NDArray[np.int64]]]:
        commit, parts = self._parts[number - 1]
        plan = self._plans[commit.plan_id]
        alerts = sorted({alert for rows, _ in parts.values() for alert in rows["alert_id"].to_pylist()})
        taken = {name: np.searchsorted(alerts, rows["alert_id"].to_numpy()) for name, (rows, _) in parts.items() if len(rows)}
        return self._rows(alerts, plan), packets_of(commit.survey).take(np.array(alerts, np.int64)), taken

    def plan(self, plan_id: str) -> PlanRecord:
        return self._plans[plan_id]

    def follower_position(self, name: str) -> FollowerPosition | None:
        return self._positions.get(name)

    def record_follower(self, name: str, commit: int, checksum: str, undeliverable: Mapping[str, int] | None = None) -> None:
        self._positions[name] = FollowerPosition(commit, checksum, dict(undeliverable or {}))


def filled() -> Recorded:
    archive = Recorded()
    archive.add({"fast": [0, 3, 4], "slow": [1]})
    archive.add({"fast": [], "slow": []})
    archive.add({"fast": [7, 8]})
    archive.add({"slow": [10, 11, 12, 13]})
    return archive


EXPECTED = {"fast": [0, 3, 4, 7, 8], "slow": [1, 10, 11, 12, 13]}
