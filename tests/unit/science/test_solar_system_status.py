"""Known, candidate, first: each cut by hand, and against what Fink says of real alerts today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alert_batches import NOW, Point, light_curves
from fink.lightcurves import DETECTION
from fink.science.solar_system_status import solar_system_status
from shared_data import shared_data

LONELY: dict[str, Any] = {"sso_name": None, "n_detections": 1.0}
NUMBERS = ("sso_separation", "star_separation", "star_score", "template_flux", "template_flux_err", "n_detections")


def status(rows: Sequence[Mapping[str, Any]], curves: Sequence[Sequence[Point]]) -> dict[str, Any]:
    numbers = {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in NUMBERS}
    names = pa.array([row.get("sso_name") for row in rows], pa.string())
    return dict(solar_system_status.function(sso_name=names, **numbers, lightcurves=light_curves(curves)))


def one(changes: Mapping[str, Any], *earlier: float) -> tuple[float, float, float]:
    """Give known, candidate and first appearance of an alert with detections so many days before."""
    curve = [(NOW - days, "r", DETECTION, 9000.0, 300.0) for days in (*earlier, 0.0)]
    found = status([{**LONELY, **changes}], [curve])
    return tuple(float(found[name][0]) for name in ("is_known_sso", "is_sso_candidate", "is_first_appearance"))  # type: ignore[return-value]


def test_a_lonely_first_detection_is_a_candidate_and_a_first_appearance() -> None:
    assert one({}) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "changes",
    [{"star_separation": 4.9}, {"star_separation": 9.0, "star_score": 0.76}, {"n_detections": 3.0}, {"n_detections": np.nan}],
    ids=["source beside it", "star", "seen three times", "count unknown"],
)
def test_what_keeps_it_from_being_a_candidate(changes: dict[str, float]) -> None:
    assert one(changes)[:2] == (0.0, 0.0)


def test_without_a_catalogue_the_template_decides() -> None:
    assert one({"template_flux": 500.0, "template_flux_err": 101.0})[1] == 1.0
    assert one({"template_flux": 500.0, "template_flux_err": 99.0})[1] == 0.0
    assert one({"template_flux": 500.0, "template_flux_err": 99.0, "star_separation": 6.0})[1] == 1.0


def test_two_detections_within_half_an_hour() -> None:
    assert one({"n_detections": 2.0}, 0.02) == (0.0, 1.0, 0.0)
    assert one({"n_detections": 2.0}, 0.021) == (0.0, 0.0, 0.0)


def test_a_known_object_is_known_and_has_no_first_appearance() -> None:
    known, candidate, first = one({"sso_name": "1 Ceres", "sso_separation": 0.3})
    assert (known, candidate) == (1.0, 0.0)
    assert np.isnan(first)
    assert one({"sso_name": "1 Ceres", "n_detections": np.nan})[0] == 1.0


@pytest.mark.parametrize(
    "changes", [{"sso_separation": 5.0}, {"sso_separation": 2.0, "star_separation": 1.0}, {"sso_separation": 0.3, "n_detections": 6.0}]
)
def test_a_name_alone_does_not_make_it_known(changes: dict[str, float]) -> None:
    assert one({"sso_name": "1 Ceres", **changes})[0] == 0.0


def as_row(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ZTF's fields into columns, and its sentinels into nulls, apart from the survey's own file."""
    fields = {"sso_separation": "ssdistnr", "star_separation": "distpsnr1", "star_score": "sgscore1", "n_detections": "ndethist"}
    row = {name: np.nan if candidate[field] is None or candidate[field] < 0 else candidate[field] for name, field in fields.items()}
    return row | {"sso_name": None if candidate["ssnamenr"] in (None, "null") else candidate["ssnamenr"]}


def as_curve(alert: Mapping[str, Any]) -> list[Point]:
    """Give the detections of a ZTF alert, the alert itself at `NOW`."""
    seen = [point for point in alert["prv_candidates"] or [] if point["magpsf"] is not None]
    days = [point["jd"] - alert["candidate"]["jd"] for point in (*seen, alert["candidate"])]
    return [(NOW + day, "r", DETECTION, 9000.0, 300.0) for day in days]


@pytest.mark.parametrize("file", ["fink_mm_20240115_849_nocutout.parquet", "ctao_blazar_414_nocutout.parquet"])
def test_real_alerts_have_the_status_that_fink_gives_today(file: str) -> None:
    """All three states, alert by alert; ZTF's own sentinels are turned into nulls here, independently of the survey's file."""
    table = pq.read_table(shared_data("ztf_parquet_fink", file), columns=["candidate", "prv_candidates", "roid"]).to_pylist()
    # one file holds alerts whose distances were overwritten: all 60 arcsec, whatever Fink said of them
    alerts = [alert for alert in table if alert["candidate"]["ssdistnr"] != 60.0]
    found = status([as_row(alert["candidate"]) for alert in alerts], [as_curve(alert) for alert in alerts])
    today = np.array([alert["roid"] for alert in alerts])
    assert (found["is_known_sso"] == (today == 3)).all()
    assert (found["is_sso_candidate"] == (today == 2)).all()
    assert (today == 2).any()
    assert (today == 3).any()
