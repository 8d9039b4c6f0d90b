"""A million alerts from Kafka to Kafka in one run: whether it goes on as it began, in rate and in memory.

Small ZTF alerts lie in a topic; a ``fink run`` with everything on archives them and sends every substream. Each tenth is four nights of
other objects, so that all tenths ask the same of it. The rate counts by commits; memory is what all processes of the run hold together,
what they share counted once.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.kafka import WORKERS
from benchmarks.result import Figure, Result, table_text
from benchmarks.visit import Telescope, containers, run_command
from fink.archive.embedded import EmbeddedArchive
from fink.archive.index import read_published
from fink.services.kafka_server import KafkaServer
from fink.simulator.survey import NIGHT, simulate_nights

ALERTS, TENTHS, NIGHTS = 1_000_000, 10, 4
GOAL = {"rate_ratio": 0.95, "memory_ratio_at_most": 1.05}
INTERVAL = 0.25
"""Time between two looks at the run [s]."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Watched:
    """What was seen of a run, look by look.

    Parameters
    ----------
    seconds, commits, memory
        (n,) when [s], the number of the last commit then, and the memory held [GB].
    ended
        When the last message was sent, and the run ended [s].
    """

    seconds: Floats
    commits: NDArray[np.int64]
    memory: Floats
    ended: float


@dataclass(frozen=True)
class Tenth:
    """One tenth of the alerts: its rate [1/s], and the median and most memory that was held meanwhile [GB]."""

    rate: float
    memory: float
    peak: float


def fill(server: KafkaServer, alerts: int) -> int:
    """Put the alerts into the topic, tenth by tenth; give their number."""
    client = {"compression.type": "zstd", "linger.ms": 50, "queue.buffering.max.messages": 10_000}
    telescope = Telescope(server, {}, client)
    for tenth in range(TENTHS):
        first = NIGHT + timedelta(tenth * NIGHTS)
        for night in simulate_nights("ztf", NIGHTS, alerts // (TENTHS * NIGHTS), tenth, first, stamps=False):
            telescope.send(containers(night.packets, range(len(night.packets))))
    return telescope.sent


def watch(command: list[str], folder: Path) -> Watched:
    """Run to the end, and look at it all the time."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    seen: list[tuple[float, int, float]] = []
    try:
        while process.poll() is None:
            try:
                top = psutil.Process(process.pid)
                held = sum(each.memory_full_info().pss for each in [top, *top.children(recursive=True)]) / 1e9
                seen.append((time.monotonic(), read_published(folder) or 0, held))
            except psutil.Error:
                # a process of the run ended while it was looked at
                pass
            time.sleep(INTERVAL)
        ended = time.monotonic()
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError(f"the run ended with status {process.returncode}")
    seconds, commits, memory = (np.array(column) for column in zip(*seen, strict=True))
    return Watched(seconds, commits, memory, ended)


def received(folder: Path, sent: int) -> NDArray[np.int64]:
    """Give how many alerts were received with each commit and all before it; the first is before any."""
    with EmbeddedArchive.reader(folder) as archive:
        ledger = archive.ledger()
        counts = [0, *(commit.counts.received for commit in archive.commits())]
    if not ledger["balanced"] or ledger["archived"] != sent:
        raise RuntimeError(f"{sent} alerts were sent, and {ledger['archived']} are archived")
    return np.cumsum(counts, dtype=np.int64)


def tenths(watched: Watched, after: NDArray[np.int64]) -> list[Tenth]:
    """Divide what was seen into tenths of the alerts; the time before the first commit is left out."""
    had = after[watched.commits].astype(np.float64)
    # each number of alerts at the look that saw it first; the start of the processes is not part of any rate
    reached, at = np.unique(had, return_index=True)
    reached, when = reached[reached > 0], watched.seconds[at][reached > 0]
    edges = np.linspace(0.0, float(after[-1]), TENTHS + 1)
    edges[0] = reached[0]
    times = np.interp(edges, reached, when)
    found = []
    for tenth in range(TENTHS):
        began, ended = times[tenth], times[tenth + 1]
        # a tenth of a short run may pass between two looks: then the next one counts
        first = np.searchsorted(watched.seconds, began)
        memory = watched.memory[first : max(np.searchsorted(watched.seconds, ended, "right"), first + 1)]
        rate = (edges[tenth + 1] - edges[tenth]) / max(ended - began, INTERVAL)
        found.append(Tenth(float(rate), float(np.median(memory)), float(memory.max())))
    return found


def measure(short: bool = False) -> Result:
    """Run all alerts through and compare the last tenth with the first; the short form has a hundredth of them."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("FINK_BENCH_FOLDER")) as name:
        place = Path(name)
        server = KafkaServer(place / "kafka")
        server.up()
        try:
            sent = fill(server, ALERTS // 100 if short else ALERTS)
            watched = watch(run_command(server, place / "archive"), place / "archive")
        finally:
            server.kill()
        after = received(place / "archive", sent)
    found = tenths(watched, after)
    first, last = found[0], found[-1]
    done = float(watched.seconds[np.argmax(watched.commits)])
    figures: dict[str, Figure] = {"alerts": sent, "rate_first": first.rate, "rate_last": last.rate}
    figures |= {"memory_gb_first": first.memory, "memory_gb_last": last.memory, "behind_s": watched.ended - done}
    figures |= {"rate_ratio": last.rate / first.rate, "memory_ratio": last.memory / first.memory}
    rows = [[str(i + 1), f"{each.rate:,.0f}", f"{each.memory:.3f}", f"{each.peak:.3f}"] for i, each in enumerate(found)]
    rows.append(["last / first", f"{last.rate / first.rate:.3f}", f"{last.memory / first.memory:.3f}", f"{last.peak / first.peak:.3f}"])
    title = f"{sent:,} small ZTF alerts from Kafka to Kafka, all science, {WORKERS} workers"
    title += f"; the last was sent {watched.ended - done:.1f} s after the last commit"
    table = table_text(title, ["tenth", "alerts/s", "memory, median [GB]", "memory, most [GB]"], rows)
    return Result.of("soak", figures, {} if short else GOAL, table)
