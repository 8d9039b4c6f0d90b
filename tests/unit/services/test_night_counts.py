"""Counts of nights are those of the alerts, and are made again when a night has grown."""

from __future__ import annotations

from fink.archive.embedded import EmbeddedArchive
from fink.services.night_counts import NightCounts


def nights(archive: EmbeddedArchive) -> dict[int, int]:
    return {night["night"]: night["archived"] for night in archive.statistics()["nights"]}


def test_nights_are_counted_as_sql_does(archive: EmbeddedArchive) -> None:
    found = NightCounts().of(archive, "ztf", nights(archive))
    for night in nights(archive):
        rows = archive.night(night, "ztf")
        assert found[night]["exposures"] == len(set(rows["visit"].to_pylist()))
        assert found[night]["fields"] == len(set(rows["ztf_field"].to_pylist()))
        classes = [name for name in rows["fink_class"].to_pylist() if name is not None]
        assert {name.removeprefix("class:"): n for name, n in found[night].items() if name.startswith("class:")} == {
            name: classes.count(name) for name in set(classes)
        }


def test_a_night_is_counted_once_until_it_grows(archive: EmbeddedArchive, monkeypatch: object) -> None:
    counts, asked = NightCounts(), []
    sql = archive.sql

    def noted(text: str, *rest: object) -> object:
        asked.append(text)
        return sql(text, *rest)  # type: ignore[arg-type]

    archive.sql = noted  # type: ignore[method-assign, assignment]
    first = counts.of(archive, "ztf", nights(archive))
    once = len(asked)
    assert counts.of(archive, "ztf", nights(archive)) == first
    assert len(asked) == once > 0
    grown = {night: n + 1 for night, n in nights(archive).items()}
    assert counts.of(archive, "ztf", grown) == first
    assert len(asked) > once


def test_a_survey_without_alerts_has_no_counts(archive: EmbeddedArchive) -> None:
    assert NightCounts().of(archive, "lsst", {20300101: 5}) == {20300101: {}}
