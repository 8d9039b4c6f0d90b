"""The routes that scripts already call: every one, of both surveys, by GET and POST, in all formats, with the names they read.

`CONTRACT` is written from the description of the public interface, and not from the routes' own declarations: a route, an argument or a
column that goes missing fails here.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table

from fink.api.registry import ROUTES
from unit.api.conftest import Served, served, served_archive

__all__ = ["served", "served_archive"]

FORMATS = {"json": "application/json", "csv": "application/csv", "votable": "text/xml", "parquet": "application/vnd.apache.parquet"}
DATES = ("startdate", "stopdate")
SIMPLE = ("columns", "output-format")
STAMPS = ("stretch", "colormap", "pmin", "pmax", "convolution_kernel")


@dataclass(frozen=True)
class Entry:
    """One route as scripts know it.

    Parameters
    ----------
    survey, path
        Where it is.
    ask
        Arguments with which it answers; words in braces stand for what the archive holds.
    arguments
        Every argument that it takes.
    required
        Those without which it answers 400.
    columns
        Names that its rows have.
    bad
        Arguments with values that are refused, and a word of what the answer says is allowed.
    unknown
        Arguments that name what is not there, which gives an empty list.
    table
        Whether it gives rows in every format; otherwise an object of its own.
    filled
        Whether the archive of the tests has rows for it.
    """

    survey: str
    path: str
    ask: Mapping[str, Any]
    arguments: tuple[str, ...]
    required: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    bad: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    table: bool = True
    filled: bool = True

    @property
    def name(self) -> str:
        return f"{self.survey}{self.path}"


_CONE = {"ra": "{ra}", "dec": "{dec}", "radius": "5"}
_CONE_BAD = {
    "radius": ("18001", "0 to 18000"),
    "n": ("none", "whole number"),
    "startdate": ("soon", "JD"),
    "output-format": ("xls", "votable"),
}
_CONE_ARGUMENTS = ("ra", "dec", "radius", "n", *DATES, "window", *SIMPLE)
_NOWHERE = {"ra": "0", "dec": "89.9"}
_SKYMAP = ("file", "bayestar", "event_name", "credible_level", "n_day_before", "n_day_after", *SIMPLE)
_SKYMAP_BAD = {"credible_level": ("1.5", "0 to 1")}
_WRONG_FORMAT = {"output-format": ("xls", "json, csv, votable, parquet")}

CONTRACT = (
    # LSST
    Entry(
        "lsst",
        "/sources",
        {"diaObjectId": "{lsst_object}"},
        ("diaObjectId", "midpointMjdTai", *SIMPLE),
        ("diaObjectId",),
        (
            "r:diaSourceId",
            "r:diaObjectId",
            "r:midpointMjdTai",
            "r:ra",
            "r:dec",
            "r:psfFlux",
            "r:psfFluxErr",
            "r:band",
            "f:is_sso",
            "f:is_first",
        ),
        _WRONG_FORMAT,
        {"diaObjectId": "1"},
    ),
    Entry(
        "lsst",
        "/objects",
        {"diaObjectId": "{lsst_object}"},
        ("diaObjectId", *SIMPLE),
        ("diaObjectId",),
        ("r:diaObjectId", "r:firstDiaSourceMjdTai", "r:nDiaSources"),
        _WRONG_FORMAT,
        {"diaObjectId": "1"},
    ),
    Entry(
        "lsst",
        "/fp",
        {"diaObjectId": "{lsst_object}"},
        ("diaObjectId", *SIMPLE),
        ("diaObjectId",),
        ("r:diaForcedSourceId", "r:diaObjectId", "r:midpointMjdTai", "r:psfFlux", "r:psfFluxErr", "r:band"),
        _WRONG_FORMAT,
        {"diaObjectId": "1"},
    ),
    Entry(
        "lsst",
        "/conesearch",
        _CONE,
        (*_CONE_ARGUMENTS, "kind"),
        ("ra", "dec", "radius"),
        ("r:ra", "r:dec", "r:midpointMjdTai", "v:separation_degree"),
        {**_CONE_BAD, "kind": ("sideways", "within, across")},
        _NOWHERE,
    ),
    Entry(
        "lsst",
        "/cutouts",
        {"diaSourceId": "{lsst_alert}", "kind": "Science"},
        ("diaSourceId", "kind", "output-format", *STAMPS),
        ("diaSourceId", "kind"),
        bad={"kind": ("Scienc", "did you mean Science"), "stretch": ("cubic", "sigmoid"), "output-format": ("GIF", "PNG, FITS, array")},
        table=False,
    ),
    Entry(
        "lsst",
        "/tags",
        {"tag": "remove_unlikely_transients", "n": "5"},
        ("tag", "n", *DATES, *SIMPLE),
        (),
        ("r:diaSourceId", "r:diaObjectId", "r:midpointMjdTai"),
        {"tag": ("no_such_tag", "there are"), **_WRONG_FORMAT},
    ),
    Entry("lsst", "/blocks", {}, (), table=False),
    Entry(
        "lsst",
        "/sso",
        {"n_or_d": "{lsst_planet}"},
        ("n_or_d", "withEphem", "withResiduals", *SIMPLE),
        ("n_or_d",),
        ("f:sso_name", "r:midpointMjdTai", "r:ra", "r:dec"),
        {"n_or_d": ("Nobody Knows It", "cannot be resolved"), "withEphem": ("true", "no ephemerides"), **_WRONG_FORMAT},
        {"n_or_d": "1802 AA"},
    ),
    Entry(
        "lsst",
        "/resolver",
        {"resolver": "ssodnet", "name_or_id": "{lsst_planet}"},
        ("resolver", "name_or_id", "reverse", "nmax", *SIMPLE),
        ("resolver", "name_or_id"),
        ("r:name", "r:mpcDesignation"),
        {"resolver": ("ned", "simbad, ssodnet, tns"), "nmax": ("many", "whole number"), "reverse": ("perhaps", "true nor false")},
        {"name_or_id": "Nobody Knows It"},
    ),
    Entry(
        "lsst",
        "/skymap",
        {"bayestar": "{skymap}", "credible_level": "0.99"},
        _SKYMAP,
        ("credible_level",),
        ("r:ra", "r:dec", "r:diaObjectId", "v:startgwMjdTai"),
        {**_SKYMAP_BAD, "bayestar": ("__import__('os')", "base64")},
    ),
    Entry(
        "lsst",
        "/statistics",
        {"date": "{year}"},
        ("date", *SIMPLE),
        (),
        ("f:night", "f:alerts", "f:alerts_r", "f:objects", "f:is_sso", "f:visits"),
        _WRONG_FORMAT,
        {"date": "1999"},
    ),
    Entry("lsst", "/schema", {"endpoint": "/api/v1/sources"}, ("endpoint", "major_version", "minor_version"), table=False),
    # ZTF
    Entry(
        "ztf",
        "/objects",
        {"objectId": "{ztf_object}"},
        ("objectId", "withupperlim", "withcutouts", "cutout-kind", *SIMPLE),
        ("objectId",),
        (
            *(
                "i:objectId",
                "i:candid",
                "i:jd",
                "i:fid",
                "i:magpsf",
                "i:sigmapsf",
                "i:ra",
                "i:dec",
                "i:isdiffpos",
                "i:ssnamenr",
                "d:cdsxmatch",
            ),
            *("v:classification", "v:g-r", "v:sigma(g-r)", "v:rate(g-r)", "v:sigma(rate(g-r))", "v:rate", "v:sigma(rate)", "v:lastdate"),
            *("v:firstdate", "v:lapse", "v:constellation"),
        ),
        {"withupperlim": ("perhaps", "true nor false"), "cutout-kind": ("Sience", "did you mean Science"), **_WRONG_FORMAT},
        {"objectId": "ZTF99nosuch"},
    ),
    Entry(
        "ztf",
        "/cutouts",
        {"objectId": "{ztf_object}", "kind": "Science"},
        ("objectId", "kind", "candid", "output-format", *STAMPS),
        ("kind",),
        bad={"kind": ("Scienc", "did you mean Science"), "stretch": ("cubic", "sigmoid"), "output-format": ("GIF", "PNG, FITS, array")},
        table=False,
    ),
    Entry(
        "ztf",
        "/latests",
        {"class": "first_detections", "n": "5"},
        ("class", "n", *DATES, "trend", "color", *SIMPLE),
        ("class",),
        ("i:objectId", "i:jd", "v:classification", "v:lastdate"),
        {"class": ("No Such Class", "/classes"), "trend": ("sideways", "rising, fading"), "n": ("0", "1 to")},
    ),
    Entry("ztf", "/classes", {}, (), table=False),
    Entry(
        "ztf",
        "/conesearch",
        _CONE,
        _CONE_ARGUMENTS,
        ("ra", "dec", "radius"),
        ("i:ra", "i:dec", "i:objectId", "v:separation_degree"),
        _CONE_BAD,
        _NOWHERE,
    ),
    Entry(
        "ztf",
        "/sso",
        {"n_or_d": "{ztf_planet}"},
        ("n_or_d", "withEphem", "withResiduals", "withcutouts", "cutout-kind", *SIMPLE),
        ("n_or_d",),
        ("i:ssnamenr", "i:jd", "i:magpsf", "sso_name", "sso_number"),
        {"n_or_d": ("Nobody Knows It", "cannot be resolved"), "withResiduals": ("true", "no ephemerides")},
        {"n_or_d": "1802 AA"},
    ),
    Entry(
        "ztf",
        "/ssocand",
        {"kind": "orbParams"},
        ("kind", "ssoCandId", "start_date", "stop_date", "maxnumber", *SIMPLE),
        ("kind",),
        ("d:ssoCandId", "d:a", "d:e", "d:i", "d:ref_epoch", "d:chi_reduced"),
        {"kind": ("orbits", "orbParams, lightcurves"), "start_date": ("soon", "JD")},
        filled=False,
    ),
    Entry(
        "ztf",
        "/ssoft",
        {"flavor": "SHG1G2"},
        ("sso_name", "sso_number", "schema", "flavor", "version", "output-format"),
        (),
        ("sso_name", "sso_number", "H_1", "H_2", "G1_1", "G2_1", "R", "alpha0", "delta0", "obliquity", "n_obs", "status", "fit"),
        {"flavor": ("HG3", "SHG1G2"), "version": ("2020.01", "2023.07")},
        filled=False,
    ),
    Entry("ztf", "/ssobulk", {}, ("output-format",), (), ("ssnamenr", "cra", "cdec", "cmagpsf", "csigmapsf", "cfid", "cjd"), _WRONG_FORMAT),
    Entry(
        "ztf",
        "/resolver",
        {"resolver": "ssodnet", "name": "{ztf_planet}"},
        ("resolver", "name", "reverse", "nmax", *SIMPLE),
        ("resolver", "name"),
        ("i:name", "i:number", "i:ssnamenr", "i:source"),
        {"resolver": ("ned", "simbad, ssodnet, tns")},
        {"name": "Nobody Knows It"},
    ),
    Entry(
        "ztf",
        "/tracklet",
        {"date": "2025-11-20"},
        ("date", "id", *SIMPLE),
        (),
        ("i:objectId", "i:jd", "d:tracklet"),
        {"id": ("TRCK_1", "TRCK_20231213_133612_00"), "date": ("soon", "JD")},
        filled=False,
    ),
    Entry(
        "ztf",
        "/skymap",
        {"bayestar": "{skymap}", "credible_level": "0.99"},
        _SKYMAP,
        ("credible_level",),
        ("i:ra", "i:dec", "i:objectId", "v:jdstartgw"),
        {**_SKYMAP_BAD, "bayestar": ("b'\\x41'", "no FITS")},
    ),
    Entry(
        "ztf",
        "/statistics",
        {"date": "{year}"},
        ("date", "schema", *SIMPLE),
        (),
        ("key:key", "basic:raw", "basic:sci", "basic:fields", "basic:exposures", "class:Solar System MPC"),
        _WRONG_FORMAT,
        {"date": "1999"},
    ),
    Entry(
        "ztf",
        "/anomaly",
        {"n": "10"},
        ("n", "start_date", "stop_date", *SIMPLE),
        (),
        ("i:objectId", "i:jd", "d:anomaly_score"),
        {"n": ("-1", "1 to"), "stop_date": ("soon", "JD")},
        filled=False,
    ),
    Entry(
        "ztf",
        "/metadata",
        {"objectId": "all"},
        ("objectId", "internal_name", "internal_name_encoded", "username", "comments"),
        filled=False,
    ),
    Entry("ztf", "/schema", {"endpoint": "/api/v1/objects"}, ("endpoint",), table=False),
)

TABLES = [entry for entry in CONTRACT if entry.table and entry.path != "/metadata"]
BEYOND = {"/alerts", "/ledger", "/tags", "/blocks"}
"""Routes that one survey or both did not have before."""


@pytest.fixture(scope="module")
def words(served: Served) -> dict[str, str]:
    """Give what the words in braces stand for in the archive of the tests."""

    def busiest(survey: str) -> dict[str, Any]:
        text = (
            "SELECT object_id, count(*) AS n, arg_max(alert_id, mjd) AS alert, any_value(ra) AS ra, any_value(dec) AS dec FROM alerts "
            f"WHERE survey = '{survey}' AND object_id IS NOT NULL GROUP BY object_id ORDER BY n DESC, object_id LIMIT 1"
        )
        row: dict[str, Any] = served.archive.sql(text).to_pylist()[0]
        return row

    def planet(survey: str) -> str:
        text = f"SELECT min(sso_name) AS name FROM alerts WHERE survey = '{survey}' AND sso_name IS NOT NULL"
        return str(served.archive.sql(text)["name"][0].as_py())

    lsst, ztf = busiest("lsst"), busiest("ztf")
    night = served.archive.statistics()["nights"][0]["night"]
    found = {"lsst_object": lsst["object_id"], "lsst_alert": lsst["alert"], "ztf_object": ztf["object_id"], "year": str(night)[:4]}
    found |= {"lsst_planet": planet("lsst"), "ztf_planet": planet("ztf"), "skymap": _skymap()}
    return {name: str(value) for name, value in found.items()} | {
        f"{survey}_{name}": repr(row[name]) for survey, row in (("lsst", lsst), ("ztf", ztf)) for name in ("ra", "dec")
    }


def _skymap() -> str:
    """Write a sky map of the whole sky, without a time, in base64."""
    table = fits.BinTableHDU.from_columns([fits.Column("PROB", "D", array=np.full(12, 1 / 12))])
    table.header.update({"NSIDE": 1, "ORDERING": "NESTED", "PIXTYPE": "HEALPIX"})
    sink = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(sink)
    return base64.b64encode(sink.getvalue()).decode()


def asked(entry: Entry, words: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Give the arguments of a question, with what the archive holds in place of the words."""
    found = {
        name: value.format(**{**words, **{key: words[f"{entry.survey}_{key}"] for key in ("ra", "dec")}})
        for name, value in entry.ask.items()
    }
    return found | {name.replace("output_format", "output-format"): value for name, value in more.items()}


