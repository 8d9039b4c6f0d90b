"""Every column and field of every survey has its meaning, under the names that its users know."""

from __future__ import annotations

import pytest

from fink import surveys
from fink.errors import NotFoundError
from fink.services.meanings import ALERTS, OBJECTS, PACKETS, POINTS, meanings, packet_fields, tables_of
from fink.services.trials import vocabulary
from fink.surveys.public import public_columns


@pytest.mark.parametrize("survey", surveys.registry())
def test_the_alerts_of_a_survey_have_all_their_public_names(survey: str) -> None:
    rows = meanings(survey, ALERTS, vocabulary().values())
    assert {row["name"] for row in rows} == public_columns(survey, vocabulary().values()).keys()
    assert all(row["about"] and row["type"] and row["from"] for row in rows)


def test_what_has_another_form_outside_has_its_public_type() -> None:
    rows = {row["column"]: row for row in meanings("ztf", ALERTS, vocabulary().values())}
    assert (rows["band"]["name"], rows["band"]["type"]) == ("i:fid", "int32")
    assert (rows["mag"]["name"], rows["mag"]["module"], rows["mag"]["from"]) == ("i:magpsf", "", "ZTF")
    assert rows["colour"]["from"] == "module colour"


@pytest.mark.parametrize("survey", surveys.registry())
def test_the_fields_of_a_packet_are_told_with_the_column_they_are_kept_as(survey: str) -> None:
    rows = packet_fields(survey)
    own = {column.name for column in surveys.registry()[survey].columns}
    kept = {row["column"] for row in rows if row["column"]}
    assert len({(row["name"], row["versions"], row["type"]) for row in rows}) == len(rows)
    assert len(kept & own) > 0.8 * len(own)
    assert all(row["about"] for row in rows if row["column"])


def test_the_fields_of_records_in_records_have_their_path() -> None:
    names = [row["name"] for row in packet_fields("ztf")]
    assert {"objectId", "candidate.magpsf", "prv_candidates.magpsf", "cutoutScience.stampData"} <= set(names)


def test_only_a_survey_that_tells_objects_from_alerts_has_columns_of_objects() -> None:
    assert OBJECTS in tables_of("lsst")
    assert OBJECTS not in tables_of("ztf")
    assert {row["column"] for row in meanings("ztf", POINTS, ())} >= {"flux", "kind", "mjd"}
    assert meanings("ztf", PACKETS, ())
    with pytest.raises(NotFoundError, match="did you mean alerts"):
        meanings("ztf", "alert", ())
