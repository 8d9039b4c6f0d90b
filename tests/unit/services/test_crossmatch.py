"""Uploads against the archive: both ways the pairs of an exhaustive comparison, wherever the rows lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.commits import Outcome
from fink.errors import NotFoundError, QueryError, RequestError
from fink.lightcurves import LightCurves
from fink.services import crossmatch as matching
from fink.services.crossmatch import COLUMNS, Upload, crossmatch
from fink.sky import separation
from fink.surveys import registry
from fink.tables import PADDING, Cutouts, Packets

RNG = np.random.default_rng(8)
N = 600


def places(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Give positions within two degrees of both poles, and of right ascension 0."""
    ra, dec = RNG.uniform(0, 360, n), np.where(RNG.random(n) < 0.5, 1, -1) * (90.0 - np.abs(RNG.normal(0, 0.3, n)))
    half = n // 2
    ra[:half], dec[:half] = RNG.normal(0, 0.3, half) % 360.0, RNG.normal(0, 0.3, half)
    dec[-1], ra[0] = 90.0, 0.0
    return ra, dec


ALERT_RA, ALERT_DEC = places(N)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An archive of alerts at these places, in three nights."""
    folder = tmp_path_factory.mktemp("sky") / "archive"
    with EmbeddedArchive.create(folder) as writer:
        for night in range(3):
            rows = np.arange(night, N, 3)
            n = len(rows)
            alerts = {
                "alert_id": pa.array(rows, pa.int64()),
                "object_id": pa.array([f"o{row % 200}" for row in rows]),
                "sso_name": pa.nulls(n, pa.string()),
                "survey": pa.array(["ztf"] * n),
                "schema_version": pa.array(["1"] * n),
                "night": pa.array([20200101 + night] * n, pa.int32()),
                "mjd": pa.array(58849.0 + night + np.arange(n) * 1e-4),
                "ra": pa.array(ALERT_RA[rows]),
                "dec": pa.array(ALERT_DEC[rows]),
                "band": pa.array(["r"] * n),
                "mag": pa.array(RNG.uniform(15, 21, n), pa.float32()),
                "seeing": pa.array(RNG.uniform(1, 3, n), pa.float32()),
            }
            nothing = Packets(np.zeros(PADDING, np.uint8), *(np.zeros(n, np.int64),) * 2, np.zeros(n, np.int32), (b'"null"',))
            points = LightCurves.empty(n, registry()["ztf"].bands)
            writer.apply(Outcome("ztf", 20200101 + night, "made", pa.table(alerts), points, nothing, Cutouts.none(n)))
            if night == 1:
                writer.compact()
        yield writer


def upload(n: int = 300, radius: Any = 900.0) -> Upload:
    ra, dec = places(n)
    return Upload(pa.table({"name": [f"r{i}" for i in range(n)], "ra": ra, "dec": dec}), ra, dec, radius)


def exhaustive(rows: Upload) -> Any:
    """Give the separations of rows and alerts [arcsec], and which are within the radius."""
    apart = separation(rows.ra[:, None], rows.dec[:, None], ALERT_RA[None, :], ALERT_DEC[None, :]) * 3600.0
    return apart, apart <= np.broadcast_to(np.asarray(rows.radius, np.float64), rows.ra.shape)[:, None]


def pairs_of(table: pa.Table) -> list[tuple[int, int]]:
    return list(zip((table["row"].to_numpy() - 1).tolist(), table["alert_id"].to_pylist(), strict=True))


@pytest.mark.parametrize("own", [False, True])
def test_the_alerts_of_each_row_are_those_of_an_exhaustive_comparison(archive: EmbeddedArchive, own: bool) -> None:
    rows = upload(radius=np.float32(RNG.uniform(0, 2000, 300)).astype(np.float64) if own else 900.0)
    apart, within = exhaustive(rows)
    assert 300 < within.sum() < 300 * N / 4
    found = crossmatch(archive, rows)
    assert set(pairs_of(found)) == set(zip(*map(np.ndarray.tolist, np.nonzero(within)), strict=True))
    assert len(pairs_of(found)) == found.num_rows
    np.testing.assert_allclose(found["separation"].to_numpy(), [apart[pair] for pair in pairs_of(found)], atol=1e-6)
    order = list(zip(found["row"].to_pylist(), found["separation"].to_pylist(), strict=True))
    assert order == sorted(order)
    assert found["upload_name"].to_pylist() == [f"r{row}" for row, _ in pairs_of(found)]
    assert found.column_names == ["row", "separation", *COLUMNS, "upload_name", "upload_ra", "upload_dec"]


def test_each_alert_has_its_nearest_row(archive: EmbeddedArchive) -> None:
    rows = upload()
    apart, within = exhaustive(rows)
    found = crossmatch(archive, rows, each="alert")
    nearest = np.where(within, apart, np.inf).argmin(axis=0)
    expected = {(int(nearest[alert]), int(alert)) for alert in np.flatnonzero(within.any(axis=0))}
    assert set(pairs_of(found)) == expected
    assert found.num_rows == len(expected) > 100


def test_each_row_has_its_nearest_alert(archive: EmbeddedArchive) -> None:
    rows = upload()
    apart, within = exhaustive(rows)
    found = crossmatch(archive, rows, nearest=True)
    expected = {(int(row), int(np.where(within[row], apart[row], np.inf).argmin())) for row in np.flatnonzero(within.any(axis=1))}
    assert set(pairs_of(found)) == expected


def test_a_few_rows_in_a_large_archive_find_the_same(archive: EmbeddedArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = upload(60)
    usual = crossmatch(archive, rows, start=58850.0, stop=58851.5, survey="ztf")
    monkeypatch.setattr(matching, "_MANY_ALERTS", 1)
    monkeypatch.setattr(matching, "_streamed", None)
    one_by_one = crossmatch(archive, rows, start=58850.0, stop=58851.5, survey="ztf")
    assert pairs_of(one_by_one) == pairs_of(usual)
    assert usual.num_rows > 50
    assert one_by_one.column_names == usual.column_names
    np.testing.assert_allclose(one_by_one["separation"].to_numpy(), usual["separation"].to_numpy(), atol=1e-6)


def test_time_survey_and_more_columns(archive: EmbeddedArchive) -> None:
    found = crossmatch(archive, upload(), start=58850.0, stop=58851.0, columns=["seeing", "mag"])
    assert 58850.0 <= found["mjd"].to_numpy().min() <= found["mjd"].to_numpy().max() <= 58851.0
    assert found["seeing"].null_count == 0
    assert crossmatch(archive, upload(), survey="lsst").num_rows == 0
    with pytest.raises(NotFoundError, match="no column seing; did you mean seeing"):
        crossmatch(archive, upload(), columns=["seing"])


def test_rows_without_a_position_match_nothing_and_keep_their_numbers(archive: EmbeddedArchive) -> None:
    table = pa.table({"name": ["a", "b", "c"]})
    nan = np.nan
    found = crossmatch(archive, Upload(table, np.array([nan, ALERT_RA[7], 0.0]), np.array([0.0, ALERT_DEC[7], nan]), 0.01))
    assert pairs_of(found) == [(1, 7)]
    assert found["upload_name"].to_pylist() == ["b"]
    nowhere = crossmatch(archive, Upload(table, np.full(3, nan), np.zeros(3), 1.0))
    assert nowhere.num_rows == 0
    assert nowhere.column_names == found.column_names


def test_what_is_too_much_is_refused(archive: EmbeddedArchive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="0 to 3600 arcsec"):
        crossmatch(archive, upload(radius=4000.0))
    with pytest.raises(RequestError, match="radius"):
        crossmatch(archive, upload(radius=np.full(300, np.nan)))
    monkeypatch.setattr(matching, "MOST_PAIRS", 10)
    with pytest.raises(QueryError, match="more than 10 pairs"):
        crossmatch(archive, upload())
    monkeypatch.setattr(matching, "MOST_ROWS", 299)
    with pytest.raises(RequestError, match="300 rows are too many"):
        crossmatch(archive, upload())
