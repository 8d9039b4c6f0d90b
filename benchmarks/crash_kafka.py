"""Kill a run from Kafka to Kafka with SIGKILL at random instants, and the Kafka server too, and compare with an undisturbed run.

``python -m benchmarks.crash_kafka --n 300`` (``make crash-test-kafka N=300``): of 200,000 small alerts each must be once in the archive,
and once in the topic of each substream that takes it, for those who read committed messages; all equal to the undisturbed run.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.chain import FIRST
from benchmarks.crash import Begun, Snapshot, run_and_kill, run_to_the_end, snapshot
from benchmarks.result import Result
from fink.archive.embedded import EmbeddedArchive
from fink.archive.index import read_published
from fink.codecs.containers import container_of
from fink.errors import ArchiveError
from fink.services.kafka_server import KafkaServer
from fink.simulator.survey import SimulatedNight, simulate_nights

TOPIC, PARTITIONS, BATCH = "ztf_alerts", 4, 200
ALERTS, KILLS, SERVER_KILLS = 200_000, 300, 20
AT_WORK = 0.75
"""Share of the kills whose time counts from a run's first write; the others fall into its start."""


class Broker:
    """A Kafka server with the alerts in it, and an archive that a run fills from it.

    Parameters
    ----------
    folder
        Where both are.
    port
        Of the server; 0 takes a free one. It is part of the sources' names, which are compared.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.server = folder, KafkaServer(folder / "kafka", port)
        self.server.up()

    def send(self, nights: Sequence[SimulatedNight]) -> None:
        """Put the alerts into their topic, each in a container of its own as ZTF does."""
        client = self.server.client()
        admin = AdminClient(client)
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(60)
        producer = Producer(client | {"compression.type": "zstd", "linger.ms": 50, "queue.buffering.max.messages": 10_000})
        for night in nights:
            packets = night.packets
            for row in range(len(packets)):
                message = container_of(packets.schemas[packets.schema[row]], packets.body(row))
                while True:
                    try:
                        producer.produce(TOPIC, message, partition=row % PARTITIONS)
                        break
                    except BufferError:
                        producer.poll(0.1)
        if producer.flush(300):
            raise RuntimeError("the server did not take the alerts")

    def command(self) -> list[str]:
        """Give the command line of a run."""
        servers = self.server.address()
        chosen = {
            "kafka_out.servers": servers,
            "kafka_out.timeout": 20,
            "batch.alerts": BATCH,
            "run.modules": ",".join(FIRST),
            "run.workers": 0,
            "retention.packets": "none",
        }
        arguments = ["run", f"kafka://{servers}/{TOPIC}", "--archive", str(self.folder / "archive"), "--format", "json"]
        settings = [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
        return [sys.executable, "-m", "fink.cli", *arguments, *settings]

    def topics(self) -> dict[str, list[tuple[int, str]]]:
        """Give, for each substream's topic, the number and a digest of each message that readers of committed messages find."""
        consumer = Consumer(
            self.server.client()
            | {"group.id": "reader", "isolation.level": "read_committed", "enable.auto.commit": False, "enable.partition.eof": True}
        )
        try:
            known = consumer.list_topics(timeout=60).topics
            names = [name for name in known if name.startswith("fink_") and name.endswith("_ztf")]
            places = [TopicPartition(name, number, OFFSET_BEGINNING) for name in names for number in known[name].partitions]
            consumer.assign(places)
            found: dict[str, list[tuple[int, str]]] = {name: [] for name in names}
            for topic, key, value in _until_the_end(consumer, len(places)):
                found[topic].append((_alert_id(key, value), hashlib.sha256(value).hexdigest()))
        finally:
            consumer.close()
        return {name: sorted(messages) for name, messages in found.items()}


def _until_the_end(consumer: Consumer, partitions: int) -> Iterator[tuple[str, bytes, bytes]]:
    ended = 0
    while ended < partitions:
        message = consumer.poll(60)
        if message is None:
            raise RuntimeError("a topic has no end")
        if message.error() is None:
            yield message.topic(), message.key(), message.value()
        else:
            ended += 1


_SCHEMAS: dict[bytes, Any] = {}


def _alert_id(key: bytes, value: bytes) -> int:
    """Read a message's alert with the schema in its key; the number stands before everything else that is long."""
    if key not in _SCHEMAS:
        schema = json.loads(key)
        fields = schema["fields"]
        # candid is among the first fields: what lies behind it need not be read
        stop = next(i for i, item in enumerate(fields) if item["name"] == "candid") + 1
        _SCHEMAS[key] = fastavro.parse_schema({**schema, "fields": fields[:stop]})
    record = fastavro.schemaless_reader(io.BytesIO(value), _SCHEMAS[key], None)
    return int(record["candid"])


@dataclass(frozen=True)
class Left:
    """What a broker holds at the end."""

    archive: Snapshot
    topics: dict[str, list[tuple[int, str]]]

    def differences(self, other: Left) -> list[str]:
        """Name what is more than once, or differs from the other."""
        found = self.archive.differences(other.archive)
        for name in sorted(self.topics.keys() | other.topics.keys()):
            counts = Counter(alert for alert, _ in other.topics.get(name, []))
            repeated = sum(count > 1 for count in counts.values())
            missing = len({alert for alert, _ in self.topics.get(name, [])} - counts.keys())
            found += [f"{name}: {repeated} alerts more than once"] if repeated else []
            found += [f"{name}: {missing} alerts are missing"] if missing else []
            if self.topics.get(name) != other.topics.get(name):
                found.append(f"{name} differs")
        return found


