"""Light-curve tables: checked value by value, and turned into the alerts that packets would have given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from fink import surveys
from fink.columns import CORE
from fink.errors import SourceError
from fink.lightcurves import AB_ZERO, DETECTION, FORCED, LIMIT
from fink.services.lightcurve_tables import DERIVED, Each, LightCurveTable, read_tables
from fink.tables import AlertBatch
from lightcurve_tables import supernovae

PLAIN: dict[str, list[Any]] = {
    "object_id": ["b", "a", "b", "b", "a"],
    "mjd": [60002.0, 60000.0, 60001.0, 60003.0, 60004.0],
    "band": ["g", "r", "g", "r", "i"],
    "flux": [1000.0, 50.0, -800.0, 20.0, 40.0],
    "flux_err": [100.0, 20.0, 100.0, 20.0, 20.0],
}


def table_with(**changed: Any) -> pa.Table:
    return pa.table(PLAIN | changed)


def alerts_of(table: pa.Table, each: Each = "object", most: int = 100, survey: str = "lsst") -> tuple[list[int], AlertBatch]:
    ((rows, batch),) = LightCurveTable.of(table, survey).alerts(each, most)
    return rows.tolist(), batch


def test_the_alert_of_an_object_is_its_latest_detection_or_else_its_latest_point() -> None:
    rows, batch = alerts_of(table_with())
    assert rows == [0, 4]
    assert batch.alerts["object_id"].to_pylist() == ["b", "a"]
    assert batch.lightcurves.offsets.tolist() == [0, 3, 5]
    assert batch.lightcurves.mjd.tolist() == [60001.0, 60002.0, 60003.0, 60000.0, 60004.0]
    assert batch.lightcurves.kind.tolist() == [DETECTION, DETECTION, FORCED, FORCED, FORCED]


def test_columns_that_follow_from_the_points() -> None:
    _, batch = alerts_of(table_with())
    first, second = batch.alerts.to_pylist()
    assert (first["n_detections"], first["first_mjd"], first["age"], first["positive"]) == (2, 60001.0, 1.0, True)
    assert first["mag"] == pytest.approx(AB_ZERO - 2.5 * np.log10(1000.0), abs=1e-5)
    assert first["mag_err"] == pytest.approx(2.5 / np.log(10.0) * 0.1, rel=1e-6)
    assert first["snr"] == pytest.approx(10.0)
    assert (first["survey"], first["band"], first["night"], first["alert_id"]) == ("lsst", "g", 20230226, 0)
    assert (second["n_detections"], second["first_mjd"], second["age"]) == (0, None, None)
    assert first["ra"] is first["real_score"] is first["total_flux"] is None
    known = {column.name for column in CORE if batch.alerts[column.name].null_count < 2}
    assert known == DERIVED


def test_each_detection_is_an_alert_that_knows_no_later_point() -> None:
    rows, batch = alerts_of(table_with(), each="epoch")
    assert rows == [0, 2]
    assert batch.alerts["n_detections"].to_pylist() == [2, 1]
    assert batch.alerts["age"].to_pylist() == [1.0, 0.0]
    assert [batch.lightcurves.mjd[a:b].tolist() for a, b in ((0, 2), (2, 3))] == [[60001.0, 60002.0], [60001.0]]


def test_what_the_table_says_goes_before_what_follows() -> None:
    said = table_with(
        ra=[1.0, 2.0, 3.0, 4.0, 5.0],
        n_detections=[7, 8, 9, 10, None],
        real_score=[0.5, np.nan, 0.5, 0.5, np.nan],
        sso_name=pa.array(["x", "y", "x", "x", "y"]).dictionary_encode(),
        lsst_ra_err=[0.1, 0.2, 0.3, 0.4, 0.5],
        label=["SN", "AGN", "SN", "SN", "AGN"],
    )
    _, batch = alerts_of(said)
    assert batch.alerts["ra"].to_pylist() == [1.0, 5.0]
    assert batch.alerts["n_detections"].to_pylist() == [7, None]
    assert batch.alerts["real_score"].to_pylist() == [0.5, None]
    assert batch.alerts["sso_name"].to_pylist() == ["x", "y"]
    assert batch.alerts["lsst_ra_err"].to_pylist() == pytest.approx([0.1, 0.5])
    assert "label" not in batch.alerts.column_names


def test_kinds_are_taken_from_the_table_and_limits_need_no_flux() -> None:
    kinds = ["limit", "detection", "forced", "detection", "limit"]
    _, batch = alerts_of(table_with(kind=kinds, flux=[np.nan, 50.0, -800.0, 20.0, None]))
    assert batch.lightcurves.kind.tolist() == [FORCED, LIMIT, DETECTION, DETECTION, LIMIT]
    assert np.isnan(batch.lightcurves.flux[[1, 4]]).all()


def test_an_object_of_limits_has_an_alert_without_a_flux() -> None:
    _, batch = alerts_of(table_with(kind=["detection", "limit", "detection", "forced", "limit"]))
    assert (batch.alerts["flux"][1].as_py(), batch.alerts["positive"][1].as_py()) == (None, False)


def test_bands_keep_their_survey_and_wavelength() -> None:
    _, batch = alerts_of(table_with(survey=["ztf", "lsst", "lsst", "ztf", "lsst"]))
    assert batch.lightcurves.bands == (*surveys.registry()["lsst"].bands, *surveys.registry()["ztf"].bands)
    found = [(batch.lightcurves.bands[b].survey, batch.lightcurves.bands[b].name) for b in batch.lightcurves.band]
    assert found == [("lsst", "g"), ("ztf", "g"), ("ztf", "r"), ("lsst", "r"), ("lsst", "i")]
    assert batch.alerts["survey"].to_pylist() == ["ztf", "lsst"]
    assert alerts_of(table_with(), survey="ztf")[1].lightcurves.bands == surveys.registry()["ztf"].bands


@pytest.mark.parametrize("number", [pa.int64(), pa.int32(), pa.float32(), pa.decimal128(21, 2)])
def test_any_kind_of_number_will_do(number: pa.DataType) -> None:
    _, batch = alerts_of(table_with(flux=pa.array([1000, 50, -800, 20, 40]).cast(number), object_id=[4, 3, 4, 4, 3]))
    assert batch.alerts["flux"].to_pylist() == [1000.0, 40.0]
    assert batch.alerts["object_id"].to_pylist() == ["4", "3"]


@pytest.mark.parametrize("of_categories", [False, True])
def test_tables_in_chunks_are_whole(of_categories: bool) -> None:
    table = table_with(object_id=pa.array(PLAIN["object_id"]).dictionary_encode()) if of_categories else table_with()
    rows, batch = alerts_of(pa.concat_tables([table.slice(0, 2), table.slice(2, 1), table.slice(3)]))
    assert rows == [0, 4]
    assert batch.alerts["object_id"].to_pylist() == ["b", "a"]


@pytest.mark.parametrize("each", ["object", "epoch"])
def test_batches_hold_every_alert_once(each: Each) -> None:
    table = LightCurveTable.of(supernovae(23, 17), "lsst")
    (whole,) = table.alerts(each, 10_000)
    parts = list(table.alerts(each, 7))
    assert len(parts) > 3
    assert np.concatenate([rows for rows, _ in parts]).tolist() == whole[0].tolist()
    assert pa.concat_tables([batch.alerts for _, batch in parts]).equals(whole[1].alerts)
    assert np.concatenate([batch.lightcurves.mjd for _, batch in parts]).tolist() == whole[1].lightcurves.mjd.tolist()


def test_a_table_without_rows_has_no_alerts() -> None:
    assert list(LightCurveTable.of(table_with().slice(0, 0), "lsst").alerts("object", 10)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"flux": ["1", "2", "3", "4", "5"]}, "column flux is string, as '1' in row 0; it must hold numbers"),
        (
            {"mjd": [2460000.5] * 5},
            "mjd is 2460000.5 in row 0, and 4 more rows are like it: that looks like a Julian date; subtract 2400000.5",
        ),
        ({"mjd": [1.0, None, 1.0, 1.0, 1.0]}, "mjd is None in row 1: it must be a time in days"),
        ({"flux": [1.0, 1.0, np.nan, 1.0, 1.0]}, "flux is nan in row 2: it must be a number of nJy; leave such rows out"),
        ({"flux_err": [1.0, 1.0, 1.0, 0.0, -1.0]}, "flux_err is 0.0 in row 3, and 1 more rows are like it: it must be a positive"),
        ({"band": ["g", "r", "V", "r", "i"]}, "band is V in row 2: lsst has u, g, r, i, z, y; rename it"),
        ({"band": ["g", "r", None, "r", "i"]}, "band is None in row 2: every row must have one"),
        ({"object_id": ["a", "a", "a", None, "a"]}, "object_id is None in row 3"),
        ({"survey": ["ztf", "atlas", "ztf", "ztf", "ztf"]}, "survey is atlas in row 1: write one of elasticc, lsst, ztf"),
        (
            {"kind": ["detection", "upper limit", "forced", "forced", "forced"]},
            "kind is upper limit in row 1: write one of detection, forced",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_row_and_the_remedy(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError, match="^" + said.replace("(", r"\(")):
        LightCurveTable.of(table_with(**changed), "lsst")


def test_a_column_that_is_not_there_is_named_with_the_one_that_may_be_meant() -> None:
    with pytest.raises(SourceError, match=r"no column flux_err; light curves need object_id, .* rename flux_error\?"):
        LightCurveTable.of(table_with().rename_columns([*list(PLAIN)[:4], "flux_error"]), "lsst")
    with pytest.raises(SourceError, match="no column mjd, band, flux, flux_err; light curves need"):
        LightCurveTable.of(table_with().select(["object_id"]), "lsst")


def test_a_survey_and_a_column_of_another_kind_are_refused() -> None:
    with pytest.raises(SourceError, match="there is no survey lsts; did you mean lsst"):
        LightCurveTable.of(table_with(), "lsts")
    with pytest.raises(SourceError, match="column ra is string, and Fink's is double"):
        alerts_of(table_with(ra=["12:30:00"] * 5))


def test_files_of_every_ending_are_read_and_joined(tmp_path: Path) -> None:
    table = table_with()
    csv.write_csv(table, tmp_path / "a.csv")
    parquet.write_table(table, tmp_path / "b.parquet")
    feather.write_feather(table, tmp_path / "c.arrow")
    feather.write_feather(table, tmp_path / "d.feather")
    paths = sorted(tmp_path.iterdir())
    assert [read_tables([path]).to_pydict() for path in paths] == [PLAIN] * 4
    assert read_tables(paths).num_rows == 20


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    parquet.write_table(table_with(), tmp_path / "a.parquet")
    parquet.write_table(table_with(ra=[1.0] * 5), tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"no table")
    with pytest.raises(SourceError, match=r"b.parquet and .*a.parquet have different columns \(ra\)"):
        read_tables([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    with pytest.raises(SourceError, match=r"c.parquet cannot be read as parquet"):
        read_tables([tmp_path / "c.parquet"])
    with pytest.raises(SourceError, match=r"there is no file .*d.csv"):
        read_tables([tmp_path / "d.csv"])
