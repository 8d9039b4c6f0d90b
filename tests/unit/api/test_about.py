"""Routes that say what there is: schema, named conditions, statistics, ledger."""

from __future__ import annotations

import pytest

from fink import filters
from unit.api.conftest import Served


@pytest.mark.parametrize(("survey", "first", "added"), [("ztf", "i:", "d:"), ("lsst", "r:", "f:")])
def test_the_schema_names_every_column_of_an_answer(served: Served, survey: str, first: str, added: str) -> None:
    families = served.client.get(f"/{survey}/api/v1/schema").json()
    assert len(families) == 4
    described = {name: entry for family in families.values() for name, entry in family.items()}
    assert all(entry["doc"] and entry["type"] for entry in described.values())
    rows = served.rows(f"/{survey}/api/v1/tags", tag="remove_unlikely_transients", n=1)
    assert set(rows[0]) <= set(described)
    assert {name[:2] for name in described} == {first, added, "v:", "b:"}
    assert {name for name in described if name.startswith((first, added))} <= set(rows[0])


def test_the_schema_of_objects_is_that_of_their_route(served: Served) -> None:
    families = served.client.get("/api/v1/schema", params={"endpoint": "/api/v1/objects"}).json()
    described = {name for family in families.values() for name in family if name.startswith(("r:", "f:"))}
    name = served.archive.object_names("", "lsst", 1)[0]
    assert set(served.rows("/api/v1/objects", diaObjectId=name)[0]) == described
    assert served.client.get("/api/v1/schema", params={"endpoint": "/api/v1/objekts"}).status_code == 404


def test_blocks_are_the_named_conditions(served: Served) -> None:
    assert set(served.client.get("/api/v1/blocks").json()) == set(filters.named_cuts())


def test_statistics_count_each_night(served: Served) -> None:
    nights = [night for night in served.archive.statistics()["nights"] if night["survey"] == "ztf"]
    rows = served.rows("/ztf/api/v1/statistics", date="")
    assert [row["basic:alerts"] for row in rows] == [night["archived"] for night in nights]
    first = nights[0]["night"]
    assert [row["basic:night"] for row in served.rows("/ztf/api/v1/statistics", date=str(first))] == [first]
    assert len(served.rows("/ztf/api/v1/statistics", date=str(first)[:4])) == len(nights)
    assert served.rows("/ztf/api/v1/statistics", date="1999") == []


def test_the_ledger_is_the_archives(served: Served) -> None:
    assert served.client.get("/api/v1/ledger").json() == served.archive.ledger()
