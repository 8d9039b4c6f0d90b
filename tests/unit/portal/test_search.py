"""The home page says what the archive holds."""

from __future__ import annotations

from unit.api.conftest import Served


def test_the_home_page_counts_what_the_archive_holds(served: Served) -> None:
    page = served.client.get("/", headers={"Accept": "text/html"}).text
    assert f"<dd>{served.archive.statistics()['alerts']:,}</dd>" in page
