"""Pages come with a twin in JSON, are remembered until the next commit, and refuse in words."""

from __future__ import annotations

from unit.api.conftest import Served

HTML = {"Accept": "text/html"}


def test_a_page_has_a_twin_in_json(served: Served) -> None:
    page = served.client.get("/", headers=HTML)
    assert page.headers["content-type"].startswith("text/html")
    for twin in (served.client.get("/?format=json", headers=HTML), served.client.get("/", headers={"Accept": "application/json"})):
        assert twin.headers["content-type"] == "application/json"
        assert twin.json()["counts"]["alerts"] == served.archive.statistics()["alerts"]


def test_a_page_that_has_not_changed_is_not_sent_again(served: Served) -> None:
    first = served.client.get("/", headers=HTML)
    again = served.client.get("/", headers={**HTML, "If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


def test_a_page_may_load_nothing_from_outside(served: Served) -> None:
    policy = served.client.get("/", headers=HTML).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


def test_what_is_not_there_is_said_to_people_and_to_programs(served: Served) -> None:
    page = served.client.get("/no/such/page", headers=HTML)
    assert page.status_code == 404
    assert "there is no page /no/such/page" in page.text
    twin = served.client.get("/no/such/page", headers={"Accept": "application/json"})
    assert twin.headers["content-type"] == "application/problem+json"
    assert twin.json()["status"] == 404


def test_files_of_the_pages_are_served(served: Served) -> None:
    page = served.client.get("/", headers=HTML).text
    address = next(part for part in page.split('"') if part.endswith("portal.css"))
    assert served.client.get(address).status_code == 200
    assert served.client.get(address.replace("portal.css", "other.css")).status_code == 404
