"""Packets and light-curve tables to enriched ones, without an archive."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fink
from fink import science
from fink.codecs.parquet import declared
from fink.config import BatchSettings
from fink.engines.plan import NOT_RUN, RUN, build_plan
from fink.errors import ConfigError, PlanError, SourceError
from fink.lightcurves import LightCurves
from fink.services.enrichment import POINT, TableEnrichment, Unreadable, nested_lightcurves, write_enriched, write_tables
from fink.simulator.replay import write_night
from lightcurve_tables import supernovae, table_of
from simulated import SURVEYS, batches_of, nights, source_of

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


QUICK = ("colour", "magnitude_rate", "light_curve_features")
LIGHT_CURVES = supernovae(12, 30)


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_a_table_gives_what_the_packets_with_its_points_give(survey: str, tmp_path: Path) -> None:
    """Every module that needs no stamps, to the last bit."""
    night = nights(survey, 2, 30)[-1]
    (packets,) = (batch.packets for batch in batches_of(source_of(write_night(night, tmp_path / "night"))))
    assert packets is not None
    alerts, _, _ = SURVEYS[survey].decode(packets)
    plan = build_plan(filter_registry={})
    expected = plan.run(alerts)[0].alerts
    work = TableEnrichment.of(table_of(alerts), plan, survey)
    assert {name for name, reason in work.reasons.items() if "stamps" in reason} == {"hostless", "stamp_shape"}
    ((rows, found),) = work.run("object", 10_000)
    assert len(rows) == len(alerts)
    for step in plan.steps:
        if step.module.name not in work.reasons:
            assert {c.name for c in step.outputs if not found[c.name].combine_chunks().equals(expected[c.name].combine_chunks())} == set()


def test_each_detection_is_measured_with_what_was_known_by_then() -> None:
    epochs = fink.enrich(LIGHT_CURVES, QUICK, each="epoch")
    snr = LIGHT_CURVES["flux"].to_numpy() / LIGHT_CURVES["flux_err"].to_numpy()
    assert epochs["flux"].to_pylist() == LIGHT_CURVES.filter(pa.array(np.abs(snr) >= 5.0))["flux"].to_pylist()
    rows = epochs.to_pylist()
    for row in rows[::17]:
        before = [
            o == row["object_id"] and t <= row["mjd"]
            for o, t in zip(*(LIGHT_CURVES[n].to_pylist() for n in ("object_id", "mjd")), strict=True)
        ]
        (alone,) = fink.enrich(LIGHT_CURVES.filter(pa.array(before)), QUICK).to_pylist()
        assert alone == row


def test_an_object_is_measured_alike_alone_and_beside_those_of_another_survey() -> None:
    lsst = LIGHT_CURVES.append_column("survey", pa.array(["lsst"] * LIGHT_CURVES.num_rows))
    others = supernovae(5, 25, "gr", seed=2)
    ztf = others.set_column(0, "object_id", pa.array([f"z{name}" for name in others["object_id"].to_pylist()]))
    ztf = ztf.append_column("survey", pa.array(["ztf"] * ztf.num_rows))
    chosen = (*QUICK, "rainbow", "bazin", "point_lens", "brightness_trend")
    together = fink.enrich(pa.concat_tables([lsst, ztf]), chosen).to_pylist()
    assert together == fink.enrich(lsst, chosen).to_pylist() + fink.enrich(ztf, chosen).to_pylist()
    assert {row["survey"] for row in together} == {"lsst", "ztf"}


def test_an_object_that_two_surveys_saw_is_one_row() -> None:
    seen = LIGHT_CURVES.append_column("survey", pa.array(np.where(np.arange(LIGHT_CURVES.num_rows) % 3, "lsst", "ztf")))
    seen = seen.filter(
        pa.array([s == "lsst" or b in "gri" for s, b in zip(*(seen[n].to_pylist() for n in ("survey", "band")), strict=True)])
    )
    found = fink.enrich(seen, ["rainbow", "colour"])
    assert found.num_rows == 12
    assert found["rainbow_peak_mjd"].null_count < 12


def as_pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame.set_index(pd.Index(range(100, 100 + table.num_rows), name="point"))


@pytest.mark.parametrize("kind", [pa.Table, pd.DataFrame, pl.DataFrame, pa.RecordBatch])
def test_the_same_kind_of_table_comes_back_with_its_own_columns_as_they_were(kind: type[Any]) -> None:
    table = LIGHT_CURVES.append_column("label", pa.array(["SN"] * LIGHT_CURVES.num_rows))
    given: Any = {
        pa.Table: table,
        pd.DataFrame: as_pandas(table),
        pl.DataFrame: pl.from_arrow(table),
        pa.RecordBatch: table.to_batches()[0],
    }[kind]
    expected: pa.Table = fink.enrich(table, QUICK)
    found: Any = fink.enrich(given, QUICK)
    assert type(found) is (pa.Table if kind is pa.RecordBatch else kind)
    names = found.column_names if kind in (pa.Table, pa.RecordBatch) else list(found.columns)
    assert names == expected.column_names
    assert names[:6] == table.column_names
    arrow: Any = pa.Table.from_pandas(found, preserve_index=False) if isinstance(found, pd.DataFrame) else found
    arrow = arrow.to_arrow() if isinstance(arrow, pl.DataFrame) else arrow
    for name in names:
        assert arrow[name].cast(expected[name].type).to_pylist() == expected[name].to_pylist(), name
    if isinstance(found, pd.DataFrame):
        assert found.dtypes.iloc[:6].equals(given.dtypes)
        assert (given.loc[found.index, "mjd"] == found["mjd"]).all()


def test_a_column_of_the_table_that_a_module_gives_is_given_anew() -> None:
    once = fink.enrich(LIGHT_CURVES, ["colour"], each="epoch")
    stale = once.set_column(once.column_names.index("colour"), "colour", pa.nulls(once.num_rows, pa.float32()))
    again = fink.enrich(stale, ["colour"])
    assert again["colour"].null_count < again.num_rows
    assert len(set(again.column_names)) == len(again.column_names)


def test_modules_that_the_table_gives_nothing_to_go_by_are_null_and_named() -> None:
    said = r"did not run: .*data_quality \(it needs flagged, is_dipole, seeing or others, which.*hostless, stamp_shape \(it needs stamps"
    with pytest.warns(UserWarning, match=said) as told:
        found = fink.enrich(LIGHT_CURVES)
    assert told[0].filename == __file__
    assert found["good_quality"].null_count == found["is_hostless"].null_count == 12
    assert set(found["hostless_status"].to_pylist()) == {NOT_RUN}
    assert set(found["rainbow_status"].to_pylist()) == {RUN}
    every = {column.name for module in science.registry().values() for column in module.outputs}
    assert every <= set(found.column_names)


def test_one_of_the_columns_that_a_module_needs_is_enough() -> None:
    scored = LIGHT_CURVES.append_column("real_score", pa.array([0.9] * LIGHT_CURVES.num_rows))
    assert set(fink.enrich(scored, ["data_quality"])["scored_real"].to_pylist()) == {True}


@pytest.mark.parametrize(
    ("table", "options", "error", "said"),
    [
        (LIGHT_CURVES, {"modules": ["hostless"]}, PlanError, "science module hostless cannot run on this table: it needs stamps"),
        (LIGHT_CURVES, {"modules": ["sky_position"]}, PlanError, "it needs ra or dec, which the table lacks; add it"),
        (LIGHT_CURVES, {"modules": ["colr"]}, PlanError, "did you mean colour"),
        (LIGHT_CURVES, {"each": "night"}, ConfigError, "each is 'night'; write object"),
        (LIGHT_CURVES, {"survey": "sdss"}, SourceError, "there is no survey sdss"),
        (LIGHT_CURVES.drop_columns(["flux_err"]), {}, SourceError, "no column flux_err"),
        ({"flux": [1.0]}, {}, SourceError, "a dict is no table; give one of pandas, Polars"),
        (pl.LazyFrame({"flux": [1.0]}), {}, SourceError, "LazyFrame"),
    ],
)
def test_what_cannot_be_enriched_says_why(table: Any, options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        fink.enrich(table, **options)


def test_an_empty_table_gives_an_empty_one_with_every_column() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, full = fink.enrich(LIGHT_CURVES.slice(0, 0)), fink.enrich(LIGHT_CURVES)
    assert (found.num_rows, found.column_names) == (0, full.column_names)


def test_enriched_files_hold_what_is_enriched_here_with_units(tmp_path: Path) -> None:
    plan = build_plan(QUICK, filter_registry={})
    done = write_enriched(TableEnrichment.of(LIGHT_CURVES, plan, "lsst", QUICK), "object", 5, tmp_path / "out.parquet")
    assert (done.rows, done.objects, done.points, done.reasons) == (12, 12, 360, {})
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.to_pylist() == fink.enrich(LIGHT_CURVES, QUICK).to_pylist()
    assert declared(found.schema)["mag_rate"].unit == "mag / d"
    assert declared(found.schema)["flux"].unit == "nJy"
