"""The composition root: settings become archives, sources, plans, followers and runs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from fink import factory, science
from fink.codecs import writers
from fink.commits import Commit
from fink.config import Settings, load_settings
from fink.engines.embedded import RunSummary
from fink.errors import ArchiveError, HeldError, NotFoundError, PlanError, SchemaError
from fink.simulator.replay import write_night
from fink.streams.substream_files import SubstreamFiles
from fink.streams.watch import WatchedFiles
from simulated import batches_of, given, nights

NIGHTS = nights("ztf", 2, 40)
TOTAL = sum(len(night.packets) for night in NIGHTS)


def settings_of(folder: Path, **said: Any) -> Settings:
    """Give settings that run a little science in this process."""
    chosen = {
        "archive": folder / "archive",
        "run.workers": 0,
        "run.modules": ("data_quality", "colour"),
        "run.substreams": ("uniform_sample",),
    }
    return load_settings(None, chosen | {name.replace("__", "."): value for name, value in said.items()})


@pytest.fixture
def packets(tmp_path: Path) -> Path:
    for night in NIGHTS:
        write_night(night, tmp_path / "packets" / str(night.night))
    return tmp_path / "packets"


def test_a_run_reads_a_folder_into_an_archive_and_tells_of_each_commit(packets: Path, tmp_path: Path) -> None:
    settings, told = settings_of(tmp_path), []

    def on_commit(commit: Commit, summary: RunSummary) -> None:
        told.append((commit.number, summary.counts.archived))

    with factory.open_archive(settings) as archive:
        summary = factory.run(factory.files_source([packets], settings, archive), archive, settings, on_commit)
        assert archive.ledger()["archived"] == summary.counts.archived == TOTAL
    assert [number for number, _ in told] == list(range(1, summary.commits + 1))
    assert told[-1] == (summary.commits, TOTAL)


def test_an_archive_is_made_once_and_opened_again(packets: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with factory.open_archive(settings) as archive:
        identity = archive.stats()["id"]
    with factory.open_archive(settings) as archive:
        assert archive.stats()["id"] == identity
        with pytest.raises(HeldError, match="archive"):
            factory.open_archive(settings)
        with factory.read_archive(settings) as reader:
            assert reader.last_commit() == 0


def test_reading_makes_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="there is no archive"):
        factory.read_archive(settings_of(tmp_path))
    assert not (tmp_path / "archive").exists()


def test_a_source_goes_on_where_the_archive_stopped(packets: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with factory.open_archive(settings) as archive:
        first = next(iter(sorted(packets.iterdir())))
        factory.run(factory.files_source([first], settings, archive), archive, settings)
        rest = factory.files_source([packets], settings, archive)
        assert [Path(path).name for path in rest.skipped] == [first.name]
        bodies = [NIGHTS[1].packets.body(row) for row in range(len(NIGHTS[1].packets))]
        assert given(batches_of(rest)) == bodies
        assert len(given(batches_of(factory.files_source([packets], settings, archive, again=True)))) == TOTAL
    assert len(given(batches_of(factory.files_source([packets], settings)))) == TOTAL


def test_folders_are_watched_without_an_end(packets: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with factory.open_archive(settings) as archive:
        source = factory.watched_source([packets], settings, archive)
        assert isinstance(source, WatchedFiles)
        assert source.total is None


def test_followers_are_those_that_the_settings_ask_for(tmp_path: Path) -> None:
    with factory.open_archive(settings_of(tmp_path)) as archive:
        assert factory.followers(archive, settings_of(tmp_path)) == []
        (follower,) = factory.followers(archive, settings_of(tmp_path, files__folder=tmp_path / "out"))
        assert isinstance(follower, SubstreamFiles)
        both = {"files__folder": tmp_path / "out", "kafka_out__servers": "localhost:1", "kafka_out__max_lag": 9}
        _, kafka = factory.followers(archive, settings_of(tmp_path, **both))
        assert (kafka.name, kafka.max_lag) == ("kafka:fink", 9)
        archive.record_follower("kafka:fink", 0, "", {"fink_fast_risers_ztf": 2})
        states = {state.pop("follower"): state for state in factory.follower_states(archive)}
        assert states["kafka:fink"] == {"commit": 0, "lag": 0, "undeliverable": {"fink_fast_risers_ztf": 2}}


def test_the_plan_holds_the_modules_and_substreams_that_are_named(tmp_path: Path) -> None:
    plan = factory.build_plan(settings_of(tmp_path))
    assert {step.module.name for step in plan.steps} >= {"data_quality", "colour"}
    assert set(plan.substreams) == {"uniform_sample"}
    whole = factory.build_plan(load_settings(None, {"archive": tmp_path}))
    assert {step.module.name for step in whole.steps} == set(science.registry())
    with pytest.raises(PlanError, match="did you mean colour"):
        factory.build_plan(settings_of(tmp_path, run__modules=("colur",)))


def test_schemas_are_found_in_the_field_tables_then_in_the_folder(tmp_path: Path) -> None:
    own = b'{"type": "record", "name": "mine", "fields": []}'
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "77777.avsc").write_bytes(own)
    with_folder = factory.schema_of_id(settings_of(tmp_path, surveys__schemas=tmp_path / "schemas"))
    alone = factory.schema_of_id(settings_of(tmp_path))
    assert b'"diaSource' in alone(1000)
    assert with_folder(1000) == alone(1000)
    assert with_folder(77_777)
    with pytest.raises(SchemaError, match="77777"):
        alone(77_777)


@pytest.fixture
def with_junk(tmp_path: Path) -> Settings:
    """An archive with two packets in quarantine, whose schema was missing, and settings that name it."""
    settings, folder = settings_of(tmp_path), tmp_path / "unknown"
    folder.mkdir()
    for row in range(2):
        (folder / f"{row}.avro").write_bytes(writers.wire_prefix(77_777) + NIGHTS[0].packets.body(row))
    with factory.open_archive(settings) as archive:
        summary = factory.run(factory.files_source([folder], settings, archive), archive, settings)
        assert summary.counts.quarantined == 2
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "77777.avsc").write_bytes(NIGHTS[0].packets.schemas[0])
    return settings_of(tmp_path, surveys__schemas=tmp_path / "schemas")


def test_what_is_asked_is_done_here_where_nobody_holds_the_archive(with_junk: Settings) -> None:
    arguments = {"items": [], "surveys": with_junk.surveys.model_dump(mode="json")}
    assert factory.ask(with_junk, "replay", arguments) == {"tried": 2, "archived": 2}
    assert factory.ask(with_junk, "compact", {})["alerts"] == 2


def test_one_item_can_be_read_again_alone(with_junk: Settings) -> None:
    with factory.open_archive(with_junk) as archive:
        one, other = (item["id"] for item in archive.quarantine_items())
        assert factory.replay_quarantine(archive, with_junk, [one]) == 1
        assert [item["id"] for item in archive.quarantine_items()] == [other]
        with pytest.raises(NotFoundError):
            factory.replay_quarantine(archive, with_junk, ["0" * 64])


def test_what_is_asked_of_a_run_that_does_not_answer_fails_and_waits_for_the_next(with_junk: Settings) -> None:
    with factory.open_archive(with_junk), pytest.raises(ArchiveError, match="waits for the next one"):
        factory.ask(with_junk, "compact", {}, seconds=0.3)


def test_a_run_that_holds_the_archive_does_what_it_is_asked(packets: Path, with_junk: Settings) -> None:
    answers: list[Any] = []
    settings = with_junk.model_copy(update={"batch": with_junk.batch.model_copy(update={"alerts": 5})})
    arguments = {"items": [], "surveys": settings.surveys.model_dump(mode="json")}
    asking = threading.Thread(target=lambda: answers.append(factory.ask(settings, "replay", arguments, seconds=30)))

    def ask_at_first(commit: Commit, summary: RunSummary) -> None:
        if summary.commits == 1:
            asking.start()
            asking.join(1.0)

    with factory.open_archive(settings) as archive:
        factory.run(factory.files_source([packets], settings, archive), archive, settings, ask_at_first)
        asking.join(30)
        assert answers == [{"tried": 2, "archived": 2}]
        assert archive.ledger()["balanced"]
        assert archive.quarantine_items() == []


def test_nothing_can_be_asked_of_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="create one with fink run"):
        factory.ask(settings_of(tmp_path), "compact", {})
    assert not (tmp_path / "archive").exists()
