"""`fink transfer` sends a selection to a real Kafka, and lists, shows and cancels it."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Fink
from kafka_fixture import Kafka


def test_transfers_go_through_their_life(fink: Fink, archive: Path, kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINK_KAFKA_OUT__SERVERS", kafka.bootstrap)
    known = fink("query", "SELECT alert_id, object_id FROM alerts", "--archive", archive, "--format", "json").document
    (tmp_path / "names.txt").write_text("\n".join({row["object_id"] for row in known[:10] if row["object_id"]}))
    asked = ("--survey", "ztf", "--columns", "i:magpsf", "--archive", archive, "--format", "json")
    done = fink("transfer", "start", "--objects", tmp_path / "names.txt", *asked).document
    assert done["state"] == "done"
    assert done["sent"] == len(kafka.messages(done["name"])) >= 10
    shown = fink("transfer", "show", done["name"], "--archive", archive, "--format", "json").document
    assert shown == done
    assert fink("transfer", "list", "--archive", archive, "--format", "json").document[0]["name"] == done["name"]
    assert "nothing to cancel" in fink("transfer", "cancel", done["name"], "--archive", archive).words
    assert fink("transfer", "resume", done["name"], "--archive", archive, "--format", "json").document["sent"] == done["sent"]
    assert len(kafka.messages(done["name"])) == done["sent"]


def test_without_a_cluster_it_says_so(fink: Fink, archive: Path) -> None:
    said = fink("transfer", "list", "--archive", archive)
    assert said.status == 2
    assert "kafka_out.servers" in said.words