def answers(served: Served, entry: Entry, arguments: Mapping[str, Any]) -> dict[str, httpx.Response]:
    """Ask by GET and by POST; a sky map is too long for an address."""
    path = f"/{entry.survey}/api/v1{entry.path}"
    found = {"POST": served.client.post(path, json=dict(arguments))}
    if len(str(arguments)) < 4000:
        found["GET"] = served.client.get(path, params=dict(arguments))
    return found


def test_the_contract_names_every_route_and_argument() -> None:
    declared = {(survey, route.path): route for route in ROUTES for survey in route.surveys}
    known = {(entry.survey, entry.path) for entry in CONTRACT}
    assert known <= set(declared)
    assert {path for _, path in set(declared) - known} <= BEYOND
    for entry in CONTRACT:
        route = declared[entry.survey, entry.path]
        assert set(entry.arguments) <= {argument.name for argument in route.arguments}, entry.name
        assert {argument.name for argument in route.arguments if argument.required} == set(entry.required), entry.name


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("entry", TABLES, ids=lambda entry: entry.name)
def test_tables_are_the_same_in_every_format_by_either_method(served: Served, words: dict[str, str], entry: Entry, output: str) -> None:
    # all columns at once are asked for in a test of their own: astropy takes seconds for a thousand fields
    some = {"columns": ",".join(entry.columns)} if "columns" in entry.arguments else {}
    arguments = {**asked(entry, words, output_format="json"), **some}
    known = served.client.post(f"/{entry.survey}/api/v1{entry.path}", json=arguments).json()
    assert bool(known) == entry.filled
    for method, answer in answers(served, entry, {**arguments, "output-format": output}).items():
        assert answer.status_code == 200, (method, answer.text)
        assert answer.headers["content-type"].partition(";")[0] == FORMATS[output]
        names, rows = READ[output](answer.content)
        assert rows == len(known)
        if known or output != "json":
            flat = {name for name in entry.columns if output in ("json", "parquet") or not _nested(known, name)}
            assert flat <= set(names), flat - set(names)


