"""From a visit of the survey's telescope to the substreams of Kafka: after which time the last message of a visit can be read.

300 visits of 10,000 small or 2,000 full-size ZTF alerts go through a real Kafka, a ``fink run`` with everything on and the substream
topics: first they arrive at once, then spread over 30 s as a survey sends them. The time counts from the last packet that the server
has taken to the last message that a reader of committed messages gets. Server, run, survey and reader share the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.kafka import PARTITIONS, TOPIC, WORKERS
from benchmarks.result import Figure, Result, table_text
from fink import factory
from fink.archive.embedded import EmbeddedArchive
from fink.archive.index import read_published
from fink.codecs.containers import container_of
from fink.errors import ArchiveError
from fink.services.kafka_server import KafkaServer
from fink.simulator.survey import NIGHT, Drawn, simulate_night
from fink.tables import Packets

VISITS, A_NIGHT, SPREAD = 300, 10, 30.0
"""Visits of each arrival, those of one night (its alerts are simulated together), and the time over which one is spread [s]."""
SIZES = {"small": 10_000, "full size": 2_000}
"""Alerts of a visit: small ones have no stamps, full-size ones have three each, of the size that the survey sends."""
GOAL = {"p99_at_once_at_most": 8.0, "p99_spread_at_most": 2.0}
KEEP = "last:1GB"
"""Packets that the archive keeps: all are written, and what is dropped later bounds the disk that a long run needs."""
PATIENCE = 300.0
"""Time after which a visit that has not come through ends the benchmark [s]."""
BINS = 12
_BOUNDED = {"retention.bytes": str(500_000_000), "segment.bytes": str(100_000_000)}


def run_command(server: KafkaServer, folder: Path, *more: str) -> list[str]:
    """Give the command line of a run from Kafka to Kafka with everything on."""
    servers = server.address()
    options = ["--archive", str(folder), "--workers", str(WORKERS), "--keep", KEEP, "--set", f"kafka_out.servers={servers}"]
    return [sys.executable, "-m", "fink.cli", "run", f"kafka://{servers}/{TOPIC}", *options, "--format", "json", *more]


def containers(packets: Packets, rows: Iterable[int]) -> Iterator[bytes]:
    """Give alerts as ZTF sends them, each in a container of its own."""
    for row in rows:
        yield container_of(packets.schemas[packets.schema[row]], packets.body(row))


class Telescope:
    """Sends alerts into the topic that a run reads, which is made here.

    Parameters
    ----------
    settings
        Of the topic.
    client
        Further settings of the client that sends.
    """

    def __init__(self, server: KafkaServer, settings: dict[str, str], client: dict[str, Any]) -> None:
        # the client must live until the topic is there
        admin = AdminClient(server.client())
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1, config=settings)])[TOPIC].result(60)
        self._producer = Producer(server.client() | {"queue.buffering.max.kbytes": 400_000, "log_level": 0} | client)
        self.sent = 0

    def send(self, alerts: Iterable[bytes], due: Callable[[int], float] = lambda row: 0.0) -> float:
        """Send alerts, each not before it is due [s from now], and give when the server had taken the last [s]."""
        began = time.monotonic()
        for row, alert in enumerate(alerts):
            while (early := began + due(row) - time.monotonic()) > 0:
                self._producer.poll(min(early, 0.05))
            while True:
                try:
                    self._producer.produce(TOPIC, alert, partition=self.sent % PARTITIONS)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self.sent += 1
        if self._producer.flush(PATIENCE):
            raise RuntimeError("the server did not take the alerts")
        return time.monotonic()


class Reader(threading.Thread):
    """Reads all substreams as a user does, only committed messages, and notes how many came and when the last did."""

    def __init__(self, server: KafkaServer) -> None:
        super().__init__(daemon=True)
        self.count, self.latest = 0, 0.0
        self._ended = threading.Event()
        reading = {"group.id": "reader", "isolation.level": "read_committed", "enable.auto.commit": False, "fetch.wait.max.ms": 100}
        self._consumer = Consumer(server.client() | reading)
        known = self._consumer.list_topics(timeout=60).topics
        names = [name for name in known if name.startswith("fink_") and name.endswith("_ztf")]
        self._consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for name in names for number in known[name].partitions])

    def run(self) -> None:
        """Read until it is closed."""
        while not self._ended.is_set():
            found = sum(message.error() is None for message in self._consumer.consume(1000, 0.05))
            if found:
                self.latest = time.monotonic()
                self.count += found
        self._consumer.close()

    def close(self) -> None:
        """End reading."""
        self._ended.set()
        self.join()


@dataclass(frozen=True)
class Account:
    """How many alerts are archived, how many messages that gives, and whether all are delivered."""

    archived: int = 0
    messages: int = 0
    delivered: bool = False

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Look into an archive beside the run that writes it."""
        with suppress(ArchiveError), EmbeddedArchive.reader(folder) as archive:
            ledger, states = archive.ledger(), factory.follower_states(archive)
            return cls(ledger["archived"], sum(ledger["substreams"].values()), bool(states) and not any(each["lag"] for each in states))
        return cls()


