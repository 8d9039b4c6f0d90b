"""The archive: what a commit holds, what is counted, what is found again, and who may write."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.index import ReaderFolder, Store, oldest_held, remove_stale_readers
from fink.columns import COLUMNS, Column
from fink.commits import Counts, Outcome, PlanRecord, Quarantined
from fink.config import RetentionSettings
from fink.errors import ArchiveError, NotFoundError
from fink.tables import AlertBatch, Cutouts, concatenate
from unit.archive.outcomes import NIGHTS, SCHEMA, Sample, SmallSky, create, outcome, reopen


def full_archive(folder: Path, sky: SmallSky) -> EmbeddedArchive:
    archive = create(folder)
    for night in NIGHTS:
        archive.apply(outcome(sky.night(night)))
    return archive


def without_stamps(sample: Sample) -> Sample:
    return Sample(replace(sample.batch, cutouts=Cutouts.none(len(sample.batch))), sample.night)


def doubled(sample: Sample, first: AlertBatch) -> Sample:
    return Sample(concatenate([first, sample.batch]), sample.night)


def test_received_is_archived_quarantined_and_duplicate(tmp_path: Path) -> None:
    sky = SmallSky()
    sample = sky.night(NIGHTS[0])
    n = len(sample.batch)
    bad = Quarantined("f.tar", "entry 3", "no such schema", b"\x01\x02", "ztf", NIGHTS[0])
    unknown = Quarantined("f.tar", "entry 4", "not Avro", b"\x00" * 9)
    with create(tmp_path / "a") as archive:
        twice = doubled(sample, sample.batch)
        commit = archive.apply(outcome(twice, quarantined=(bad, bad, unknown)))
        assert commit.counts == Counts(2 * n + 3, n, 2, n + 1, 0)
        again = archive.apply(outcome(sample, source="other", quarantined=(bad,)))
        assert again.counts == Counts(n + 1, 0, 0, n + 1, 0)
        ledger = archive.ledger()
        assert (ledger["received"], ledger["archived"], ledger["quarantined"], ledger["duplicate"]) == (3 * n + 4, n, 2, 2 * n + 2)
        assert ledger["balanced"]
        assert [(s["source"], s["night"], s["received"]) for s in ledger["sources"]] == [
            ("other", NIGHTS[0], n + 1),
            ("sample", None, 1),
            ("sample", NIGHTS[0], 2 * n + 2),
        ]
        assert ledger["modules"]["rates"]["run"] == 3 * n
        assert ledger["substreams"] == dict(commit.selected)
        items = archive.quarantine_items()
        assert {(item["reason"], item["size"], item["night"]) for item in items} == {("no such schema", 2, NIGHTS[0]), ("not Avro", 9, 0)}
        assert archive.quarantine_body(bad.identity) == bad.body
        assert archive.verify() == []


def test_what_leaves_the_quarantine_is_counted_as_archived(tmp_path: Path) -> None:
    sample = SmallSky().night(NIGHTS[0])
    n = len(sample.batch)
    bad = Quarantined("f.tar", "entry 3", "no such schema", b"\x01\x02")
    with create(tmp_path / "a") as archive:
        archive.apply(outcome(sample.take(np.arange(5)), quarantined=(bad,)))
        for _ in range(2):
            archive.apply(outcome(sample.take(np.arange(5, n)), source="replay", released=(bad.identity,)))
        ledger = archive.ledger()
        assert ledger["balanced"]
        assert (ledger["received"], ledger["archived"], ledger["quarantined"], ledger["duplicate"]) == (2 * n - 5, n, 0, n - 5)
        assert archive.quarantine_items() == []
        assert archive.apply(outcome(sample.take(np.arange(0)), quarantined=(bad,))).counts == Counts(1, 0, 0, 1, 0)
        assert archive.verify() == []


@pytest.mark.parametrize("together", [True, False])
def test_a_later_copy_adds_stamps_that_were_missing_and_nothing_else(tmp_path: Path, together: bool) -> None:
    sample = SmallSky().night(NIGHTS[0])
    bare = without_stamps(sample)
    other = sample.batch.alerts.set_column(5 + 5, "flux", pa.array(np.full(len(sample.batch), 1e9, np.float32)))
    assert sample.batch.alerts.column_names[10] == "flux"
    copies = Sample(replace(sample.batch, alerts=other), sample.night)
    alert_id = sample.batch.alerts["alert_id"][3].as_py()
    with create(tmp_path / "a") as archive:
        if together:
            archive.apply(outcome(doubled(copies, bare.batch)))
        else:
            archive.apply(outcome(bare))
            assert archive.stamp_bytes("ztf", alert_id, "science") == "the packet carries no science stamp"
            archive.apply(outcome(copies))
        assert archive.stamp_bytes("ztf", alert_id, "science") == b"stamp" * 4
        assert archive.stamp_bytes("ztf", alert_id, "difference") == b"stamp"
        row = archive.alert("ztf", alert_id)
        assert row is not None
        assert row["flux"] == sample.batch.alerts["flux"][3].as_py()
        assert archive.verify() == []


@pytest.mark.parametrize(("policy", "kept"), [("all", "all"), ("last:1GB", "all"), ("selected", "selected"), ("none", "selected")])
def test_packets_are_kept_by_retention(tmp_path: Path, policy: str, kept: str) -> None:
    sample = SmallSky().night(NIGHTS[0])
    work = outcome(sample)
    chosen = np.logical_or.reduce(list(work.selections.values()))
    with create(tmp_path / "a", RetentionSettings(packets=policy)) as archive:
        archive.apply(work)
        for row, alert_id in enumerate(sample.batch.alerts["alert_id"].to_pylist()):
            packet = archive.packet("ztf", alert_id)
            if kept == "all" or chosen[row]:
                assert packet == (sample.batch.packets.body(row), SCHEMA)
            else:
                assert packet is None
                assert "retention" in str(archive.stamp_bytes("ztf", alert_id, "science"))
        assert 0 < chosen.sum() < len(chosen)


def test_commits_are_read_back_as_they_were_also_from_parquet(tmp_path: Path) -> None:
    sky = SmallSky()
    with full_archive(tmp_path / "a", sky) as archive:
        works = [outcome(sky.night(night)) for night in NIGHTS]
        for compacted in (False, True):
            for number, (work, commit) in enumerate(zip(works, archive.commits(), strict=True), 1):
                rows = archive.commit_rows(number)
                expected = work.alerts.sort_by([("mjd", "ascending"), ("alert_id", "ascending")])
                assert (
                    rows.select(["alert_id", "flux", "object_id"]).to_pylist()
                    == expected.select(["alert_id", "flux", "object_id"]).to_pylist()
                )
                assert (commit.number, commit.night) == (number, NIGHTS[number - 1])
                for name, mask in work.selections.items():
                    table, packets = archive.selected(number, name)
                    ids = set(work.alerts["alert_id"].to_numpy()[mask].tolist())
                    assert set(table["alert_id"].to_pylist()) == ids
                    assert [packets.body(i).split(b" ")[1] for i in range(len(packets))] == [
                        b"%020d" % i for i in table["alert_id"].to_pylist()
                    ]
            if not compacted:
                archive.compact()
                assert {record.state for record in archive.files().values() if record.kind in ("rows", "points")} == {"parquet"}
        assert archive.verify() == []
        with pytest.raises(NotFoundError, match="no commit 7"):
            archive.commit(7)


def test_objects_substreams_nights_and_single_alerts_are_found(tmp_path: Path) -> None:
    sky = SmallSky()
    with full_archive(tmp_path / "a", sky) as archive:
        everything = pa.concat_tables([sky.night(night).batch.alerts for night in NIGHTS])
        for name in ("ZTF00003", "ZTF00012"):
            ids = [row["alert_id"] for row in everything.to_pylist() if row["object_id"] == name]
            assert archive.object_alerts(name)["alert_id"].to_pylist() == ids
            assert archive.object_alerts(name, "lsst").num_rows == 0
        moving = [row["alert_id"] for row in everything.to_pylist() if row["sso_name"] == "2020 AB9"]
        assert archive.solar_system("2020 AB9")["alert_id"].to_pylist() == moving
        assert archive.object_alerts("2020 AB9")["alert_id"].to_pylist() == moving
        assert archive.solar_system("2020 AB").num_rows == 0
        bright = [(row["mjd"], row["alert_id"]) for row in everything.to_pylist() if row["flux"] > 1200]
        found = archive.substream("bright")
        assert list(zip(found["mjd"].to_pylist(), found["alert_id"].to_pylist(), strict=True)) == sorted(bright, reverse=True)
        start, stop = found["mjd"][20].as_py(), found["mjd"][5].as_py()
        part = archive.substream("bright", start=start, stop=stop, limit=1000)
        assert part["alert_id"].to_pylist() == [i for t, i in sorted(bright, reverse=True) if start <= t <= stop]
        assert archive.substream("bright", limit=7).num_rows == 7
        for night in NIGHTS:
            assert archive.night(night)["alert_id"].to_pylist() == archive.commit_rows(NIGHTS.index(night) + 1)["alert_id"].to_pylist()
        row = everything.slice(30, 1).to_pylist()[0]
        full = archive.alert("ztf", row["alert_id"])
        assert full is not None
        assert {name: full[name] for name in row} == row
        assert archive.alert("ztf", 12345) is None
        assert archive.alert("lsst", row["alert_id"]) is None
        nights = archive.statistics()["nights"]
        assert [(night["night"], night["archived"]) for night in nights] == [(n, len(sky.night(n).batch)) for n in NIGHTS]
        assert all(set(night["substreams"]) == {"bright", "fifth"} for night in nights)


def test_a_cone_finds_what_brute_force_finds(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    centres = [(0.0, 90.0), (12.0, -90.0), (0.0, 0.0), (359.9999, 41.0), (45.0, 41.81), (200.0, -41.81), (90.0, 0.0), (10.0, 89.99)]
    sky = SmallSky(4000, exposures=1)
    n = sky.n_objects
    sky.moving[:] = False
    which = rng.integers(0, len(centres), n)
    sky.dec = np.array([centres[i][1] for i in which]) + rng.normal(0, 1, n) * 10 ** rng.uniform(-5, 0.7, n)
    over = np.abs(sky.dec) > 90
    sky.dec = np.where(over, np.sign(sky.dec) * 180 - sky.dec, sky.dec)
    across = np.maximum(np.cos(np.radians(sky.dec)), 1e-6)
    sky.ra = (np.array([centres[i][0] for i in which]) + rng.normal(0, 1, n) * 10 ** rng.uniform(-5, 0.7, n) / across + 180 * over) % 360
    sample = sky.night(NIGHTS[0])
    ra, dec = sample.batch.alerts["ra"].to_numpy(), sample.batch.alerts["dec"].to_numpy()
    vectors = np.stack(
        [np.cos(np.radians(dec)) * np.cos(np.radians(ra)), np.cos(np.radians(dec)) * np.sin(np.radians(ra)), np.sin(np.radians(dec))]
    )
    total = 0
    with create(tmp_path / "a") as archive:
        archive.apply(outcome(sample))
        for at_ra, at_dec in centres:
            a, d = np.radians(at_ra), np.radians(at_dec)
            centre = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
            apart = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(vectors - centre[:, None], axis=0) / 2, 0, 1)))
            for radius in (1.0, 30.0, 600.0, 7200.0, 18000.0):
                found = archive.cone(at_ra, at_dec, radius)
                expected = set(sample.batch.alerts["alert_id"].to_numpy()[apart * 3600 <= radius].tolist())
                assert set(found["alert_id"].to_pylist()) == expected
                separations = found["separation"].to_numpy()
                assert (np.diff(separations) >= 0).all()
                np.testing.assert_allclose(separations, np.sort(apart[apart * 3600 <= radius]) * 3600, atol=1e-6)
                total += len(expected)
        assert total > 2000
        times = sample.batch.alerts["mjd"][0].as_py()
        assert archive.cone(0.0, 0.0, 18000.0, start=times + 1).num_rows == 0
        with pytest.raises(NotFoundError, match="18000"):
            archive.cone(0.0, 0.0, 18001.0)


def test_a_reader_answers_as_of_one_commit_until_it_is_refreshed(tmp_path: Path) -> None:
    sky = SmallSky()
    with create(tmp_path / "a") as archive:
        archive.apply(outcome(sky.night(NIGHTS[0])))
        with EmbeddedArchive.reader(tmp_path / "a") as first, EmbeddedArchive.reader(tmp_path / "a") as second:
            before = first.object_alerts("ZTF00003").num_rows, first.substream("bright").num_rows, first.ledger()
            archive.apply(outcome(sky.night(NIGHTS[1])))
            assert (first.object_alerts("ZTF00003").num_rows, first.substream("bright").num_rows, first.ledger()) == before
            assert (first.last_commit(), first.refresh(), second.last_commit()) == (1, 2, 1)
            assert first.night(NIGHTS[1]).num_rows == len(sky.night(NIGHTS[1]).batch)
            assert second.night(NIGHTS[1]).num_rows == 0
            assert first.ledger() == archive.ledger()
            sample = sky.night(NIGHTS[3])
            theirs, ours = (a.history(sample.batch, NIGHTS[3], 30.0) for a in (first, archive))
            assert all((x == y).all() or np.isnan(x).any() for x, y in zip(theirs.arrays().values(), ours.arrays().values(), strict=True))
            assert len(list((tmp_path / "a" / "readers").iterdir())) == 2
            with pytest.raises(ArchiveError, match="reading"):
                first.apply(outcome(sample))
        assert list((tmp_path / "a" / "readers").iterdir()) == []


def test_a_reader_sees_the_last_commit_of_a_writer_that_has_gone(tmp_path: Path) -> None:
    sky = SmallSky()
    create(tmp_path / "archive").close()
    with EmbeddedArchive.reader(tmp_path / "archive") as reader:
        for night in NIGHTS:
            with reopen(tmp_path / "archive") as archive:
                for number in range(4):
                    # the same alerts again are a commit too, of duplicates
                    last = archive.apply(outcome(sky.night(night))).number
                    if number == 1:
                        reader.refresh()
            assert reader.refresh() == last
            assert reader.commit(last).number == last


def test_rows_above_the_published_commit_are_hidden(tmp_path: Path) -> None:
    sky = SmallSky()
    with full_archive(tmp_path / "a", sky) as archive:
        everything = (
            archive.substream("bright").num_rows,
            archive.object_alerts("ZTF00003").num_rows,
            archive.light_curve("ZTF00003").num_rows,
        )
        archive._last = (2, archive.commit(2).checksum)
        at = sky.ra[3], sky.dec[3]
        assert set(archive.substream("bright")["night"].to_pylist()) <= set(NIGHTS[:2])
        assert set(archive.object_alerts("ZTF00003")["night"].to_pylist()) <= set(NIGHTS[:2])
        assert set(archive.cone(*at, 10.0)["night"].to_pylist()) <= set(NIGHTS[:2])
        assert archive.light_curve("ZTF00003").num_rows < everything[2]
        assert archive.object_alerts("ZTF00003").num_rows < everything[1]


def test_folders_of_dead_readers_are_removed_and_living_ones_kept(tmp_path: Path) -> None:
    readers = tmp_path / "readers"
    with ReaderFolder(readers) as alive:
        dead = subprocess.run(
            [sys.executable, "-c", "import sys, os; from pathlib import Path; from fink.archive.index import ReaderFolder; "
             "r = ReaderFolder(Path(sys.argv[1])); r.hold(7); os._exit(0)", str(readers)],
            check=True,
        )  # fmt: skip
        assert dead.returncode == 0
        alive.hold(5)
        assert len(list(readers.iterdir())) == 2
        assert oldest_held(readers) == 5
        assert [folder.name for folder in readers.iterdir()] == [alive.path.name]
    assert remove_stale_readers(readers) == 0
    assert oldest_held(readers) is None


def test_one_run_writes_at_a_time_and_the_second_is_told(tmp_path: Path) -> None:
    with (
        create(tmp_path / "a"),
        pytest.raises(ArchiveError, match=rf"held by another run \(process {os.getpid()}\)"),
    ):
        reopen(tmp_path / "a")
    with reopen(tmp_path / "a") as archive:
        assert archive.last_commit() == 0
    with pytest.raises(ArchiveError, match="already"):
        create(tmp_path / "a")
    for way in (reopen, EmbeddedArchive.reader):
        with pytest.raises(ArchiveError, match="no archive"):
            way(tmp_path / "b")
    (tmp_path / "a" / "archive.json").write_bytes(orjson.dumps({"id": "x", "format": 99}))
    with pytest.raises(ArchiveError, match="99"):
        reopen(tmp_path / "a")


def test_positions_plans_and_followers_are_found_again(tmp_path: Path) -> None:
    plan = PlanRecord({"rise_rate": "float"}, {"rates": "1.0"})
    sample = SmallSky().night(NIGHTS[0])
    with create(tmp_path / "a") as archive:
        identity = archive.register_plan(plan)
        archive.apply(outcome(sample, progress={b"file/a": b"1", b"file/b": b"2", b"kafka/0": b"3"}, plan_id=identity))
        archive.record_follower("files", 1, "abc")
        name = archive.id
    with reopen(tmp_path / "a") as archive:
        assert archive.position(b"file/") == {b"file/a": b"1", b"file/b": b"2"}
        assert archive.plan(archive.commit(1).plan_id) == plan
        position = archive.follower_position("files")
        assert position is not None
        assert (position.commit, position.checksum) == (1, "abc")
        assert archive.follower_position("kafka") is None
        assert archive.id == name
        with pytest.raises(NotFoundError, match="no plan"):
            archive.plan("nothing")


def test_columns_may_come_and_go(tmp_path: Path) -> None:
    sky = SmallSky()
    columns = {
        **COLUMNS,
        "old": Column("old", pa.string(), about="Before the change", indexed=True),
        "new": Column("new", pa.int16(), about="After the change", indexed=True),
    }

    def with_column(work: Outcome, name: str, values: pa.Array) -> Outcome:
        return replace(work, alerts=work.alerts.append_column(name, values))

    with create(tmp_path / "a", columns=columns) as archive:
        first, second = outcome(sky.night(NIGHTS[0])), outcome(sky.night(NIGHTS[1]))
        archive.apply(with_column(first, "old", pa.array(["x"] * len(first.alerts))))
        archive.apply(with_column(second, "new", pa.array(np.arange(len(second.alerts), dtype=np.int16))))
        table = archive.object_alerts("ZTF00003")
        old, new, night = (table[name].to_pylist() for name in ("old", "new", "night"))
        assert len(night) > 2
        assert all((o == "x") == (at == NIGHTS[0]) for o, at in zip(old, night, strict=True))
        assert all((n is None) == (at == NIGHTS[0]) for n, at in zip(new, night, strict=True))
        archive.compact()
        assert archive.verify() == []


def test_a_copy_is_whole_while_the_writer_goes_on(tmp_path: Path) -> None:
    sky = SmallSky()
    with create(tmp_path / "a") as archive:
        archive.apply(outcome(sky.night(NIGHTS[0])))
        archive.compact()
        archive.apply(outcome(sky.night(NIGHTS[1])))
        with EmbeddedArchive.reader(tmp_path / "a") as reader:
            archive.apply(outcome(sky.night(NIGHTS[2])))
            reader.copy(tmp_path / "copy")
        with pytest.raises(ArchiveError, match="already"):
            archive.copy(tmp_path / "copy")
    with reopen(tmp_path / "copy") as copy:
        assert copy.last_commit() == 2
        assert copy.verify() == []
        assert copy.apply(outcome(sky.night(NIGHTS[2]))).number == 3
        assert copy.stats()["alerts"] == sum(len(sky.night(night).batch) for night in NIGHTS[:3])


def test_a_reader_opens_the_index_anew_only_where_it_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sky, opened = SmallSky(), list[int]()
    anew = Store.reopen

    def reopen_counted(store: Store) -> None:
        opened.append(1)
        anew(store)

    monkeypatch.setattr(Store, "reopen", reopen_counted)
    with create(tmp_path / "a") as archive, EmbeddedArchive.reader(tmp_path / "a") as reader:
        for number, night in enumerate(NIGHTS, 1):
            archive.apply(outcome(sky.night(night)))
            assert reader.refresh() == number
            archive.record_follower("someone", number, "sum")
            assert reader.refresh() == number
        archive.compact()
        assert reader.refresh() == len(NIGHTS)
        assert all(record.state == "parquet" for record in reader.files().values() if record.kind == "rows" and record.state != "dropped")
        assert opened == []
        # an index put back from a copy lies behind what its last writer said
        (tmp_path / "a" / "PUBLISHED").write_bytes(b"%020d" % (len(NIGHTS) + 3))
        assert [reader.refresh() for _ in range(3)] == [len(NIGHTS)] * 3
        assert opened == [1]
        (tmp_path / "a" / "PUBLISHED").unlink()
        archive.record_follower("someone", 1, "other")
        assert [reader.refresh() for _ in range(3)] == [len(NIGHTS)] * 3
        assert opened == [1, 1]
