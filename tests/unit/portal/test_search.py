"""The home page and the results: complete, shareable, and helpful where nothing is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink.portal import search
from fink.services.catalogues import Catalogues
from unit.api.conftest import Served, serving

HTML = {"Accept": "text/html"}


def twin(served: Served, query: str, **more: Any) -> dict[str, Any]:
    answer = served.client.get("/search", params={"q": query, "format": "json", **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def page(served: Served, query: str, **more: Any) -> str:
    answer = served.client.get("/search", params={"q": query, **more}, headers=HTML)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_home_page_counts_what_the_archive_holds(served: Served) -> None:
    shown = served.client.get("/", headers=HTML).text
    assert f"<dd>{served.archive.statistics()['alerts']:,}</dd>" in shown


def test_the_examples_of_the_home_page_find_something(served: Served) -> None:
    for query in served.client.get("/", params={"format": "json"}).json()["examples"]:
        if query == "mag < 17 AND is_transient":
            continue
        answer = served.client.get("/search", params={"q": query, "format": "json"})
        assert answer.status_code == 302 or answer.json()["total"] > 0, query


def test_addresses_of_the_older_portal_lead_to_the_same_results(served: Served) -> None:
    row = served.archive.object_alerts(served.archive.object_names("ZTF", "ztf", 1)[0]).to_pylist()[-1]
    cone = served.client.get("/", params={"action": "conesearch", "ra": row["ra"], "dec": row["dec"], "r": 5}, follow_redirects=True)
    assert row["object_id"] in cone.text
    tag = served.client.get("/", params={"action": "tag", "tag": "first_detections", "last": 4}, headers=HTML, follow_redirects=True)
    assert "first_detections" in tag.text
    assert served.client.get(f"/{row['object_id']}").headers["location"] == f"/ztf/object/{row['object_id']}"
    assert served.client.get("/nothing_of_this_name", headers=HTML).status_code == 404


def test_pages_of_results_hold_every_alert_once(served: Served) -> None:
    whole = twin(served, "after=2000-01-01 last=1000", by="alert", view="map")
    seen: list[int] = []
    number, pages = 1, 1
    while number <= pages:
        part = twin(served, "after=2000-01-01 last=1000", by="alert", page=number)
        seen += [card["alert_id"] for card in part["cards"]]
        pages, number = part["paging"]["pages"], number + 1
    assert pages > 1
    assert seen == [row["alert_id"] for row in whole["rows"]]
    assert len(set(seen)) == whole["total"]


def test_objects_come_once_unless_every_alert_is_asked_for(served: Served) -> None:
    names = [row["object_id"] for row in twin(served, "after=2000-01-01 last=1000", view="map")["rows"] if row["object_id"]]
    assert len(names) == len(set(names))
    assert twin(served, "after=2000-01-01 last=1000", view="map", by="alert")["total"] == served.archive.statistics()["alerts"]


def test_a_table_is_sorted_by_a_column_and_its_head_turns_the_order(served: Served) -> None:
    rising = twin(served, "after=2000-01-01", view="table", sort="mag")
    mags = [row["mag"] for row in rising["rows"] if row["mag"] is not None]
    assert mags == sorted(mags)
    head = next(each for each in rising["header"] if each["name"] == "mag")
    falling = served.client.get(head["sort"] + "&format=json")
    mags = [row["mag"] for row in falling.json()["rows"] if row["mag"] is not None]
    assert mags == sorted(mags, reverse=True)


def test_any_column_can_be_shown_and_an_unknown_one_is_named(served: Served) -> None:
    found = twin(served, "tag=first_detections", view="table", columns="object_id,mag,schema_version")
    assert [each["name"] for each in found["header"]] == ["object_id", "mag", "schema_version"]
    assert all(row["schema_version"] for row in found["rows"])
    answer = served.client.get("/search", params={"q": "tag=first_detections", "view": "table", "columns": "magg", "format": "json"})
    assert answer.status_code == 400
    assert "did you mean mag?" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("tag=first_detection", "did you mean first_detections?"),
        ("1.0 -89.9", "Look further"),
        ("star of nobody", "was taken for a name"),
        ("1999-01-01", "The archive holds"),
        ("ZTF99zzzzzzz", "no object whose name begins like this"),
        ("sso=nobody", "no alert of a solar-system object"),
        ("mag < -5", "No alert of the archive is like that"),
    ],
)
def test_what_was_not_found_or_understood_says_what_to_do(served: Served, query: str, said: str) -> None:
    shown = page(served, query)
    assert said in shown.replace("&#39;", "'")
    assert "What can be typed" in shown


def test_what_is_typed_is_never_code(served: Served) -> None:
    assert "<script>alert" not in page(served, "<script>alert(1)</script>")


def test_a_draw_has_an_address_that_gives_it_again(served: Served) -> None:
    moved = served.client.get("/search", params={"q": "random=4", "format": "json"})
    assert moved.status_code == 302
    assert "seed=" in moved.headers["location"]
    first, again = (served.client.get(moved.headers["location"]).json()["cards"] for _ in range(2))
    assert first == again
    assert len(first) == 4


def test_values_are_written_as_people_read_them() -> None:
    assert (search.written(None), search.written(True), search.written(1.23456789), search.written(18.2, 3)) == (
        "–",
        "yes",
        "1.23457",
        "18.200",
    )
    assert [search.rate(value) for value in (0.001, -0.5, 0.5)] == ["steady", "0.50 mag/day brighter", "0.50 mag/day fainter"]
    assert (search.fixed(-1.234), search.fixed(None), search.night_text(20251120)) == ("−1.23", "–", "2025-11-20")


def test_a_named_place_without_alerts_can_be_looked_around(served: Served, tmp_path: Path) -> None:
    pq.write_table(pa.table({"Name": ["NGC0224"], "ra": [10.0], "dec": [-89.0], "Type": ["G"]}), tmp_path / "ngc.parquet")
    Catalogues(tmp_path / "artifacts").add("ngc", [str(tmp_path / "ngc.parquet")])
    with serving(served.archive.folder, "--set", f"artifacts={tmp_path / 'artifacts'}") as catalogued:
        shown = page(catalogued, "NGC 224")
        assert "<strong>NGC0224</strong>" in shown
        assert "Look 1′ around it" in shown
        assert '/search?q=NGC0224">NGC0224</a>' in page(catalogued, "NGC 22")
