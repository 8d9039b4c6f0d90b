"""The clients that Fink's users have read our topics unchanged: fink-client 12.3 and 11.0, as they come from PyPI.

Each is installed once into an environment of its own in the cache folder.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.dataset as ds
import pytest

from fink.cli.application import run
from fink.services.components import cache_folder, held
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights
from kafka_fixture import Kafka

SUBSTREAM = "remove_unlikely_transients"
NUMBER = {"ztf": "candid", "lsst": "diaSourceId"}
FINK = str(Path(sys.executable).parent / "fink")


@dataclass(frozen=True)
class Client:
    """An installed fink-client, used by one person with a home of their own."""

    version: str
    programs: Path
    home: Path

    def __call__(self, program: str, *arguments: object, seconds: float = 300) -> str:
        """Run one of its programs to its end; give what it printed."""
        command = [str(self.programs / program), *(str(argument) for argument in arguments)]
        self.home.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"HOME": str(self.home)}
        done = subprocess.run(
            command,
            cwd=self.home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    def register(self, survey: str, kafka: Kafka, *topics: str) -> None:
        """Say who one is and where the topics are."""
        # of a transfer, version 11 waits so long several times at the end of each partition
        patience = 4 if self.version == "11.0" and not topics else 10
        known = ["-survey", survey, "-username", "somebody", "-servers", kafka.bootstrap, "-maxtimeout", patience]
        if self.version == "12.3":
            self("finkctl", "auth", "register", *known, "-groupid", f"group-{self.home.name}")
            for topic in topics:
                self("finkctl", "topic", "subscribe", "-survey", survey, "-name", topic)
        else:
            named = ["-mytopics", *topics] if topics else []
            self("fink_client_register", *known, "-group_id", f"group-{self.home.name}", *named)

    def stream(self, survey: str, folder: Path, limit: int) -> str:
        """Read the topics that one subscribed to, and save each alert."""
        folder.mkdir(exist_ok=True)
        program = ["finkctl", "stream"] if self.version == "12.3" else ["fink_consumer"]
        return self(*program, "-survey", survey, "-limit", limit, "-outdir", folder, "--save")

    def transfer(self, survey: str, topic: str, folder: Path) -> str:
        """Fetch a transfer as Parquet."""
        program = ["finkctl", "transfer"] if self.version == "12.3" else ["fink_datatransfer"]
        return self(*program, "-survey", survey, "-topic", topic, "-outdir", folder, "-nconsumers", 2)


@pytest.fixture(scope="module", params=["12.3", "11.0"])
def installed(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """Install a version of fink-client where it is not there yet; give it and the folder of its programs."""
    version: str = request.param
    folder = cache_folder() / f"fink-client-{version}"
    with held(cache_folder() / f"fink-client-{version}.lock"):
        if not (folder / "whole").exists():
            uv = str(Path(sys.executable).parent / "uv")
            python = f"{sys.version_info.major}.{sys.version_info.minor}"
            shutil.rmtree(folder, ignore_errors=True)
            for command in (
                [uv, "venv", "--quiet", "--python", python, str(folder)],
                [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), f"fink-client=={version}"],
            ):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    pytest.skip(f"fink-client {version} cannot be installed here: {done.stderr.strip()[-300:]}")
            (folder / "whole").touch()
    return version, folder / "bin"


@dataclass(frozen=True)
class Night:
    """An archive of two surveys whose substreams were sent to Kafka."""

    archive: Path
    environment: dict[str, str]

    def fink(self, *arguments: object) -> Any:
        """Run a command on it."""
        command = [FINK, *(str(argument) for argument in arguments), "--archive", str(self.archive), "--format", "json"]
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def night(kafka_server: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Run two nights of alerts with stamps into an archive and on to Kafka."""
    folder = tmp_path_factory.mktemp("sent")
    for survey, alerts in (("ztf", 60), ("lsst", 40)):
        for simulated in simulate_nights(survey, 2, alerts, 3, stamps=True):
            write_night(simulated, folder / "packets" / f"{survey}_{simulated.night}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINK_KAFKA_OUT__SERVERS", kafka_server.bootstrap)
        assert run(["run", str(folder / "packets"), "--workers", "0", "--archive", str(folder / "archive"), "--format", "json"]) == 0
    return Night(folder / "archive", {"FINK_KAFKA_OUT__SERVERS": kafka_server.bootstrap})


