"""An item leaves the quarantine when it can be read, with the ledger in balance before and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from fink import factory
from fink.cli.application import run as command_line
from fink.codecs import writers
from fink.codecs.containers import container_of
from fink.config import load_settings
from fink.simulator.survey import simulate_night


def test_a_packet_whose_schema_was_missing_is_archived_when_it_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    night = simulate_night("lsst", 3, stamps=False)
    unknown = writers.wire_prefix(77_777)
    folder = tmp_path / "packets"
    folder.mkdir()
    for row in range(3):
        (folder / f"{row}.avro").write_bytes(unknown + night.packets.body(row))
    (folder / "junk.avro").write_bytes(b"no packet at all")
    archive, schemas = tmp_path / "archive", tmp_path / "schemas"
    assert command_line(["run", str(folder), "--archive", str(archive)]) == 0
    settings = load_settings(None, {"archive": archive})
    with factory.read_archive(settings) as reader:
        before = reader.ledger()
        assert (before["received"], before["archived"], before["quarantined"], before["balanced"]) == (4, 0, 4, True)
    schemas.mkdir()
    (schemas / "77777.avsc").write_bytes(night.packets.schemas[0])
    with factory.open_archive(settings) as writer:
        identities = [item["id"] for item in writer.quarantine_items()]
        again = load_settings(None, {"archive": archive, "surveys.schemas": schemas})
        assert factory.replay_quarantine(writer, again, identities) == 3
        after = writer.ledger()
        assert (after["received"], after["archived"], after["quarantined"], after["balanced"]) == (4, 3, 1, True)
        assert len(writer.quarantine_items()) == 1
        assert factory.replay_quarantine(writer, again, [item["id"] for item in writer.quarantine_items()]) == 0
        assert writer.verify() == []
    assert "archived" in capsys.readouterr().out


def test_a_refused_record_keeps_its_schema(tmp_path: Path) -> None:
    night = simulate_night("ztf", 2, stamps=False)
    damaged = tmp_path / "damaged.avro"
    damaged.write_bytes(container_of(night.packets.schemas[0], b"\xff" * 500))
    settings = load_settings(None, {"archive": tmp_path / "archive"})
    with factory.open_archive(settings) as archive:
        summary = factory.run(factory.files_source([damaged], settings, archive), archive, settings)
        assert summary.counts.quarantined == 1
        item = archive.quarantine_items()[0]
        assert archive.quarantine_body(item["id"]) == damaged.read_bytes()
