"""Packets to tables without an archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fink.codecs.parquet import declared
from fink.config import BatchSettings
from fink.engines.plan import build_plan
from fink.lightcurves import LightCurves
from fink.services.enrichment import POINT, Unreadable, nested_lightcurves, write_tables
from fink.simulator.replay import write_night
from simulated import SURVEYS, nights, source_of

NIGHTS = (*nights("ztf", 2, 30), *nights("lsst", 1, 30))
LIMITS = BatchSettings(alerts=13, megabytes=64, seconds=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for night in NIGHTS:
        write_night(night, tmp_path / "in" / f"{night.survey}{night.night}")
    (tmp_path / "in" / "foreign").write_bytes(b"not an alert")
    return tmp_path


def test_every_alert_is_a_row_with_its_light_curve(folder: Path) -> None:
    unreadable: list[Unreadable] = []
    written = write_tables(source_of(folder / "in"), list(SURVEYS.values()), None, LIMITS, folder / "out.parquet", unreadable.append)
    table = pq.read_table(folder / "out.parquet")
    expected = [alert for night in NIGHTS for alert in night.truth["alert_id"].to_pylist()]
    assert written == table.num_rows == len(expected)
    assert sorted(table["alert_id"].to_pylist()) == sorted(expected)
    assert [item.source for item in unreadable] == [str(folder / "in" / "foreign")]
    assert all(curve for curve in table["lightcurve"].to_pylist())
    assert declared(table.schema)["mag"].unit == "mag"
    assert not list(folder.glob("*.part"))


def test_modules_add_their_columns(folder: Path) -> None:
    plan = build_plan(("sky_position",))
    write_tables(source_of(folder / "in"), list(SURVEYS.values()), plan, LIMITS, folder / "out.parquet", lambda item: None)
    table = pq.read_table(folder / "out.parquet")
    for column in plan.added:
        assert table.schema.field(column.name).type == column.type
        assert table[column.name].null_count < table.num_rows


def test_points_that_are_not_numbers_are_null() -> None:
    bands = SURVEYS["ztf"].bands
    empty = LightCurves.empty(3, bands)
    assert nested_lightcurves(empty).to_pylist() == [[], [], []]
    curves = LightCurves(
        offsets=np.array([0, 1, 2]),
        mjd=np.array([1.0, 2.0]),
        band=np.array([0, 1], np.int8),
        kind=np.array([0, 2], np.int8),
        flux=np.array([5.0, np.nan], np.float32),
        flux_err=np.array([1.0, 2.0], np.float32),
        total_flux=np.array([np.nan, np.nan], np.float32),
        total_flux_err=np.array([np.nan, np.nan], np.float32),
        point_id=np.array([7, 0]),
        detector=np.array([3, -1], np.int16),
        bands=bands,
    )
    (first,), (second,) = nested_lightcurves(curves).to_pylist()
    assert set(first) == {field.name for field in POINT}
    assert (first["kind"], first["flux"], first["point_id"], first["detector"]) == ("detection", 5.0, 7, 3)
    assert (second["kind"], second["flux"], second["point_id"], second["detector"]) == ("limit", None, None, None)
    assert (first["band"], second["band"]) == (bands[0].name, bands[1].name)
