"""The routes that give alerts, asked over HTTP, and compared with what the archive says."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.io.votable import parse_single_table
from astropy.time import Time

from unit.api.conftest import Served


def lsst_object(served: Served) -> str:
    """Give the object with the most alerts."""
    names = served.archive.object_names("", "lsst", 1000)
    return max(names, key=lambda name: served.archive.object_alerts(name, "lsst").num_rows)


def test_sources_are_the_archives_alerts_newest_first(served: Served) -> None:
    name = lsst_object(served)
    rows = served.rows("/api/v1/sources", diaObjectId=name)
    known = served.archive.wide(served.archive.object_alerts(name, "lsst")).sort_by([("mjd", "descending")])
    assert [row["r:midpointMjdTai"] for row in rows] == known["mjd"].to_pylist()
    assert [row["r:diaSourceId"] for row in rows] == known["alert_id"].to_pylist()
    assert {row["r:diaObjectId"] for row in rows} == {int(name)}
    assert [row["f:is_transient"] for row in rows] == known["is_transient"].to_pylist()
    assert not [column for column in rows[0] if column.startswith(("i:", "d:"))]


def test_columns_and_surveys_are_chosen_by_name(served: Served) -> None:
    name = lsst_object(served)
    for base in ("/api/v1", "/lsst/api/v1"):
        rows = served.rows(f"{base}/sources", diaObjectId=name, columns="r:psfFlux,f:mag")
        assert all(set(row) == {"r:psfFlux", "f:mag"} for row in rows)
    assert served.get("/ztf/api/v1/sources", diaObjectId=name).status_code == 404
    answer = served.get("/api/v1/sources", diaObjectId=name, columns="r:psfFlux,r:psfFluxx", colums="x")
    assert set(answer.json()[0]) == {"r:psfFlux"}
    assert "did you mean r:psfFlux" in answer.headers["X-Fink-Warning"]
    assert "did you mean columns" in answer.headers["X-Fink-Warning"]


def test_ztf_objects_have_the_values_that_scripts_know(served: Served) -> None:
    name = served.archive.object_names("ZTF", "ztf", 1)[0]
    row = served.rows("/ztf/api/v1/objects", objectId=name)[0]
    known = served.archive.wide(served.archive.object_alerts(name, "ztf")).sort_by([("mjd", "descending")]).to_pylist()[0]
    assert row["i:fid"] == {"g": 1, "r": 2, "i": 3}[known["band"]]
    assert row["i:isdiffpos"] == ("t" if known["positive"] else "f")
    assert (row["i:jd"], row["i:magpsf"]) == (known["ztf_jd"], pytest.approx(known["mag"]))
    assert row["i:ssnamenr"] == (known["sso_name"] or "null")
    assert row["v:lastdate"] == Time(known["mjd"], format="mjd", scale="tai").utc.iso


def test_ztf_objects_are_found_by_the_beginning_of_their_name(served: Served) -> None:
    names = served.archive.object_names("ZTF", "ztf", 1000)
    beginning = names[0][:6]
    rows = served.rows("/ztf/api/v1/objects", objectId=beginning, columns="i:objectId")
    assert {row["i:objectId"] for row in rows} == {name for name in names if name.startswith(beginning)}
    assert served.rows("/ztf/api/v1/objects", objectId="ZTF99nosuch") == []


def test_upper_limits_come_as_rows_of_their_own(served: Served) -> None:
    for name in served.archive.object_names("ZTF", "ztf", 30):
        rows = served.rows("/ztf/api/v1/objects", objectId=name, withupperlim=True, columns="i:jd,i:diffmaglim,i:magpsf")
        curve = served.archive.light_curve(name, "ztf").to_pylist()
        limits = [point for point in curve if point["kind"] == "limit"]
        mine = [row for row in rows if row["d:tag"] == "upperlim"]
        assert len(mine) == len(limits)
        for row, point in zip(sorted(mine, key=lambda row: row["i:jd"]), limits, strict=True):
            start = Time(point["mjd"], format="mjd", scale="tai").utc.jd - 15 / 86400
            assert row["i:jd"] == pytest.approx(start, abs=1e-6)
            assert row["i:diffmaglim"] == pytest.approx(31.4 - 2.5 * np.log10(5 * point["flux_err"]), abs=1e-4)


def test_objects_of_lsst_are_one_row_each(served: Served) -> None:
    names = served.archive.object_names("", "lsst", 5)
    rows = served.rows("/api/v1/objects", diaObjectId=",".join(names))
    assert sorted(row["r:diaObjectId"] for row in rows) == sorted(map(int, names))
    assert {"r:firstDiaSourceMjdTai", "r:g_psfFluxMean"} <= set(rows[0])


def test_forced_photometry_is_the_light_curves(served: Served) -> None:
    name = lsst_object(served)
    rows = served.rows("/api/v1/fp", diaObjectId=name)
    known = [point for point in served.archive.light_curve(name, "lsst").to_pylist() if point["kind"] == "forced"]
    assert known
    assert [row["r:midpointMjdTai"] for row in rows] == [point["mjd"] for point in known]
    assert [row["r:psfFlux"] for row in rows] == pytest.approx([point["flux"] for point in known])


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_cones_give_each_object_once_nearest_first(served: Served, survey: str) -> None:
    name = {"ztf": "i:objectId", "lsst": "r:diaObjectId"}[survey]
    prefix = {"ztf": "i", "lsst": "r"}[survey]
    centre = served.archive.object_alerts(served.archive.object_names("", survey, 1)[0], survey).to_pylist()[0]
    rows = served.rows(f"/{survey}/api/v1/conesearch", ra=centre["ra"], dec=centre["dec"], radius=18000, columns=name)
    alerts = served.archive.cone(centre["ra"], centre["dec"], 18000, survey).to_pylist()
    known = {alert["object_id"] for alert in alerts if alert["object_id"]}
    found = [row[name] for row in rows if row[name] is not None]
    assert sorted(map(str, found)) == sorted(known)
    apart = [row["v:separation_degree"] for row in rows]
    assert apart == sorted(apart)
    assert {f"{prefix}:ra", f"{prefix}:dec"} <= set(rows[0])
    few = served.rows(f"/{survey}/api/v1/conesearch", ra=centre["ra"], dec=centre["dec"], radius=18000, n=3, columns=name)
    assert few == rows[:3]


def test_positions_may_be_sexagesimal(served: Served) -> None:
    alert = served.archive.object_alerts(lsst_object(served), "lsst").to_pylist()[0]
    from astropy.coordinates import SkyCoord

    place = SkyCoord(alert["ra"], alert["dec"], unit="deg")
    ra, dec = place.ra.to_string("hour", precision=4), place.dec.to_string("deg", precision=4)
    rows = served.rows("/api/v1/conesearch", ra=ra, dec=dec, radius=5)
    assert rows[0]["r:diaObjectId"] == int(alert["object_id"])


@pytest.mark.parametrize("days", [-1.0, 1.0])
def test_cones_are_limited_in_time(served: Served, days: float) -> None:
    ra, dec = _middle(served)
    alert = served.archive.cone(ra, dec, 1, "ztf").sort_by([("mjd", "descending")]).to_pylist()[0]
    moment = Time(alert["first_mjd"] + days, format="mjd", scale="tai").utc
    place: dict[str, Any] = {"ra": ra, "dec": dec, "radius": 1, "columns": "i:objectId"}
    for value in (moment.jd, moment.mjd, moment.iso, moment.isot):
        rows = served.rows("/ztf/api/v1/conesearch", **place, startdate=value)
        assert (alert["object_id"] in {row["i:objectId"] for row in rows}) == (days < 0)
    stop = Time(alert["mjd"] + days, format="mjd", scale="tai").utc.iso
    rows = served.rows("/ztf/api/v1/conesearch", **place, stopdate=stop)
    assert (alert["object_id"] in {row["i:objectId"] for row in rows}) == (days > 0)


def _middle(served: Served) -> tuple[float, float]:
    alert = served.archive.object_alerts(served.archive.object_names("ZTF", "ztf", 1)[0], "ztf").to_pylist()[0]
    return alert["ra"], alert["dec"]


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_substreams_are_listed_and_read(served: Served, survey: str) -> None:
    listed = served.client.get(f"/{survey}/api/v1/tags").json()
    assert all(set(entry) == {"description", "API support"} for entry in listed.values())
    number = {"ztf": "i:candid", "lsst": "r:diaSourceId"}[survey]
    for name in ("remove_unlikely_transients", "first_detections"):
        known = [row for row in served.archive.substream(name).to_pylist() if row["survey"] == survey]
        rows = served.rows(f"/{survey}/api/v1/tags", tag=name, n=1000, columns=number)
        assert [row[number] for row in rows] == [row["alert_id"] for row in known]
        assert served.rows(f"/{survey}/api/v1/tags", tag=name, n=2, columns=number) == rows[:2]


def test_solar_system_objects_are_found_by_name(served: Served) -> None:
    known = served.archive.sql("SELECT sso_name, alert_id FROM alerts WHERE survey = 'ztf' AND is_known_sso").to_pylist()
    assert known
    rows = served.rows("/ztf/api/v1/sso", n_or_d=known[0]["sso_name"], columns="i:candid")
    assert {row["i:candid"] for row in rows} == {row["alert_id"] for row in known if row["sso_name"] == known[0]["sso_name"]}
    assert served.get("/ztf/api/v1/sso", n_or_d="no such rock").status_code == 400


def test_every_format_holds_the_same(served: Served) -> None:
    name = lsst_object(served)
    asked: dict[str, Any] = {"diaObjectId": name, "columns": "r:diaSourceId,r:psfFlux,r:band,r:ssObjectId"}
    rows = served.rows("/api/v1/sources", **asked)
    answer = served.get("/api/v1/sources", **asked, output_format="csv")
    assert answer.headers["content-type"].startswith("application/csv")
    assert [int(row["r:diaSourceId"]) for row in csv.DictReader(io.StringIO(answer.text))] == [row["r:diaSourceId"] for row in rows]
    table = parse_single_table(io.BytesIO(served.get("/api/v1/sources", **asked, output_format="votable").content))
    assert table.get_field_by_id("r_psfFlux").unit == "nJy"
    assert list(table.array["r:diaSourceId"]) == [row["r:diaSourceId"] for row in rows]
    frame = pd.read_parquet(io.BytesIO(served.get("/api/v1/sources", **asked, output_format="parquet").content))
    assert str(frame["r:ssObjectId"].dtype) == "Int64"
    assert frame["r:diaSourceId"].tolist() == [row["r:diaSourceId"] for row in rows]


def test_post_asks_the_same_as_get_and_the_query_string_wins(served: Served) -> None:
    name = lsst_object(served)
    rows = served.rows("/api/v1/sources", diaObjectId=name, columns="r:psfFlux")
    body = {"diaObjectId": name, "columns": "r:psfFlux", "output-format": "json"}
    assert served.client.post("/api/v1/sources", json=body).json() == rows
    body["diaObjectId"] = "1"
    assert served.client.post("/api/v1/sources", json=body, params={"diaObjectId": name}).json() == rows
    assert served.client.post("/api/v1/sources", json=body).json() == []
    numbers = {"ra": 10, "dec": "20", "radius": "5"}
    assert served.client.post("/api/v1/conesearch", json=numbers).status_code == 200


def test_conditions_select_as_the_filters_do(served: Served) -> None:
    rows = served.rows("/ztf/api/v1/alerts", where="is_transient AND mag < 20.5", n=1000, columns="i:candid")
    known = served.archive.sql(
        "SELECT alert_id FROM alerts WHERE survey = 'ztf' AND is_transient AND mag < 20.5 ORDER BY mjd DESC, alert_id DESC"
    )
    assert rows
    assert [row["i:candid"] for row in rows] == known["alert_id"].to_pylist()
    answer = served.get("/ztf/api/v1/alerts", where="magg < 20")
    assert answer.status_code == 400
    assert "did you mean mag" in answer.json()["detail"]


def test_several_positions_are_asked_at_once(served: Served) -> None:
    places = [served.archive.object_alerts(name, "ztf").to_pylist()[0] for name in served.archive.object_names("ZTF", "ztf", 5)]
    body: dict[str, Any] = {
        "ra": [place["ra"] for place in places],
        "dec": [place["dec"] for place in places],
        "radius": 2,
        "columns": "i:objectId",
    }
    rows = served.client.post("/ztf/api/v1/conesearch", json=body).json()
    for number, place in enumerate(places):
        assert place["object_id"] in {row["i:objectId"] for row in rows if row["v:position"] == number}
    body["ra"] = body["ra"][:-1]
    assert "5 of dec" in served.client.post("/ztf/api/v1/conesearch", json=body).json()["detail"]


def test_latests_answer_for_a_substream(served: Served) -> None:
    asked: dict[str, Any] = {"n": 5, "columns": "i:candid"}
    rows = served.rows("/ztf/api/v1/latests", **{"class": "first_detections"}, **asked)
    assert rows == served.rows("/ztf/api/v1/tags", tag="first_detections", **asked)