@pytest.mark.parametrize("entry", TABLES, ids=lambda entry: entry.name)
def test_all_columns_are_given_where_none_is_named(served: Served, words: dict[str, str], entry: Entry) -> None:
    answer = served.client.post(f"/{entry.survey}/api/v1{entry.path}", json=asked(entry, words, output_format="json"))
    assert answer.status_code == 200, answer.text
    assert all(set(entry.columns) <= set(row) for row in answer.json())
    assert bool(answer.json()) == entry.filled or answer.headers["content-type"] != "application/json"


def _nested(rows: list[dict[str, Any]], name: str) -> bool:
    return any(isinstance(row.get(name), list) for row in rows)


def _json(data: bytes) -> tuple[list[str], int]:
    rows = json.loads(data, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    return list(rows[0]) if rows else [], len(rows)


def _csv(data: bytes) -> tuple[list[str], int]:
    reader = csv.DictReader(io.StringIO(data.decode()))
    return list(reader.fieldnames or []), len(list(reader))


def _votable(data: bytes) -> tuple[list[str], int]:
    table = parse_single_table(io.BytesIO(data))
    assert all(field.ID for field in table.fields)
    return [field.name for field in table.fields], len(table.array)


def _parquet(data: bytes) -> tuple[list[str], int]:
    frame, table = pd.read_parquet(io.BytesIO(data)), pq.read_table(io.BytesIO(data))
    whole = [field.name for field in table.schema if str(field.type) in ("int16", "int32", "int64")]
    assert all(str(frame[name].dtype).startswith("Int") for name in whole)
    assert list(frame.columns) == table.column_names
    return list(frame.columns), len(frame)


READ = {"json": _json, "csv": _csv, "votable": _votable, "parquet": _parquet}


@pytest.mark.parametrize("entry", CONTRACT, ids=lambda entry: entry.name)
def test_a_get_without_arguments_describes_the_route_or_answers(served: Served, entry: Entry) -> None:
    answer = served.client.get(f"/{entry.survey}/api/v1{entry.path}")
    assert answer.status_code == 200
    if answer.headers["content-type"].startswith("text/plain"):
        assert all(name in answer.text for name in entry.arguments)
    assert entry.survey != "lsst" or served.client.get(f"/api/v1{entry.path}").text == answer.text.replace("/lsst/api", "/api")


@pytest.mark.parametrize(("entry", "name"), [(entry, name) for entry in CONTRACT for name in entry.required], ids=str)
def test_what_is_required_is_asked_for(served: Served, words: dict[str, str], entry: Entry, name: str) -> None:
    arguments = {key: value for key, value in asked(entry, words, columns="x").items() if key != name}
    for answer in answers(served, entry, arguments).values():
        check_refused(answer, name)


@pytest.mark.parametrize(("entry", "name"), [(entry, name) for entry in CONTRACT for name in entry.bad], ids=str)
def test_bad_values_are_refused_with_what_is_allowed(served: Served, words: dict[str, str], entry: Entry, name: str) -> None:
    value, told = entry.bad[name]
    for answer in answers(served, entry, {**asked(entry, words), name: value}).values():
        check_refused(answer, told)


def check_refused(answer: httpx.Response, told: str) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert told in problem["detail"]


@pytest.mark.parametrize("entry", [entry for entry in CONTRACT if entry.unknown], ids=lambda entry: entry.name)
def test_what_is_not_there_gives_an_empty_list(served: Served, words: dict[str, str], entry: Entry) -> None:
    for answer in answers(served, entry, {**asked(entry, words), **entry.unknown}).values():
        assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("entry", [entry for entry in TABLES if "columns" in entry.arguments], ids=lambda entry: entry.name)
def test_columns_are_chosen_and_unknown_ones_left_out_with_a_warning(served: Served, words: dict[str, str], entry: Entry) -> None:
    wanted = entry.columns[0]
    for answer in answers(served, entry, asked(entry, words, columns=f"{wanted},x:nonsense")).values():
        assert answer.status_code == 200, answer.text
        assert "x:nonsense" in answer.headers["X-Fink-Warning"]
        assert all(wanted in row and "x:nonsense" not in row and len(row) < 8 for row in answer.json())


@pytest.mark.parametrize("entry", [entry for entry in TABLES if "n" in entry.arguments or "radius" in entry.required], ids=lambda e: e.name)
def test_numbers_may_be_text(served: Served, words: dict[str, str], entry: Entry) -> None:
    text = asked(entry, words, n="3")
    numbers = {name: _number(value) for name, value in text.items()}
    assert any(not isinstance(value, str) for value in numbers.values())
    path = f"/{entry.survey}/api/v1{entry.path}"
    assert served.client.post(path, json=numbers).json() == served.client.post(path, json=text).json()


def _number(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def test_ids_may_be_numbers(served: Served, words: dict[str, str]) -> None:
    number = int(words["lsst_object"])
    rows = served.client.post("/api/v1/sources", json={"diaObjectId": number, "columns": "r:diaObjectId"}).json()
    assert {row["r:diaObjectId"] for row in rows} == {number}


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
@pytest.mark.parametrize("kind", ["Science", "Template", "Difference"])
def test_stamps_come_as_picture_file_and_numbers(served: Served, words: dict[str, str], survey: str, kind: str) -> None:
    entry = next(entry for entry in CONTRACT if entry.name == f"{survey}/cutouts")
    name = f"b:cutout{kind}_stampData" if survey == "ztf" else f"b:cutout{kind}"
    for output, begins in (("PNG", b"\x89PNG"), ("FITS", b"SIMPLE"), ("array", b'{"' + name.encode())):
        for answer in answers(served, entry, {**asked(entry, words, output_format=output), "kind": kind}).values():
            assert answer.status_code == 200, answer.text
            assert answer.content.startswith(begins)


def test_notes_are_read_by_get_and_written_with_a_token_only(served: Served, words: dict[str, str]) -> None:
    note = {"objectId": words["ztf_object"], "internal_name": "my favourite", "username": "me", "comments": "blue"}
    answer = served.client.post("/ztf/api/v1/metadata", json=note)
    assert answer.status_code == 401
    assert served.rows("/ztf/api/v1/metadata", objectId=words["ztf_object"]) == []
