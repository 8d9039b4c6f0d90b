"""Cone searches answer as Simple Cone Search 1.03 says."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse

from fink.archive.embedded import EmbeddedArchive
from fink.config import VoSettings
from fink.errors import RequestError
from fink.vo.cone import cone_error, cone_search
from fink.vo.tables import Table

SETTINGS = VoSettings.model_validate({})


@pytest.fixture(params=["ztf", "lsst"])
def table(request: pytest.FixtureRequest, tables: Mapping[str, Table]) -> Table:
    return tables[f"{request.param}.objects"]


def search(archive: EmbeddedArchive, table: Table, **arguments: object) -> Any:
    given = {name.upper(): [str(value)] for name, value in arguments.items()}
    return parse(io.BytesIO(cone_search(archive, table, given, SETTINGS, "http://here")), verify="exception").resources[0]


def first_place(archive: EmbeddedArchive, survey: str) -> dict[str, Any]:
    row: dict[str, Any] = archive.sql(f"SELECT ra, dec FROM alerts WHERE survey = '{survey}' ORDER BY alert_id LIMIT 1").to_pylist()[0]
    return row


def test_objects_around_a_place_the_nearest_first(archive: EmbeddedArchive, table: Table) -> None:
    place = first_place(archive, table.schema)
    found = search(archive, table, **place, sr=5).tables[0].to_table()
    assert len(found) > 1
    apart = SkyCoord(found["ra"], found["dec"], unit="deg").separation(SkyCoord(place["ra"], place["dec"], unit="deg"))
    assert np.allclose(apart.arcsec, found["separation"], atol=1e-6)
    assert (np.diff(found["separation"]) >= 0).all()
    assert found["separation"][-1] <= 5 * 3600
    assert len(set(found["id"])) == len(found)


@pytest.mark.parametrize("verb", [1, 2, 3])
def test_the_three_columns_of_the_standard(archive: EmbeddedArchive, table: Table, verb: int) -> None:
    fields = search(archive, table, **first_place(archive, table.schema), sr=1, verb=verb).tables[0].fields
    for ucd, datatype in (("ID_MAIN", "char"), ("POS_EQ_RA_MAIN", "double"), ("POS_EQ_DEC_MAIN", "double")):
        assert [field.datatype for field in fields if field.ucd == ucd] == [datatype]
    assert len(fields) in {1: range(5, 20), 2: range(20, 100), 3: range(500, 2000)}[verb]


def test_no_radius_asks_for_the_columns_alone(archive: EmbeddedArchive, table: Table) -> None:
    found = search(archive, table, ra=1, dec=2, sr=0).tables[0]
    assert len(found.array) == 0
    assert len(found.fields) > 20


def test_more_than_wanted_is_told(archive: EmbeddedArchive, table: Table) -> None:
    found = search(archive, table, **first_place(archive, table.schema), sr=5, maxrec=1)
    assert len(found.tables[0].array) == 1
    assert [info.value for info in found.infos] == ["OVERFLOW"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"dec": 2, "sr": 1}, "RA is missing"),
        ({"ra": "x", "dec": 2, "sr": 1}, "is not a number"),
        ({"ra": 361, "dec": 2, "sr": 1}, "from 0 to 360"),
        ({"ra": 1, "dec": -91, "sr": 1}, "from -90 to 90"),
        ({"ra": 1, "dec": "nan", "sr": 1}, "not possible"),
        ({"ra": 1, "dec": 2, "sr": -1}, "not possible"),
        ({"ra": 1, "dec": 2, "sr": 6}, "largest radius"),
        ({"ra": 1, "dec": 2, "sr": 1, "verb": 4}, "VERB"),
        ({"ra": 1, "dec": 2, "sr": 1, "maxrec": "all"}, "MAXREC"),
        ({"ra": 1, "dec": 2, "sr": 1, "maxrec": "0" * 5000}, "MAXREC"),
    ],
)
def test_a_wrong_question_is_told_what_is_allowed(archive: EmbeddedArchive, table: Table, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        search(archive, table, **arguments)


def test_errors_are_documents() -> None:
    found = parse(io.BytesIO(cone_error(RequestError("SR < 0"))), verify="exception")
    assert [(info.name, info.value) for info in found.resources[0].infos] == [("Error", "SR < 0")]
