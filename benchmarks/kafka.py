"""From Kafka to Kafka with everything on, on two cores that the Kafka server shares: rate, and where the time goes.

ZTF packets of real size lie in a topic; every module runs, the archive keeps all packets, and substreams that take one alert in ten
on average are sent. The rate counts from the first commit until the last message can be read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.result import Result, table_text
from fink.codecs.containers import container_of
from fink.services.kafka_server import KafkaServer
from fink.simulator.survey import simulate_night

TOPIC, PARTITIONS, WORKERS = "ztf_alerts", 4, 2
SELECTED = 0.1
"""Messages that are sent for an alert on average."""

_RUN = """
import json, sys, time
from fink import factory
from fink.config import load_settings
servers, folder, keep, workers, substreams = sys.argv[1:]
chosen = {"archive": folder, "kafka_out.servers": servers, "retention.packets": keep, "run.workers": int(workers)}
chosen["run.substreams"] = tuple(filter(None, substreams.split(",")))
settings = load_settings(None, chosen)
spent, marks = {}, []
def timed(owner, name, part):
    real = getattr(owner, name)
    def work(*arguments, **named):
        began = time.thread_time()
        try:
            return real(*arguments, **named)
        finally:
            spent[part] = spent.get(part, 0.0) + time.thread_time() - began
    setattr(owner, name, work)
from fink.streams.kafka_follower import KafkaFollower
timed(KafkaFollower, "_next_delivery", "messages made")
with factory.open_archive(settings) as archive:
    source = factory.kafka_source(["kafka://" + servers + "/TOPIC"], settings, archive)
    timed(source, "next_batch", "messages read")
    timed(archive, "apply", "commit")
    timed(archive, "maintain", "upkeep")
    summary = factory.run(source, archive, settings, lambda commit, so_far: marks.append((time.monotonic(), so_far.counts.received)))
    end, ledger = time.monotonic(), archive.ledger()
(first, before), (last, after) = marks[0], marks[-1]
modules = sum(counts.seconds for counts in summary.modules.values())
print(json.dumps({"alerts": after, "rate": (after - before) / (end - first), "committed": (after - before) / (last - first),
                  "balanced": ledger["balanced"], "substreams": ledger["substreams"], "spent": spent, "modules": modules}))
""".replace("TOPIC", TOPIC)


@dataclass(frozen=True)
class Ran:
    """What a run said, and the processor time of each of its processes [s]."""

    said: Mapping[str, Any]
    processes: Mapping[str, float]
    memory: float

    @property
    def sent(self) -> int:
        """Messages that were sent."""
        return sum(self.said["substreams"].values())


def fill(server: KafkaServer, n: int) -> float:
    """Put a night of ZTF alerts into the topic; give the mean size of a message [bytes]."""
    client = server.client()
    admin = AdminClient(client)
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(60)
    producer = Producer(client | {"linger.ms": 20, "queue.buffering.max.kbytes": 200_000})
    packets, size = simulate_night("ztf", n, stamps="shared").packets, 0
    for row in range(len(packets)):
        message = container_of(packets.schemas[packets.schema[row]], packets.body(row))
        size += len(message)
        while True:
            try:
                producer.produce(TOPIC, message, partition=row % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(600):
        raise RuntimeError("the server did not take the alerts")
    return size / len(packets)


def run(server: KafkaServer, folder: Path, keep: str, substreams: str) -> Ran:
    """Run in a process of its own, and count the processor time of all that takes part."""
    command = [sys.executable, "-c", _RUN, server.address(), str(folder), keep, str(WORKERS), substreams]
    java = psutil.Process(server.pid)
    before = _seconds(java)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    times, memory = _watch(process)
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the run ended with status {process.returncode}")
    said = json.loads(output.splitlines()[-1])
    if not said["balanced"]:
        raise RuntimeError("the ledger does not balance")
    return Ran(said, {**times, "Kafka server": _seconds(java) - before}, memory[0])


def _seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _watch(process: subprocess.Popen[str]) -> tuple[dict[str, float], list[float]]:
    """Sample the processor time of a run's processes, by what they do, and the most memory that they held [GB]."""
    times: dict[str, float] = {}
    memory = [0.0]

    def sample() -> None:
        seen: dict[int, tuple[str, float]] = {}
        while process.poll() is None:
            try:
                top = psutil.Process(process.pid)
                family = [top, *top.children(recursive=True)]
                memory[0] = max(memory[0], sum(child.memory_full_info().pss for child in family) / 1e9)
                for child in family:
                    sends = any("kafka_link" in word for word in child.cmdline())
                    role = "main process" if child.pid == top.pid else "sending process" if sends else "workers"
                    seen[child.pid] = (role, _seconds(child))
            except psutil.Error:
                pass
            for role in {role for role, _ in seen.values()}:
                times[role] = sum(seconds for other, seconds in seen.values() if other == role)
            time.sleep(0.25)

    threading.Thread(target=sample, daemon=True).start()
    return times, memory


