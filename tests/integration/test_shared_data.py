"""Every real alert file at hand in one run, accounted for independently: nothing lost, nothing twice, each refusal with its reason."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest

from shared_data import shared_data

FOLDERS = ("ztf_alerts", "rubin", "elasticc")
FOREIGN = {"atlas", "decat", "desirt", "pgir", "turbo", "winter"}


def fink(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "fink.cli", *map(str, arguments)], capture_output=True, check=False, timeout=300)


class Accounted:
    """A run over everything, and the same files read by other means."""

    def __init__(self, folder: Path) -> None:
        self.sources = [shared_data(name) for name in FOLDERS]
        self.archive = folder / "archive"
        self.first = self.run()
        listed = fink("quarantine", "list", "--archive", self.archive, "--format", "json")
        self.quarantine: list[dict[str, Any]] = json.loads(listed.stdout)
        self.second, self.again = self.run(), self.run("--again")
        self.alerts: Counter[tuple[str, int]] = Counter()
        self.refused = 0
        for name, data in everything(self.sources):
            read, refused = account(name, data)
            self.alerts.update(read)
            self.refused += refused

    def run(self, *options: str) -> dict[str, Any]:
        # what modules measure changes no account
        done = fink("run", *self.sources, "--archive", self.archive, "--format", "json", "--set", "run.modules=sky_position", *options)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        document: dict[str, Any] = json.loads(done.stdout)
        return document | {"stderr": done.stderr.decode()}

    def query(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(fink("query", sql, "--archive", self.archive, "--format", "json").stdout)
        return rows


def everything(folders: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Give every file, and every member of every tarball, by its name."""
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if ".tar." in path.name:
            with tarfile.open(path) as tar:
                for member in tar:
                    if member.isfile():
                        file = tar.extractfile(member)
                        assert file is not None
                        yield f"{path.name}:{member.name}", file.read()
        else:
            yield path.name, path.read_bytes()


def account(name: str, data: bytes) -> tuple[list[tuple[str, int]], int]:
    """Give survey and number of the alerts that the reference reader finds in a file, and how many items must be refused."""
    for beginning, unpack in ((b"\x1f\x8b", gzip.decompress), (b"\xfd7", lzma.decompress), (b"BZ", bz2.decompress)):
        if data.startswith(beginning):
            data = unpack(data)
    if not data.startswith(b"Obj\x01"):
        return [], 1
    alerts: list[tuple[str, int]] = []
    refused = 0
    try:
        for block in fastavro.block_reader(io.BytesIO(data)):
            for record in block:
                survey = survey_of(block.writer_schema, record)
                if survey:
                    alerts.append((survey, int(record["candid"] if survey == "ztf" else record["diaSource"]["diaSourceId"])))
                else:
                    refused += 1
    except (EOFError, ValueError, fastavro.schema.SchemaParseException, IndexError, KeyError, TypeError, UnicodeDecodeError):
        refused += 1
    return alerts, refused


def survey_of(schema: Any, record: Any) -> str:
    """Name the survey of a record by what only its packets have, empty for others and for LSST before version 7."""
    name = f"{schema.get('namespace', '')}.{schema['name']}".lower().strip(".")
    if "diaSource" in record:
        versions = [int(part[1:].split("_")[0]) for part in name.split(".") if part[:1] == "v" and part[1:2].isdigit()]
        if "elasticc" in name:
            return "elasticc"
        return "lsst" if (versions[0] >= 7 if versions else "psfFlux" in record["diaSource"]) else ""
    if "candid" in record and "jd" in record.get("candidate", {}):
        return "" if name.split(".")[0] in FOREIGN else "ztf"
    return ""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def accounted(tmp_path_factory: pytest.TempPathFactory) -> Accounted:
    return Accounted(tmp_path_factory.mktemp("everything"))


def test_everything_received_is_archived_quarantined_or_a_duplicate(accounted: Accounted) -> None:
    first = accounted.first
    assert first["balanced"]
    assert first["received"] == first["archived"] + first["quarantined"] + first["duplicate"]
    assert first["received"] > 5000


def test_each_alert_that_the_reference_reads_is_archived_once(accounted: Accounted) -> None:
    archived = Counter((row["survey"], row["alert_id"]) for row in accounted.query("SELECT survey, alert_id FROM alerts"))
    assert max(archived.values()) == 1
    missing = accounted.alerts.keys() - archived.keys()
    assert not missing
    assert accounted.first["archived"] == len(archived)
    # framed LSST packets have no header that the reference could read
    framed = archived.keys() - accounted.alerts.keys()
    assert {survey for survey, _ in framed} <= {"lsst"}
    assert len(framed) < 20
    assert accounted.first["duplicate"] >= accounted.alerts.total() - len(accounted.alerts)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("index.csv", "text"),
        ("alert.avsc", "an Avro schema"),
        ("or4_lsst7.1_sim_50.parquet", "a Parquet file"),
        ("corrupt_or_truncated_avro.tar.xz", "ends in the middle of a block"),
        ("lsst_alert_packet_schemas_v3-v11_with_fakeAlerts.tar.xz", "older than 7.0"),
        ("other_surveys_foreign_schemas.tar.xz", "is not of a known survey"),
    ],
)
def test_what_is_refused_says_why(accounted: Accounted, source: str, reason: str) -> None:
    reasons = [item["reason"] for item in accounted.quarantine if item["source"].endswith(source)]
    assert any(reason in text for text in reasons), reasons


def test_whole_tarballs_and_good_files_have_nothing_in_quarantine(accounted: Accounted) -> None:
    sources = {Path(item["source"]).name for item in accounted.quarantine}
    assert not {name for name in sources if name.startswith(("ztf_public", "ampel_recent", "fink_alert_simulator", "alerce_", "rubin_"))}


def test_each_item_that_the_reference_counts_was_received(accounted: Accounted) -> None:
    assert accounted.first["received"] == accounted.alerts.total() + accounted.refused


def test_a_second_run_skips_everything(accounted: Accounted) -> None:
    assert accounted.second["received"] == 0
    assert "were read before and are skipped" in accounted.second["stderr"]


def test_reading_everything_again_gives_only_duplicates(accounted: Accounted) -> None:
    again = accounted.again
    assert again["received"] == accounted.first["received"]
    assert (again["archived"], again["quarantined"]) == (0, 0)
    assert again["duplicate"] == again["received"]