def left(broker: Broker) -> Left:
    """Read everything that the runs left."""
    return Left(snapshot(broker.folder), broker.topics())


@dataclass
class Tally:
    """What happened to the disturbed run."""

    kills: int = 0
    server_kills: int = 0


def wait_for_work(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a run writes alerts into its archive, or ends."""
    before = read_published(folder / "archive")
    while process.poll() is None and (read_published(folder / "archive") or 0) <= (before or 0):
        time.sleep(0.005)


def archived(folder: Path) -> int:
    """Give how many alerts are in the archive so far."""
    try:
        with EmbeddedArchive.reader(folder / "archive") as archive:
            return int(archive.ledger()["archived"])
    except ArchiveError:
        return 0


def disturb(broker: Broker, kills: int, server_kills: int, alerts: int, seconds: float, seed: int = 0) -> Tally:
    """Kill runs and servers at random until the counts are reached or all alerts are through; the last run is left alone.

    Parameters
    ----------
    alerts, seconds
        What an undisturbed run works through, and in which time: the kills are spread over it.
    """
    rng, tally = random.Random(seed), Tally()
    events = ["run"] * kills + ["server"] * server_kills
    rng.shuffle(events)
    mean, before = 0.4 * seconds / max(AT_WORK * len(events), 1), 0
    for left_over, event in zip(range(len(events) - 1, -1, -1), events, strict=True):
        at_work = event == "server" or rng.random() < AT_WORK
        begun: Begun = partial(wait_for_work, broker.folder) if at_work else lambda process: None
        wait = rng.expovariate(1 / mean)
        if event == "server":
            running = _kill_server_under_a_run(broker, wait, rng.expovariate(1 / mean), begun)
            tally.server_kills += 1
        else:
            running = run_and_kill(broker.command(), broker.folder, wait, begun)
            tally.kills += running
        if not running:
            break
        now = archived(broker.folder)
        if at_work and now > before:
            # a machine is not always as fast as it was without disturbance
            share = 0.6 * (alerts - now) / max(AT_WORK * left_over, 1)
            mean *= min(2.0, max(0.25, share / (now - before)))
        before = now
    return tally


def _kill_server_under_a_run(broker: Broker, before: float, after: float, begun: Begun) -> bool:
    """Kill the server under a run, start it again, and kill the run when it has gone on for a while."""

    def end_and_begin(process: subprocess.Popen[bytes]) -> None:
        begun(process)
        time.sleep(before)
        broker.server.kill()
        broker.server.up()
        begun(process)

    return run_and_kill(broker.command(), broker.folder, after, end_and_begin)


def measure(short: bool = False, n: int | None = None, alerts: int | None = None) -> Result:
    """Run undisturbed, run disturbed, compare."""
    kills = n or (6 if short else KILLS)
    servers = max(1, round(kills * SERVER_KILLS / KILLS))
    total = alerts or (3000 if short or kills < 50 else ALERTS)
    nights = simulate_nights("ztf", 3, total // 3, 3, stamps=False)
    with tempfile.TemporaryDirectory() as name:
        calm, summary, seconds, port = _undisturbed(Path(name) / "calm", nights)
        began = time.monotonic()
        broker = Broker(Path(name) / "storm", port)
        try:
            broker.send(nights)
            tally = disturb(broker, kills, servers, summary["archived"], seconds)
            run_to_the_end(broker.command())
            differences = calm.differences(left(broker))
        finally:
            broker.server.kill()
    figures = {
        "kills": tally.kills,
        "server_kills": tally.server_kills,
        "alerts": summary["archived"],
        "messages": sum(len(messages) for messages in calm.topics.values()),
        "topics": len(calm.topics),
        "differences": len(differences),
    }
    minutes = (time.monotonic() - began) / 60
    lines = [f"{name:24} {value}" for name, value in figures.items()]
    lines += [f"{'undisturbed [s]':24} {seconds:.1f}", f"{'minutes':24} {minutes:.1f}"]
    # a few kills may come to an end before they are all done: the alerts are through
    share = 0.9 if kills >= 50 else 0.5
    goal = {"kills": share * kills, "server_kills": share * servers, "differences_at_most": 0}
    return Result.of("crash_kafka", figures, goal, "\n".join([*lines, *differences]))


def _undisturbed(folder: Path, nights: Sequence[SimulatedNight]) -> tuple[Left, dict[str, Any], float, int]:
    """Run without any trouble; give what is left, the summary of the run, how long it worked [s], and the server's port."""
    broker = Broker(folder)
    try:
        broker.send(nights)
        summary = run_to_the_end(broker.command())
        return left(broker), summary, summary["archived"] / summary["rate"], broker.server.layout.ports["plain"]
    finally:
        broker.server.kill()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=KILLS, help="how many kills of the run; of the server a fifteenth of it")
    parser.add_argument("--alerts", type=int, default=None, help="how many alerts the topic has")
    options = parser.parse_args(arguments)
    result = measure(n=options.n, alerts=options.alerts)
    print(result.table)
    print(json.dumps({"name": result.name, "figures": dict(result.figures), "goal": dict(result.goal), "holds": result.holds}))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
