"""A module with a new column and a filter are two new files: everything else follows from them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastavro
import pytest
from astropy.io.votable import parse_single_table

from extended_fink import ExtendedFink
from fink.simulator.replay import write_night
from simulated import SURVEYS, nights

MODULE = '''"""Declination above the equator: how far north a source lies."""

import numpy as np
import pyarrow as pa

from fink.columns import Column
from fink.science import Columns, science_module


@science_module(
    version="1.0",
    outputs=(Column("northing", pa.float32(), "deg", "pos.eq.dec;arith.diff", "Declination above the equator, null south of it"),),
)
def northing(dec: np.ndarray) -> Columns:
    """Give the declination where it is positive."""
    return {"northing": np.where(dec > 0, dec, np.nan)}
'''

FILTER = '''"""Sources of the northern sky."""

from fink.filters import substream

far_north = substream(about="Sources more than ten degrees north of the equator", where="northing > 10")
'''

ADDED = {"science/northing.py": MODULE, "filters/far_north.py": FILTER}
NIGHTS = nights("ztf", 2, 80)


class Ran:
    """An extended Fink after a run over two nights."""

    def __init__(self, folder: Path) -> None:
        self.fink = ExtendedFink(folder / "copy", ADDED)
        self.folder = folder
        for night in NIGHTS:
            write_night(night, folder / "packets" / str(night.night))
        self.fink.run("run", folder / "packets", "--archive", folder / "archive", "--substreams", folder / "out", "--form", "avro")

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.fink.run(*arguments, "--archive", self.folder / "archive", "--format", "json").stdout)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("elegance"))


def expected() -> dict[int, float]:
    """Give what the filter must take: number and declination of the alerts beyond ten degrees."""
    alerts = [SURVEYS["ztf"].decode(night.packets)[0].alerts for night in NIGHTS]
    pairs = (pair for table in alerts for pair in zip(table["alert_id"].to_pylist(), table["dec"].to_pylist(), strict=True))
    return {alert: dec for alert, dec in pairs if dec > 10.1}


def test_only_two_files_were_added_and_none_was_edited(ran: Ran) -> None:
    now = ran.fink.digests()
    assert now.keys() - ran.fink.copied.keys() == set(ADDED)
    assert {name: now[name] for name in ran.fink.copied} == ran.fink.copied


def test_the_column_is_in_the_archive(ran: Ran) -> None:
    rows = ran.json("query", "SELECT alert_id, dec, northing, northing_status FROM alerts")
    assert len(rows) == sum(len(night.packets) for night in NIGHTS)
    for row in rows:
        assert row["northing_status"] == 0
        assert row["northing"] == (pytest.approx(row["dec"], rel=1e-6) if row["dec"] > 0 else None)


def test_the_module_is_listed_with_its_column(ran: Ran) -> None:
    listed = {module["name"]: module for module in json.loads(ran.fink.run("module", "list", "--format", "json").stdout)}
    assert listed["northing"]["gives"] == ["northing"]
    shown = json.loads(ran.fink.run("module", "show", "northing", "--format", "json").stdout)
    assert shown["outputs"][0]["unit"] == "deg"


def test_the_substream_has_its_file_with_the_column_in_its_schema(ran: Ran) -> None:
    (path,) = (ran.folder / "out").glob("far_north_ztf_*.avro")
    reader = fastavro.reader(io.BytesIO(path.read_bytes()))
    assert reader.writer_schema is not None
    assert "northing" in {field["name"] for field in reader.writer_schema["fields"]}
    records = {record["candid"]: record for record in reader}
    must = expected()
    assert len(must) > 5
    assert set(must) <= set(records)
    for alert in must:
        assert records[alert]["northing"] == pytest.approx(records[alert]["candidate"]["dec"], rel=1e-6)
    assert all(record["northing"] > 10 for record in records.values())


def test_the_substream_has_its_index_entries(ran: Ran) -> None:
    rows = ran.json("substream", "far_north", "--limit", "10000")
    assert set(expected()) <= {row["alert_id"] for row in rows}
    assert ran.json("ledger")["substreams"]["far_north"] == len(rows)
    assert ran.json("ledger")["modules"]["northing"]["failed"] == 0


def test_an_exported_table_carries_unit_and_ucd(ran: Ran) -> None:
    target = ran.folder / "north.vot"
    sql = "SELECT alert_id, northing FROM alerts"
    ran.fink.run("query", sql, "--archive", ran.folder / "archive", "-o", target)
    table = parse_single_table(target)
    field = table.get_field_by_id_or_name("northing")
    assert (str(field.unit), field.ucd) == ("deg", "pos.eq.dec;arith.diff")
    assert "equator" in field.description


def test_the_documentation_shows_both(ran: Ran) -> None:
    pages = Path(__file__).resolve().parents[2] / "docs" / "generate.py"
    code = f"import runpy; g = runpy.run_path({str(pages)!r}); print(g['columns_page'](), g['modules_page'](), g['filters_page']())"
    done = subprocess.run([sys.executable, "-c", code], env=ran.fink.environment, capture_output=True, check=True, cwd=ran.folder)
    text = done.stdout.decode()
    assert "| `northing` |" in text
    assert "## northing\n" in text
    assert "## far_north\n" in text
    assert "Sources more than ten degrees north of the equator" in text
