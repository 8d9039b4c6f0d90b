"""What a batch goes through before its commit: decoded, joined with its history, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fink import factory
from fink.config import load_settings
from fink.engines.compute import compute
from fink.engines.plan import Plan, build_plan
from fink.streams.memory import MemorySource, NightOfPackets
from fink.tables import Packets
from simulated import SURVEYS, nights

FIRST, SECOND = nights("ztf", 2, 60)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build_plan(("light_curve_features", "data_quality"), ("uniform_sample",))


def test_every_column_of_the_plan_is_there_and_every_module_counted(plan: Plan) -> None:
    computed = compute("ztf", FIRST.night, FIRST.packets, plan, None)
    n = len(FIRST.packets)
    assert computed.alerts.num_rows == len(computed.rows) == len(computed.cutouts.start) == n
    assert computed.alerts["alert_id"].to_pylist() == FIRST.truth["alert_id"].to_pylist()
    assert {column.name for column in plan.added} <= set(computed.alerts.column_names)
    assert computed.refusals == ()
    for name in ("light_curve_features", "data_quality"):
        assert computed.modules[name].run + computed.modules[name].failed == n
    assert all(column.num_chunks <= 1 for column in computed.alerts.columns)


def test_a_packet_that_cannot_be_read_is_refused_and_the_rest_goes_on(plan: Plan) -> None:
    bodies = [FIRST.packets.body(row) for row in range(6)]
    bodies[2] = bodies[2][:20]
    computed = compute("ztf", FIRST.night, Packets.from_bodies(bodies, FIRST.packets.schemas[0]), plan, None)
    assert [refusal.row for refusal in computed.refusals] == [2]
    assert computed.refusals[0].reason
    assert computed.rows.tolist() == [0, 1, 3, 4, 5]
    expected = FIRST.truth["alert_id"].to_numpy()[[0, 1, 3, 4, 5]]
    np.testing.assert_array_equal(computed.alerts["alert_id"].to_numpy(), expected)


def test_packets_that_are_all_unreadable_give_no_alert(plan: Plan, tmp_path: Path) -> None:
    packets = Packets.from_bodies([b"\xff" * 9, b""], FIRST.packets.schemas[0])
    with factory.open_archive(load_settings(None, {"archive": tmp_path / "archive"})) as archive:
        computed = compute("ztf", FIRST.night, packets, plan, archive)
    assert computed.alerts.num_rows == 0
    assert [refusal.row for refusal in computed.refusals] == [0, 1]
    assert computed.modules["data_quality"].run == 0


def test_modules_see_the_archive_and_commits_only_what_the_packets_carry(plan: Plan, tmp_path: Path) -> None:
    # without their previous candidates, packets of the second night know nothing of the first
    settings = load_settings(None, {"archive": tmp_path / "archive", "run.workers": 0, "run.modules": ("data_quality",)})
    with factory.open_archive(settings) as archive:
        factory.run(MemorySource([NightOfPackets("ztf", FIRST.night, FIRST.packets)]), archive, settings)
        alone = compute("ztf", SECOND.night, SECOND.packets, plan, None)
        joined = compute("ztf", SECOND.night, SECOND.packets, plan, archive)
        batch, _, _ = SURVEYS["ztf"].decode(SECOND.packets)
        longer = np.diff(archive.history(batch, SECOND.night, SURVEYS["ztf"].history_window).offsets) > np.diff(batch.lightcurves.offsets)
    np.testing.assert_array_equal(joined.points.offsets, alone.points.offsets)
    np.testing.assert_array_equal(joined.points.mjd, alone.points.mjd)
    assert longer.any()
    names = [column.name for column in plan.added]
    differ = np.array(
        [a != b for a, b in zip(joined.alerts.select(names).to_pylist(), alone.alerts.select(names).to_pylist(), strict=True)]
    )
    assert differ.any()
    assert not (differ & ~longer).any()
