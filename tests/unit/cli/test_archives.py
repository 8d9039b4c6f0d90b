"""Looking after the archive and the quarantine from the command line."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from command_line import Fink
from fink.codecs import writers
from simulated import nights

TOTAL = sum(len(night.packets) for night in nights("ztf", 2, 150))
JUNK = b"no packet at all"
IDENTITY = hashlib.sha256(JUNK).hexdigest()


@pytest.fixture
def own(archive: Path, tmp_path: Path) -> Path:
    """A copy of the archive, to be changed."""
    return Path(shutil.copytree(archive, tmp_path / "own"))


def test_an_archive_that_is_sound_is_said_so(archive: Path, fink: Fink) -> None:
    said = fink("archive", "verify", "--archive", archive)
    assert said.status == 0
    assert "sound yes" in said.words
    document = fink("archive", "verify", "--archive", archive, "--format", "json").document
    assert document == {"commits": document["commits"], "problems": [], "sound": True}
    assert document["commits"] >= 2


@pytest.mark.parametrize("form", ["table", "json"])
def test_one_bit_that_changed_is_found(own: Path, fink: Fink, form: str) -> None:
    segment = max((own / "segments").glob("rows*"), key=lambda path: path.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    said = fink("archive", "verify", "--archive", own, "--format", form)
    assert said.status == 1
    assert segment.name in said.words
    if form == "json":
        assert said.document["sound"] is False


def test_stats_say_what_the_archive_holds(archive: Path, fink: Fink) -> None:
    stats = fink("archive", "stats", "--archive", archive, "--format", "json").document
    assert stats["alerts"] == TOTAL
    assert 0 < stats["objects"] < TOTAL < stats["points"]
    assert stats["lake_bytes"] == sum(part["bytes"] for part in stats["lake"].values())
    assert sum(part["rows"] for name, part in stats["lake"].items() if name.startswith("rows")) == TOTAL
    words = fink("archive", "stats", "--archive", archive).words
    assert f"alerts {TOTAL}" in words
    assert "Lake" in words
    assert "Index" in words


def test_compaction_leaves_the_same_answers(own: Path, fink: Fink) -> None:
    def answers() -> object:
        sql = "SELECT * EXCLUDE (commit) FROM alerts ORDER BY survey, alert_id"
        return fink("query", sql, "--archive", own, "--format", "json").document

    before = answers()
    said = fink("archive", "compact", "--archive", own, "--format", "json")
    assert said.status == 0
    assert any("compact" in name or "parquet" in name for name in said.document["lake"])
    assert list(own.rglob("*.parquet"))
    assert answers() == before
    assert fink("archive", "verify", "--archive", own).status == 0


def test_a_copy_is_a_whole_archive(archive: Path, fink: Fink, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    said = fink("archive", "copy", target, "--archive", archive)
    assert said.status == 0
    assert "commits to" in said.words
    assert fink("archive", "verify", "--archive", target).status == 0
    of_copy = fink("ledger", "--archive", target, "--format", "json").document
    assert of_copy == fink("ledger", "--archive", archive, "--format", "json").document


def test_a_copy_does_not_overwrite(archive: Path, fink: Fink, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    said = fink("archive", "copy", tmp_path / "mine", "--archive", archive)
    assert said.status == 1
    assert "mine" in said.words
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_the_quarantine_lists_and_shows_its_items(archive: Path, fink: Fink) -> None:
    (item,) = fink("quarantine", "list", "--archive", archive, "--format", "json").document
    assert item["id"] == IDENTITY
    assert item["source"].endswith("junk.avro")
    assert (item["size"], item["night"]) == (len(JUNK), 0)
    assert item["reason"]
    listed = fink("quarantine", "list", "--archive", archive).out.replace("\n", "")
    assert IDENTITY[:12] in listed
    assert IDENTITY[:13] not in listed
    shown = fink("quarantine", "show", IDENTITY[:6], "--archive", archive, "--format", "json").document
    assert shown["text"] == JUNK.decode()
    assert bytes.fromhex(shown["begins"]) == JUNK
    assert JUNK.decode() in fink("quarantine", "show", IDENTITY[:6], "--archive", archive).words


@pytest.mark.parametrize("command", [("show", "zz"), ("export", "out", "--id", "zz"), ("replay", "--id", "zz")])
def test_an_item_that_is_not_there_is_a_failure(command: tuple[str, ...], archive: Path, fink: Fink) -> None:
    said = fink("quarantine", *command, "--archive", archive)
    assert said.status == 1
    assert "0 quarantined items begin with zz" in said.words


@pytest.mark.parametrize("options", [(), ("--id", IDENTITY[:8])])
def test_exported_items_are_the_bytes_that_came(options: tuple[str, ...], archive: Path, fink: Fink, tmp_path: Path) -> None:
    said = fink("quarantine", "export", tmp_path / "bad", *options, "--archive", archive)
    assert said.status == 0
    assert "1 items written" in said.words
    assert {path.name: path.read_bytes() for path in (tmp_path / "bad").iterdir()} == {IDENTITY: JUNK}


@pytest.fixture
def without_schema(fink: Fink, tmp_path: Path) -> Path:
    """An archive whose quarantine holds two packets of a schema that was missing, and one that is none."""
    night, folder = nights("ztf", 2, 150)[0], tmp_path / "packets"
    folder.mkdir()
    for row in range(2):
        (folder / f"{row}.avro").write_bytes(writers.wire_prefix(77_777) + night.packets.body(row))
    (folder / "junk.avro").write_bytes(JUNK)
    assert fink("run", folder, "--workers", 0, "--archive", tmp_path / "early").status == 0
    return tmp_path / "early"


def test_items_are_read_again_when_their_schema_is_there(
    without_schema: Path, fink: Fink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replay() -> object:
        return fink("quarantine", "replay", "--archive", without_schema, "--format", "json").document

    assert replay() == {"tried": 3, "archived": 0}
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "77777.avsc").write_bytes(nights("ztf", 2, 150)[0].packets.schemas[0])
    monkeypatch.setenv("FINK_SURVEYS__SCHEMAS", str(tmp_path / "schemas"))
    assert replay() == {"tried": 3, "archived": 2}
    account = fink("ledger", "--archive", without_schema, "--format", "json").document
    assert (account["received"], account["archived"], account["quarantined"], account["balanced"]) == (3, 2, 1, True)
    (left,) = fink("quarantine", "list", "--archive", without_schema, "--format", "json").document
    assert left["id"] == IDENTITY
