"""The clients that astronomers have, pyvo and astropy, on a running server: cone search, TAP, DataLink."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
import pyvo
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse

from fink.codecs.cutouts import read_fits
from unit.api.conftest import Served, served_archive, serving

__all__ = ["served_archive"]

SURVEYS = ("ztf", "lsst")
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "vo.md"


@pytest.fixture(scope="module")
def served(served_archive: Path) -> Iterator[Served]:
    with serving(served_archive) as server:
        yield server


@pytest.fixture(scope="module")
def base(served: Served) -> str:
    return str(served.client.base_url).rstrip("/")


@pytest.fixture(scope="module")
def tap(base: str) -> Any:
    return pyvo.dal.TAPService(f"{base}/tap")


def place(served: Served, survey: str) -> dict[str, Any]:
    text = f"SELECT object_id, ra, dec FROM alerts WHERE survey = '{survey}' AND object_id IS NOT NULL ORDER BY mjd DESC, alert_id LIMIT 1"
    found: dict[str, Any] = served.archive.sql(text).to_pylist()[0]
    return found


@pytest.mark.parametrize("survey", SURVEYS)
def test_pyvo_searches_around_a_position(served: Served, base: str, survey: str) -> None:
    here = place(served, survey)
    centre = SkyCoord(here["ra"], here["dec"], unit="deg")
    found = pyvo.dal.SCSService(f"{base}/scs/{survey}").search(pos=centre, radius=0.5 * u.deg, verbosity=2)
    assert len(found) > 0
    assert here["object_id"] in [row.id for row in found]
    assert all(row.pos.separation(centre).deg <= 0.5 for row in found)
    for links in found.iter_datalinks():
        assert {"#this", "#cutout"} <= set(links["semantics"])


def test_pyvo_is_told_what_is_wrong_with_a_search(base: str) -> None:
    with pytest.raises(pyvo.dal.DALQueryError, match="largest radius"):
        pyvo.dal.SCSService(f"{base}/scs/ztf").search(pos=(40, 2), radius=20)


@pytest.mark.parametrize("survey", SURVEYS)
def test_pyvo_asks_adql_and_gets_what_the_archive_holds(served: Served, tap: Any, survey: str) -> None:
    here = place(served, survey)
    found = tap.search(
        f"SELECT object_id, mjd, mag FROM {survey}.alerts WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), "
        f"CIRCLE('ICRS', {here['ra']}, {here['dec']}, 1.0)) AND NOT object_id IS NULL ORDER BY mjd, alert_id"
    ).to_table()
    expected = served.archive.cone(here["ra"], here["dec"], 3600.0, survey).sort_by([("mjd", "ascending"), ("alert_id", "ascending")])
    expected = expected.filter(expected["object_id"].is_valid())
    assert list(found["object_id"]) == expected["object_id"].to_pylist() != []
    assert np.array_equal(found["mjd"], expected["mjd"].to_numpy())
    assert found["mag"].unit == u.mag


def test_pyvo_reads_what_tables_there_are(served: Served, tap: Any) -> None:
    assert {f"{survey}.{kind}" for survey in SURVEYS for kind in ("alerts", "objects", "points")} <= set(tap.tables.keys())
    columns = {column.name: column for column in tap.tables["lsst.alerts"].columns}
    assert columns["ra"].ucd == "pos.eq.ra;meta.main"
    assert tap.hardlimit >= tap.maxrec
    assert all(len(tap.search(example["QUERY"])) >= 0 for example in tap.examples)


def test_pyvo_learns_of_overflow_and_errors(tap: Any) -> None:
    cut = tap.search("SELECT ra FROM ztf.alerts", maxrec=3)
    assert (len(cut), cut.query_status) == (3, "OVERFLOW")
    with pytest.raises(pyvo.dal.DALQueryError, match=r"did you mean ztf\.alerts"):
        tap.search("SELECT ra FROM ztf.alertz")
    with pytest.raises(pyvo.dal.DALQueryError, match="not tables"):
        tap.search("SELECT * FROM read_csv('/etc/passwd')")


@pytest.mark.parametrize("survey", SURVEYS)
def test_pyvo_follows_each_row_to_light_curve_and_stamps(served: Served, tap: Any, survey: str) -> None:
    here = place(served, survey)
    rows = tap.search(f"SELECT alert_id, object_id, ra FROM {survey}.alerts WHERE object_id = '{here['object_id']}'")
    links = list(next(rows.iter_datalinks()))
    by_kind = {link["semantics"]: link for link in links}
    curve = parse(io.BytesIO(served.client.get(by_kind["#auxiliary"]["access_url"]).content), verify="exception").get_first_table()
    assert len(curve.array) == served.archive.light_curve(here["object_id"], survey).num_rows
    stamps = [served.client.get(link["access_url"]) for link in links if link["semantics"] == "#cutout"]
    assert len(stamps) == 3
    for stamp in stamps:
        assert any(unit.image is not None for unit in read_fits(stamp.content))
    picture = served.client.get(by_kind["#preview-image"]["access_url"])
    assert picture.headers["content-type"] == "image/png"
    whole = parse(io.BytesIO(served.client.get(by_kind["#this"]["access_url"]).content), verify="exception").get_first_table()
    assert whole.array["object_id"].tolist() == [here["object_id"]]


@pytest.mark.parametrize("survey", SURVEYS)
@pytest.mark.parametrize("form", ["votable/td", "votable/b2"])
def test_astropy_finds_nothing_wrong_in_any_document(served: Served, base: str, survey: str, form: str) -> None:
    here = place(served, survey)
    query = {"LANG": "ADQL", "QUERY": f"SELECT TOP 5 * FROM {survey}.alerts", "RESPONSEFORMAT": form}
    cone = {"RA": here["ra"], "DEC": here["dec"], "SR": 1, "VERB": 3}
    for path, arguments in (
        ("/tap/sync", query),
        ("/tap/sync", {**query, "QUERY": f"SELECT TOP 5 ra, dec, mjd, n_alerts, object_id, alert_id FROM {survey}.objects"}),
        ("/tap/sync", {**query, "QUERY": "SELECT TOP 50 * FROM tap_schema.columns"}),
        ("/tap/sync", {**query, "QUERY": "SELECT nothing"}),
        (f"/scs/{survey}", cone),
        (f"/scs/{survey}", {**cone, "SR": 0, "VERB": 2}),
        (f"/scs/{survey}", {**cone, "SR": -1}),
        (f"/datalink/{survey}/object", {"ID": [here["object_id"], "nothing"]}),
        (f"/datalink/{survey}/lightcurve", {"ID": here["object_id"]}),
    ):
        answer = served.client.get(path, params=arguments)
        assert answer.headers["content-type"].startswith("application/x-votable+xml")
        parse(io.BytesIO(answer.content), verify="exception")


def test_the_guide_runs(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"(?ms)^```py\n(.*?)^```", GUIDE.read_text())
    assert len(blocks) == 4
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block.replace("http://127.0.0.1:8000", base), str(GUIDE), "exec"), names)
    printed = capsys.readouterr().out
    assert "points of" in printed
    assert "#cutout" in printed
