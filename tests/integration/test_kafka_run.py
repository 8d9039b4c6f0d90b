"""A broker that reads Kafka is killed, and so is Kafka: every alert is archived once, with the columns that an undisturbed run gives."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from fink import factory
from fink.codecs.containers import container_of
from fink.config import Settings, load_settings
from fink.errors import ArchiveError
from kafka_fixture import Kafka
from simulated import nights

PATIENCE = 180.0
NIGHTS = nights("ztf", 2, 300)
MODULES = "run.modules=colour,magnitude_rate,data_quality"


def values() -> list[bytes]:
    """Two nights of messages, with poison among them."""
    found = []
    for night in NIGHTS:
        packets = night.packets
        found += [container_of(packets.schemas[packets.schema[row]], packets.body(row)) for row in range(len(packets))]
        found.append(f"poison of {night.night}".encode())
    return found


def settings_of(folder: Path) -> Settings:
    return load_settings(None, {"archive": folder})


def ledger(folder: Path) -> dict[str, Any]:
    try:
        with factory.read_archive(settings_of(folder)) as reader:
            return reader.ledger() | {"topics": factory.topic_states(reader)}
    except ArchiveError:
        return {"received": 0}


def wait_for(folder: Path, received: int) -> None:
    """Wait until an archive has received so many items, as long as a busy machine may need."""
    until = time.monotonic() + PATIENCE
    while (account := ledger(folder))["received"] < received:
        assert time.monotonic() < until, f"{received} items were expected: {account} {folder.with_suffix('.log').read_text()}"
        time.sleep(0.1)


def alerts(folder: Path) -> pl.DataFrame:
    with factory.read_archive(settings_of(folder)) as reader:
        table: pa.Table = reader.sql("SELECT * EXCLUDE (commit) FROM alerts")
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.sort("alert_id")


def command(address: str, folder: Path, *more: str) -> list[str]:
    options = ["--workers", "0", "--set", MODULES, "--set", "batch.alerts=40", "--format", "json", "--archive", str(folder)]
    return [sys.executable, "-m", "fink.cli", "run", address, *options, *more]


def start(address: str, folder: Path) -> subprocess.Popen[str]:
    with open(folder.with_suffix(".log"), "a") as said:
        return subprocess.Popen(command(address, folder, "--follow"), stdout=subprocess.PIPE, stderr=said, text=True)


def wait_until_it_minds_signals(run: subprocess.Popen[str]) -> None:
    """Wait until a run that was just started holds the archive and would stop in good order; before that a signal simply ends it."""
    until = time.monotonic() + PATIENCE
    while True:
        status = Path(f"/proc/{run.pid}/status").read_text()
        (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            return
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
def test_nothing_is_lost_or_repeated_when_the_broker_and_kafka_are_killed(kafka: Kafka, tmp_path: Path) -> None:
    topic, messages, draw = kafka.topic(partitions=3), values(), random.Random(4)
    address, calm, wild = f"kafka://{kafka.bootstrap}/{topic}", tmp_path / "calm", tmp_path / "wild"
    run = start(address, wild)
    for part in range(3):
        # as a survey sends them: in the order of time, over all partitions
        some = messages[200 * part : 200 * part + 202]
        some = some if part == 2 else some[:200]
        for number in range(3):
            kafka.produce(topic, some[number::3], number)
        wait_for(wild, 200 * part + 1)
        time.sleep(draw.random())
        if part == 1:
            kafka.kill()
            kafka.start()
        else:
            run.kill()
            run.communicate()
            run = start(address, wild)
    wait_for(wild, len(messages))
    wait_until_it_minds_signals(run)
    second = subprocess.run(command(address, wild), capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"process {run.pid}" in " ".join(second.stderr.split())
    os.kill(run.pid, signal.SIGTERM)
    out, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, wild.with_suffix(".log").read_text()
    assert json.loads(out)["stopped"] is True
    undisturbed = subprocess.run(command(address, calm), capture_output=True, text=True, check=True)
    assert json.loads(undisturbed.stdout)["received"] == len(messages)
    for folder in (wild, calm):
        account = ledger(folder)
        assert account["balanced"]
        assert (account["received"], account["archived"], account["quarantined"], account["duplicate"]) == (602, 600, 2, 0)
        assert [(state["topic"], state["to_come"], state["lost"]) for state in account["topics"]] == [(topic, 0, 0)]
    same = [name for name in alerts(calm).columns if not name.endswith("_seconds")]
    assert alerts(wild).select(same).equals(alerts(calm).select(same))