def choose(taken: Mapping[str, int], wanted: int) -> list[str]:
    """Choose substreams that together take about so many alerts, the largest first."""
    chosen, left = [], wanted
    for name, count in sorted(taken.items(), key=lambda item: (-item[1], item[0])):
        if 0 < count <= left * 1.05:
            chosen.append(name)
            left -= count
    return sorted(chosen) or sorted(taken)[:1]


def measure(short: bool = False) -> Result:
    """Measure with all packets kept, and with none."""
    n = 3000 if short else 40_000
    rows: list[list[str]] = []
    figures: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("FINK_BENCH_FOLDER")) as name:
        place = Path(name)
        probe = KafkaServer(place / "probe")
        probe.up()
        try:
            fill(probe, min(n, 4000))
            taken = run(probe, place / "probed", "none", "").said["substreams"]
        finally:
            probe.kill()
        substreams = choose(taken, round(SELECTED * min(n, 4000)))
        for keep in ("all", "none"):
            server = KafkaServer(place / f"kafka-{keep}")
            server.up()
            try:
                size = fill(server, n)
                ran = run(server, place / f"archive-{keep}", keep, ",".join(substreams))
            finally:
                server.kill()
            suffix = "" if keep == "all" else "_not_kept"
            figures |= {f"rate{suffix}": ran.said["rate"], f"committed{suffix}": ran.said["committed"]}
            figures |= {f"selected{suffix}": ran.sent / ran.said["alerts"], f"memory_gb{suffix}": ran.memory, "message_kb": size / 1e3}
            rows += _rows(ran, keep)
    title = f"From Kafka to Kafka, all science, {n:,} ZTF alerts, substreams {', '.join(substreams)}"
    table = table_text(title, ["part", "us per alert", "share [%]"], rows)
    goal = {} if short else {"rate": 1500.0, "selected": 0.9 * SELECTED}
    return Result.of("kafka", figures, goal, table)


def _rows(ran: Ran, keep: str) -> list[list[str]]:
    alerts, whole = ran.said["alerts"], sum(ran.processes.values())

    def row(name: str, seconds: float) -> list[str]:
        return [name, f"{seconds * 1e6 / alerts:,.1f}", f"{100 * seconds / whole:.1f}"]

    rate = f"{ran.said['rate']:,.0f} alerts/s, {ran.sent / alerts:.3f} messages an alert"
    rows = [[f"packets kept: {keep}; {rate}", f"{whole * 1e6 / alerts:,.1f}", "100"]]
    rows += [row(f"  {role}", seconds) for role, seconds in sorted(ran.processes.items(), key=lambda item: -item[1])]
    rows += [row(f"    of the main process: {part}", seconds) for part, seconds in ran.said["spent"].items()]
    return [*rows, row("    of the workers: modules", ran.said["modules"])]