class Visited:
    """A Kafka server and a run that goes on, through which visits are sent one after the other.

    Parameters
    ----------
    folder
        Of all that they write.
    first
        Alerts that are sent before the first visit: the topics are made for them, and the kernels loaded.
    """

    def __init__(self, folder: Path, first: Sequence[bytes]) -> None:
        self._archive, self._server = folder / "archive", KafkaServer(folder / "kafka")
        self._server.up()
        self._commit: int | None = None
        self._moved = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._telescope = Telescope(self._server, _BOUNDED, {"linger.ms": 20})
            self._process = subprocess.Popen(run_command(self._server, self._archive, "--follow"), stdout=subprocess.DEVNULL)
            self._telescope.send(first)
            self._wait(lambda: self._through().delivered)
            self._reader = Reader(self._server)
            self._reader.start()
            self._wait(lambda: self._reader.count >= self._through().messages)
        except BaseException:
            self.kill()
            raise

    def _through(self) -> Account:
        """Give the account where all that was sent is archived, else an empty one."""
        account = Account.of(self._archive)
        return account if account.archived == self._telescope.sent else Account(messages=sys.maxsize)

    def _wait(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not done():
            if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self._telescope.sent} alerts were sent and did not come through: {Account.of(self._archive)}")
            time.sleep(0.5)

    def _still(self, seconds: float) -> bool:
        """Say whether nothing was committed, and no message came, for some time [s]."""
        commit, now = read_published(self._archive), time.monotonic()
        if commit != self._commit:
            self._commit, self._moved = commit, now
        return now - max(self._moved, self._reader.latest) > seconds

    def latency(self, alerts: Sequence[bytes], seconds: float) -> float:
        """Send a visit within some time [s] and give how long after its last packet the last message could be read [s]."""
        taken = self._telescope.send(alerts, lambda row: seconds * (row + 1) / len(alerts))
        # looking into the archive costs time that the run needs, so that is done when nothing moves any more
        self._wait(lambda: self._still(1.0) and self._reader.count >= self._through().messages)
        return max(self._reader.latest - taken, 0.0)

    @property
    def messages_an_alert(self) -> float:
        """Messages that were sent for an alert on average."""
        return self._reader.count / self._telescope.sent

    def close(self) -> None:
        """End the run in good order, and the server."""
        try:
            self._reader.close()
            if self._process is not None:
                self._process.terminate()
                if self._process.wait(PATIENCE):
                    raise RuntimeError(f"the run ended with status {self._process.returncode}")
            if self._reader.count != Account.of(self._archive).messages:
                raise RuntimeError("more messages came than were selected")
        finally:
            self.kill()

    def kill(self) -> None:
        """End all at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._server.kill()


def visits(n: int, a_night: int, sizes: dict[str, int]) -> Iterator[tuple[str, list[bytes]]]:
    """Give some visits, each its size and its alerts in the order of time; the sizes change from night to night."""
    kinds = list(sizes)
    for first in range(0, n, a_night):
        night = first // a_night
        kind, count = kinds[night % len(kinds)], min(a_night, n - first)
        each = sizes[kind]
        stamps: Drawn = False if kind == "small" else "shared"
        packets = simulate_night("ztf", each * count, night, NIGHT + timedelta(night), stamps=stamps).packets
        for visit in range(count):
            yield kind, list(containers(packets, range(visit * each, (visit + 1) * each)))


def arrive(n: int, a_night: int, sizes: dict[str, int], seconds: float) -> tuple[dict[str, list[float]], float]:
    """Send visits that each arrive within some time [s]; give the latencies by size [s], and the messages for an alert."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("FINK_BENCH_FOLDER")) as name:
        # one more than is counted: the first makes the topics
        coming = visits(n + 1, a_night, sizes)
        visited = Visited(Path(name), next(coming)[1])
        found: dict[str, list[float]] = {size: [] for size in sizes}
        try:
            for size, alerts in coming:
                found[size].append(visited.latency(alerts, seconds))
        except BaseException:
            visited.kill()
            raise
        share = visited.messages_an_alert
        visited.close()
    return found, share


def histogram(title: str, latencies: Sequence[float]) -> str:
    """Draw how many visits took how long."""
    counts, edges = np.histogram(latencies, BINS, (0.0, float(np.ceil(max(latencies)))))
    lines = [
        f"{low:7.2f} to {high:5.2f} s {count:5} {'█' * round(60 * count / counts.max())}"
        for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
    return "\n".join([title, *lines])


def measure(short: bool = False) -> Result:
    """Measure visits that arrive at once, and visits that are spread; the short form sends few small ones."""
    n, a_night, spread = (4, 2, 3.0) if short else (VISITS, A_NIGHT, SPREAD)
    sizes = {"small": 400, "full size": 200} if short else SIZES
    figures: dict[str, Figure] = {}
    rows: list[list[str]] = []
    drawn: list[str] = []
    for arrival, seconds in (("at once", 0.0), ("spread", spread)):
        found, share = arrive(n, a_night, sizes, seconds)
        together = [latency for latencies in found.values() for latency in latencies]
        for size, latencies in [*found.items(), ("all", together)]:
            p50, p99 = (float(value) for value in np.percentile(latencies, (50, 99)))
            rows.append([f"{arrival}, {size}", str(len(latencies)), str(sizes.get(size, "")), f"{p50:.2f}", f"{p99:.2f}"])
            rows[-1] += [f"{max(latencies):.2f}", f"{share:.2f}"]
            name = "_".join([arrival, *([] if size == "all" else [size])]).replace(" ", "_")
            figures |= {f"p50_{name}": p50, f"p99_{name}": p99}
        figures[f"visits_{arrival.replace(' ', '_')}"] = len(together)
        drawn.append(histogram(f"Visits that arrive {'at once' if not seconds else f'spread over {seconds:.0f} s'}", together))
    header = ["arrival", "visits", "alerts of each", "p50 [s]", "p99 [s]", "longest [s]", "messages an alert"]
    table = table_text("From the last packet to the last message of a visit", header, rows)
    return Result.of("visit", figures, {} if short else GOAL, "\n\n".join([table, *drawn]))
