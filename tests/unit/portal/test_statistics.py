"""The statistics add up to the archive."""

from __future__ import annotations

from typing import Any

import pytest

from unit.api.conftest import Served


def twin(served: Served, **query: Any) -> dict[str, Any]:
    return dict(served.client.get("/statistics", params={**query, "format": "json"}).json())


@pytest.mark.parametrize("survey", [None, "ztf", "lsst"])
def test_every_count_is_that_of_the_archive(survey: str | None, served: Served) -> None:
    found = twin(served, **({"survey": survey} if survey else {}))
    while found["nights_to_count"]:
        found = twin(served, **({"survey": survey} if survey else {}))
    nights = [night for night in served.archive.statistics()["nights"] if survey in (None, night["survey"])]
    alerts = sum(night["archived"] for night in nights)
    assert found["totals"]["alerts"] == alerts == sum(row["alerts"] for row in found["nights"])
    assert sum(found["bands"].values()) == sum(row["alerts"] for row in found["classes"]) == sum(found["sky"]["pixels"].values()) == alerts
    assert [row["night"] for row in found["nights"]] == sorted((row["night"] for row in found["nights"]), reverse=True)


def test_the_page_draws_them(served: Served) -> None:
    shown = served.client.get("/statistics", headers={"Accept": "text/html"}).text
    assert shown.count('class="chart') >= 3
    for night in {night["night"] for night in served.archive.statistics()["nights"]}:
        text = str(night)
        assert f"{text[:4]}-{text[4:6]}-{text[6:]}" in shown


def test_filters_come_in_order_of_wavelength(served: Served) -> None:
    bands = list(twin(served)["bands"])
    assert bands == sorted(bands, key="ugrizy".index)
