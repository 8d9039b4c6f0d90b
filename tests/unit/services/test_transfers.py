"""Transfers send what was selected, once, in an order that does not change, also after a break."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.state import State
from fink.cli.application import run
from fink.config import KafkaOutSettings
from fink.errors import ConditionError, FollowerError, NotFoundError, RequestError
from fink.services import transfers as module
from fink.services.transfers import Job, Selection, Transfers
from fink.simulator.replay import write_night
from fink.streams.kafka_transfer import PARTITIONS, SCHEMA_COPIES, TransferTopic
from kafka_fixture import Kafka
from simulated import nights


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedArchive]:
    folder = tmp_path_factory.mktemp("transfers")
    for survey, alerts in (("ztf", 80), ("lsst", 30)):
        for night in nights(survey, 2, alerts):
            write_night(night, folder / "packets" / f"{survey}_{night.night}")
    assert run(["run", str(folder / "packets"), "--workers", "0", "--archive", str(folder / "archive"), "--format", "json"]) == 0
    with EmbeddedArchive.reader(folder / "archive") as reader:
        yield reader


@pytest.fixture
def transfers(kafka: Kafka, tmp_path: Path) -> Transfers:
    return Transfers(State(tmp_path), KafkaOutSettings.model_validate({"servers": kafka.bootstrap}))


def sent(kafka: Kafka, job: Job) -> list[dict[str, Any]]:
    """Read a transfer as its clients do, by the schema of its other topic; partitions are dense from offset 0."""
    found = []
    for topic in job.topics:
        keys = {message.key() for message in kafka.messages(f"{topic}_schema")}
        assert len(keys) == 1
        assert len(kafka.messages(f"{topic}_schema")) == SCHEMA_COPIES
        schema = fastavro.parse_schema(json.loads(keys.pop()))
        messages = kafka.messages(topic)
        for partition in range(PARTITIONS):
            offsets = [message.offset() for message in messages if message.partition() == partition]
            assert offsets == list(range(len(offsets)))
        found += [fastavro.schemaless_reader(io.BytesIO(message.value()), schema, None) for message in messages]
    return found


def test_packets_are_sent_whole_with_the_added_columns(kafka: Kafka, transfers: Transfers, archive: EmbeddedArchive) -> None:
    job = transfers.order(Selection("ztf", where="is_transient"), archive)
    done = transfers.carry_out(job.name, archive)
    known = archive.sql("SELECT * FROM alerts WHERE survey = 'ztf' AND is_transient").to_pylist()
    assert (done.state, done.sent, done.total, done.missing) == ("done", len(known), len(known), 0)
    rows = {row["candid"]: row for row in sent(kafka, done)}
    assert rows.keys() == {row["alert_id"] for row in known}
    for row in known:
        body, schema = archive.packet("ztf", row["alert_id"]) or (b"", b"")
        original: Any = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(json.loads(schema)), None)
        assert {name: rows[row["alert_id"]][name] for name in original} == original
        assert rows[row["alert_id"]]["is_transient"] == row["is_transient"]


def test_columns_are_sent_flat_under_public_names(kafka: Kafka, transfers: Transfers, archive: EmbeddedArchive) -> None:
    job = transfers.order(Selection("lsst", columns=("r:psfFlux", "f:mag")), archive)
    done = transfers.carry_out(job.name, archive)
    known = {row["alert_id"]: row for row in archive.sql("SELECT * FROM alerts WHERE survey = 'lsst'").to_pylist()}
    rows = sent(kafka, done)
    assert len(rows) == len(known) == done.sent
    for row in rows:
        assert set(row) == {"diaSourceId", "diaObjectId", "midpointMjdTai", "psfFlux", "mag"}
        assert (row["psfFlux"], row["mag"]) == (known[row["diaSourceId"]]["flux"], known[row["diaSourceId"]]["mag"])


@pytest.mark.parametrize("broken_at", [0, 1, 37, 95])
def test_a_transfer_that_was_broken_off_goes_on_without_a_gap(
    kafka: Kafka, transfers: Transfers, archive: EmbeddedArchive, monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    monkeypatch.setattr(module, "BATCH", 40)
    selection = Selection("ztf", columns=("i:magpsf",))
    expected = transfers.carry_out(transfers.order(selection, archive).name, archive)
    job, count, real = transfers.order(selection, archive), 0, TransferTopic.send

    def dies(self: TransferTopic, value: bytes) -> None:
        nonlocal count
        if count == broken_at:
            self.close()
            raise FollowerError("the cluster went away")
        count += 1
        real(self, value)

    with monkeypatch.context() as patch:
        patch.setattr(TransferTopic, "send", dies)
        with pytest.raises(FollowerError, match="went away"):
            transfers.carry_out(job.name, archive)
    assert transfers.get(job.name).state == "failed"
    done = transfers.carry_out(job.name, archive)
    assert (done.state, done.sent) == ("done", expected.sent)
    assert [m.value() for m in kafka.messages(done.topics[0])] == [m.value() for m in kafka.messages(expected.topics[0])]


def test_selections_begin_in_several_ways(archive: EmbeddedArchive) -> None:
    everything = archive.sql("SELECT * FROM alerts WHERE survey = 'ztf' ORDER BY night, mjd, alert_id").to_pylist()
    last = archive.last_commit()

    def chosen(**more: Any) -> list[int]:
        ids: list[int] = Selection("ztf", **more).alerts(archive, last)["alert_id"].to_pylist()
        return ids

    assert chosen() == [row["alert_id"] for row in everything]
    assert chosen(limit=3) == [row["alert_id"] for row in everything[:3]]
    first = everything[0]["night"]
    assert chosen(start=first, stop=first) == [row["alert_id"] for row in everything if row["night"] == first]
    names = tuple({row["object_id"] for row in everything[:5]})
    assert chosen(objects=names) == [row["alert_id"] for row in everything if row["object_id"] in names]
    assert chosen(objects=names, where="mag < 20") == [
        row["alert_id"] for row in everything if row["object_id"] in names and (row["mag"] or 99) < 20
    ]
    taken = {row["alert_id"] for row in archive.substream("remove_unlikely_transients").to_pylist()}
    assert chosen(substream="remove_unlikely_transients") == [row["alert_id"] for row in everything if row["alert_id"] in taken]
    place = (everything[0]["ra"], everything[0]["dec"])
    assert everything[0]["alert_id"] in chosen(positions=(place, place), radius=1.0)
    assert len(chosen(positions=(place, place), radius=1.0)) == len(set(chosen(positions=(place, place), radius=1.0)))
    assert Selection("ztf").alerts(archive, 0).num_rows == 0


def test_what_cannot_be_selected_is_refused(transfers: Transfers, archive: EmbeddedArchive) -> None:
    for selection, told in (
        (Selection("ztff"), "did you mean ztf"),
        (Selection("ztf", start=20260102, stop=20260101), "wrong|after the last"),
        (Selection("ztf", columns=("i:magpsff",)), "did you mean i:magpsf"),
        (Selection("ztf", substream="a", objects=("b",)), "three ways"),
    ):
        with pytest.raises(RequestError, match=told):
            transfers.order(selection, archive)
    with pytest.raises(ConditionError, match="magg"):
        transfers.order(Selection("ztf", where="magg < 1"), archive)
    assert transfers.jobs() == []


def test_transfers_are_listed_cancelled_and_expire(kafka: Kafka, transfers: Transfers, archive: EmbeddedArchive) -> None:
    first = transfers.carry_out(transfers.order(Selection("ztf", limit=5), archive).name, archive)
    second = transfers.order(Selection("lsst", limit=5), archive, days=0.5)
    assert [job.name for job in transfers.jobs()] == [second.name, first.name]
    assert transfers.get(first.name).selection == Selection("ztf", limit=5)
    assert transfers.cancel(second.name).state == "cancelled"
    with pytest.raises(RequestError, match="order it again"):
        transfers.carry_out(second.name, archive)
    with pytest.raises(RequestError, match="nothing to cancel"):
        transfers.cancel(first.name)
    with pytest.raises(NotFoundError, match="no transfer"):
        transfers.get("ftransfer_none")
    assert set(transfers.expire(now=first.expires + 1)) == {first.name, second.name}
    assert first.topics[0] not in kafka.admin().list_topics(timeout=30).topics


def test_a_transfer_is_cancelled_while_it_is_carried_out(
    kafka: Kafka, transfers: Transfers, archive: EmbeddedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 20)
    job = transfers.order(Selection("ztf"), archive)

    def told(now: Job) -> None:
        if now.sent >= 40:
            transfers.cancel(job.name)

    done = transfers.carry_out(job.name, archive, told)
    assert done.state == "cancelled"
    assert done.topics[0] not in kafka.admin().list_topics(timeout=30).topics


def test_packets_that_are_not_kept_are_counted(
    kafka: Kafka, transfers: Transfers, archive: EmbeddedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = archive.packet
    monkeypatch.setattr(archive, "packet", lambda survey, number: None if number % 2 else real(survey, number))
    done = transfers.carry_out(transfers.order(Selection("lsst"), archive).name, archive)
    assert done.missing > 0
    assert done.sent + done.missing == done.total
    assert "ask for columns" in done.message
    assert replace(done, message="").sent == len(sent(kafka, done))
