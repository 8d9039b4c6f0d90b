"""History and stored points, against a reference that keeps every point of every packet in plain dictionaries."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.points import POINT
from fink.lightcurves import LightCurves
from unit.archive.outcomes import NIGHTS, WINDOW, Sample, SmallSky, create, outcome

Point = tuple[float, int, int, float]


def points_of(curves: LightCurves, i: int) -> list[tuple[Any, Point]]:
    """Give the identity and the values of each point of a light curve."""
    found = []
    for j in range(curves.offsets[i], curves.offsets[i + 1]):
        mjd, band, kind, flux = float(curves.mjd[j]), int(curves.band[j]), int(curves.kind[j]), float(curves.flux[j])
        number = int(curves.point_id[j])
        identity = number or (kind, mjd, band, int(curves.detector[j]))
        found.append((identity, (mjd, band, kind, np.nan_to_num(flux, nan=-1.0).item())))
    return found


class Reference:
    """What a store must know: every copy of every point with who brought it, and the rules applied when asked."""

    def __init__(self) -> None:
        self.copies: dict[str, dict[Any, list[tuple[int, float, int, Point]]]] = {}

    def names(self, sample: Sample) -> list[str]:
        ids, designations = sample.batch.alerts["object_id"].to_pylist(), sample.batch.alerts["sso_name"].to_pylist()
        return [a or b for a, b in zip(ids, designations, strict=True)]

    def expected(self, sample: Sample) -> list[list[Point]]:
        """Give each alert's whole light curve."""
        curves = []
        mjd, moving = sample.batch.alerts["mjd"].to_pylist(), sample.batch.alerts["object_id"].to_pylist()
        for i, name in enumerate(self.names(sample)):
            own = dict(points_of(sample.batch.lightcurves, i))
            cut = mjd[i] - WINDOW if moving[i] else np.inf
            for identity, copies in self.copies.get(name, {}).items():
                earlier = [copy for copy in copies if copy[0] < sample.night]
                if earlier and identity not in own and earlier[0][3][0] < cut:
                    own[identity] = self.best(earlier)
            curves.append(sorted(own.values(), key=lambda p: (p[0], p[2], p[1])))
        return curves

    def best(self, copies: list[tuple[int, float, int, Point]]) -> Point:
        return min(copies, key=lambda copy: copy[:3])[3]

    def add(self, sample: Sample) -> None:
        mjd, ids = sample.batch.alerts["mjd"].to_pylist(), sample.batch.alerts["alert_id"].to_pylist()
        for i, name in enumerate(self.names(sample)):
            stored = self.copies.setdefault(name, {})
            for identity, point in points_of(sample.batch.lightcurves, i):
                stored.setdefault(identity, []).append((sample.night, mjd[i], ids[i], point))


def curves_of(curves: LightCurves) -> list[list[Point]]:
    return [[point for _, point in points_of(curves, i)] for i in range(len(curves))]


@pytest.mark.parametrize(("survey", "exposures"), [("ztf", 3), ("lsst", 3), ("lsst", 40)])
def test_history_is_the_packet_and_the_older_points_of_earlier_nights(tmp_path: Path, survey: str, exposures: int) -> None:
    sky, reference = SmallSky(20, survey, seed=4, exposures=exposures), Reference()
    with create(tmp_path / "a") as archive:
        older = 0
        for night in NIGHTS:
            sample = sky.night(night)
            joined = archive.history(sample.batch, night, WINDOW)
            assert curves_of(joined) == reference.expected(sample)
            older += joined.n_points - sample.batch.lightcurves.n_points
            for part in np.array_split(np.arange(len(sample.batch)), 3):
                archive.apply(outcome(sample.take(part)))
            reference.add(sample)
        assert older > 20
        for name, copies in reference.copies.items():
            table = archive.light_curve(name)
            expected = sorted((reference.best(c) for c in copies.values()), key=lambda p: (p[0], p[2], p[1]))
            assert table["mjd"].to_pylist() == [point[0] for point in expected]
            assert [-1.0 if flux is None else flux for flux in table["flux"].to_pylist()] == [point[3] for point in expected]


