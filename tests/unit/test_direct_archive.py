"""An archive that is written directly holds, byte for byte, what applying the same alerts commit by commit leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.direct_archive import ALERTS_IN_COMMIT, SOURCE, SUBSTREAMS, SURVEY, Alerts, night_of, write_archive
from benchmarks.survey_years import OBJECT_SIGHTINGS, SurveyYears, alerts_of_visits

from fink.archive.embedded import EmbeddedArchive
from fink.archive.index import Store
from fink.archive.rows import POINTER, read_pointers
from fink.commits import Outcome
from fink.config import RetentionSettings
from fink.sky import galactic
from fink.tables import PADDING, Cutouts, Packets

ALERTS, NIGHTS = 6000, 120


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SurveyYears]:
    folder = tmp_path_factory.mktemp("direct") / "archive"
    return folder, write_archive(folder, ALERTS, NIGHTS)


@pytest.fixture(scope="module")
def applied(written: tuple[Path, SurveyYears], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("applied") / "archive"
    with EmbeddedArchive.create(folder, RetentionSettings(packets="none")) as archive:
        for outcome in outcomes(written[1]):
            archive.apply(outcome)
        archive.compact()
    return folder


def outcomes(years: SurveyYears) -> Iterator[Outcome]:
    """Give the nights of the model as batches."""
    seen, past = years.seen_by_visits(), np.zeros(len(years.ra), np.uint16)
    for night in range(years.n_nights):
        visits = np.flatnonzero(years.visit_night == night)
        first, last = int(visits[0]), int(visits[-1]) + 1
        n = int(seen[first:last].sum())
        found = alerts_of_visits(first, last, n, years.found, years.chance, years.objects, years.visit_field, past)
        for start in range(0, n, ALERTS_IN_COMMIT):
            alerts = Alerts(years, *(each[start : start + ALERTS_IN_COMMIT] for each in found))
            k = len(alerts)
            buffer, zeros = np.zeros(200 + PADDING, np.uint8), np.zeros(k, np.int64)
            packets = Packets(buffer, zeros, np.full(k, 200), np.zeros(k, np.int32), (b"{}",))
            chosen = {name: alerts.selected(name) for name in SUBSTREAMS}
            date = int(night_of(years, alerts.visit[:1])[0])
            yield Outcome(SURVEY, date, SOURCE, alerts.table(), alerts.curves(), packets, Cutouts.none(k), chosen)


def entries(folder: Path, family: str) -> dict[bytes, bytes]:
    store = Store(folder / "index", cache_megabytes=8)
    found = dict(store.scan(family, b""))
    store.close()
    return found


@pytest.mark.parametrize("family", ["alerts", "objects", "chunks", "names", "sky", "substreams", "nights", "meta"])
def test_a_family_is_what_applying_leaves(written: tuple[Path, SurveyYears], applied: Path, family: str) -> None:
    ours, theirs = entries(written[0], family), entries(applied, family)
    assert ours.keys() == theirs.keys()
    assert ours == theirs
    assert ours


def test_rows_are_what_applying_leaves_but_for_the_place_of_the_packet(written: tuple[Path, SurveyYears], applied: Path) -> None:
    ours, theirs = entries(written[0], "rows"), entries(applied, "rows")
    assert list(ours) == list(theirs)
    assert [row[POINTER.itemsize :] for row in ours.values()] == [row[POINTER.itemsize :] for row in theirs.values()]
    names = ["format", "kept", "selected", "commit", "row", "stamps"]
    assert (read_pointers(list(ours.values()))[names] == read_pointers(list(theirs.values()))[names]).all()


def test_what_is_written_verifies(written: tuple[Path, SurveyYears]) -> None:
    with EmbeddedArchive.open(written[0]) as archive:
        assert archive.verify() == []


def test_the_lake_holds_what_the_index_holds(written: tuple[Path, SurveyYears], applied: Path) -> None:
    with EmbeddedArchive.reader(written[0]) as ours, EmbeddedArchive.reader(applied) as theirs:
        for text in ("SELECT * FROM alerts ORDER BY alert_id", "SELECT * FROM points ORDER BY alert_id, mjd"):
            assert ours.sql(text).equals(theirs.sql(text))
        name = ours.sql("SELECT object_id FROM alerts GROUP BY object_id ORDER BY count(*) DESC, object_id LIMIT 1")[0][0].as_py()
        assert ours.object_alerts(name).equals(theirs.object_alerts(name))


def test_the_sky_is_full_along_the_galaxy_and_nowhere_empty_that_is_visited() -> None:
    years = SurveyYears.of(200_000)
    _, latitude = galactic(years.ra, years.dec)
    near = (np.abs(latitude) < 10).mean()
    assert 0.35 < near < 0.7
    assert (np.abs(latitude) > 30).mean() > 0.2
    assert (years.dec > -33).all()
    counts = np.bincount(years.kind, minlength=3) / len(years.kind)
    assert np.allclose(counts, [0.55, 0.33, 0.12], atol=0.01)
    assert abs(years.seen_by_visits().sum() / len(years.ra) - OBJECT_SIGHTINGS) < 0.5