def decoded(kafka: Kafka, topic: str, *, schema_topic: str = "") -> dict[int, dict[str, Any]]:
    """Read a topic without any client: alerts by their number."""
    survey = "ztf" if "ztf" in topic else "lsst"
    key = kafka.messages(schema_topic)[0].key() if schema_topic else None
    found = {}
    for message in kafka.messages(topic):
        schema = fastavro.parse_schema(json.loads(key or message.key()))
        alert: Any = fastavro.schemaless_reader(io.BytesIO(message.value()), schema, None)
        found[alert[NUMBER[survey]]] = alert
    return found


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_substreams_are_read_and_saved_also_in_parts(
    kafka: Kafka, night: Night, installed: tuple[str, Path], survey: str, tmp_path: Path
) -> None:
    topic = f"fink_{SUBSTREAM}_{survey}"
    known = decoded(kafka, topic)
    client = Client(installed[0], installed[1], tmp_path / f"{survey}-{installed[0]}")
    client.register(survey, kafka, topic)
    # it is stopped twice in the middle, with alerts fetched that it has not given
    first, second = len(known) // 4, len(known) // 3
    rows: list[dict[str, Any]] = []
    for part, limit in enumerate((first, second, len(known) - first - second)):
        client.stream(survey, tmp_path / str(part), limit)
        saved = [*(tmp_path / str(part)).glob("*.avro")]
        assert len(saved) == limit
        rows += [next(iter(fastavro.reader(io.BytesIO(path.read_bytes())))) for path in saved]
    assert len(rows) == len(known)
    assert {row[NUMBER[survey]]: row for row in rows} == known


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_transfers_are_fetched_whole(kafka: Kafka, night: Night, installed: tuple[str, Path], survey: str, tmp_path: Path) -> None:
    job = night.fink("transfer", "start", "--survey", survey)
    topic = job["topics"][0]
    known = decoded(kafka, topic, schema_topic=f"{topic}_schema")
    assert len(known) == job["sent"] == job["total"]
    client = Client(installed[0], installed[1], tmp_path / f"{survey}-{installed[0]}")
    client.register(survey, kafka)
    client.transfer(survey, topic, tmp_path / "out")
    rows = {row[NUMBER[survey]]: row for row in ds.dataset(tmp_path / "out").to_table().to_pylist()}
    assert rows.keys() == known.keys()
    for number, alert in known.items():
        assert {name: rows[number][name] for name in alert} == alert
    again = client.transfer(survey, topic, tmp_path / "again")
    assert not (tmp_path / "again").exists() or not list((tmp_path / "again").rglob("*.parquet"))
    assert "poll" in again.lower() or " 0" in again


def test_two_users_fetch_the_same_transfer_at_once(kafka: Kafka, night: Night, installed: tuple[str, Path], tmp_path: Path) -> None:
    job = night.fink("transfer", "start", "--survey", "ztf", "--columns", "i:magpsf,i:fid,d:mag_rate")
    clients = [Client(installed[0], installed[1], tmp_path / f"user{number}-{installed[0]}") for number in range(2)]
    for client in clients:
        client.register("ztf", kafka)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda client: client.transfer("ztf", job["topics"][0], client.home / "out"), clients))
    for client in clients:
        table = ds.dataset(client.home / "out").to_table()
        assert sorted(table["candid"].to_pylist()) == sorted(decoded(kafka, job["topics"][0], schema_topic=f"{job['topics'][0]}_schema"))