def stored_state(archive: EmbeddedArchive, sky: SmallSky) -> list[Any]:
    """Give what can be asked about every object, but for the commits' numbers."""
    names = [f"{sky.survey.upper()}{i:05d}" for i in range(sky.n_objects)] + [f"2020 AB{i}" for i in range(sky.n_objects)]
    lists = [archive.object_alerts(name).sort_by("alert_id").drop_columns("commit").to_pylist() for name in names]
    return [lists, [archive.light_curve(name).to_pylist() for name in names]]


@pytest.mark.parametrize("exposures", [3, 30])
def test_batches_and_order_within_a_night_change_nothing(tmp_path: Path, exposures: int) -> None:
    sky = SmallSky(10, exposures=exposures)
    samples = [sky.night(night) for night in NIGHTS]
    states, histories, brought = [], [], []
    for way, (size, shuffled) in enumerate(itertools.product([10_000, 7, 1][: 3 if exposures < 5 else 2], [False, True])):
        rng = np.random.default_rng(way)
        with create(tmp_path / f"{way}") as archive:
            history = []
            for sample in samples:
                history.append(curves_of(archive.history(sample.batch, sample.night, WINDOW)))
                rows = rng.permutation(len(sample.batch)) if shuffled else np.arange(len(sample.batch))
                for first in range(0, len(rows), size):
                    archive.apply(outcome(sample.take(rows[first : first + size])))
            histories.append(history)
            states.append(repr(stored_state(archive, sky)))
            table = archive.sql("SELECT * EXCLUDE (commit) FROM points ORDER BY ALL")
            brought.append(repr(table.to_pylist()))
    assert all(history == histories[0] for history in histories)
    assert all(state == states[0] for state in states)
    assert all(points == brought[0] for points in brought)


def test_a_replay_sees_the_history_of_its_commit(tmp_path: Path) -> None:
    sky = SmallSky(30)
    with create(tmp_path / "a") as archive:
        seen, lasts = [], []
        for night in NIGHTS:
            sample = sky.night(night)
            lasts.append(archive.last_commit())
            seen.append(curves_of(archive.history(sample.batch, night, WINDOW)))
            archive.apply(outcome(sample))
        late = SmallSky(30, seed=99).night(NIGHTS[1])
        archive.apply(outcome(late))
        for night, before, last in zip(NIGHTS, seen, lasts, strict=True):
            assert curves_of(archive.history(sky.night(night).batch, night, WINDOW, as_of=last)) == before
        whole = [curves_of(archive.history(sky.night(night).batch, night, WINDOW)) for night in NIGHTS]
    assert whole != seen, "the late alerts brought nothing: the replay proves nothing"


def test_late_alerts_are_counted_and_replace_no_copy(tmp_path: Path) -> None:
    sky = SmallSky(20)
    with create(tmp_path / "a") as archive:
        archive.apply(outcome(sky.night(NIGHTS[2])))
        before = {o: archive.light_curve(f"ZTF{o:05d}").to_pylist() for o in range(9)}
        commit = archive.apply(outcome(sky.night(NIGHTS[1])))
        assert 0 < commit.counts.late <= commit.counts.archived
        assert archive.ledger()["late"] == commit.counts.late
        for o, points in before.items():
            after = archive.light_curve(f"ZTF{o:05d}").to_pylist()
            assert [point for point in after if point in points] == points


def test_chunks_close_and_are_not_read_where_they_cannot_matter(tmp_path: Path) -> None:
    sky = SmallSky(3, "lsst", exposures=70)
    with create(tmp_path / "a") as archive:
        for night in NIGHTS:
            archive.apply(outcome(sky.night(night)))
        store = archive._store
        closed = [np.frombuffer(value, POINT) for _, value in store.scan("chunks", b"")]
        assert len(closed) >= 3 * 6 * 70 // 64 - 6
        assert all(len(points) == 64 for points in closed)
        asked: list[int] = []
        original = store.get_all
        store.get_all = lambda family, keys: asked.append(len(keys) if family == "chunks" else 0) or original(family, keys)  # type: ignore[method-assign,func-returns-value]
        sample = sky.night(NIGHTS[-1])
        archive.history(sample.batch, NIGHTS[-1], 10_000.0)
        assert sum(asked) == 0
        archive.history(sample.batch, NIGHTS[-1], 80.0)
        assert 0 < sum(asked) < len(closed)
