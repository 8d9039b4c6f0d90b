"""Working through alerts: run, reprocess."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from command_line import Fink
from fink.archive.embedded import EmbeddedArchive
from fink.cli.runs import progress, summary_document
from fink.commits import Counts, ModuleCounts
from fink.engines.embedded import RunSummary
from fink.lightcurves import LightCurves
from simulated import nights

NIGHTS = nights("ztf", 2, 150)
TOTAL = sum(len(night.packets) for night in NIGHTS)


def test_a_run_says_what_it_did_and_a_second_one_has_nothing_to_do(packets: Path, fink: Fink) -> None:
    arguments = ("run", packets, "--workers", 0, "--set", "run.modules=colour,data_quality", "--format", "json")
    first = fink(*arguments).document
    assert (first["received"], first["archived"], first["quarantined"], first["duplicate"]) == (TOTAL + 1, TOTAL, 1, 0)
    assert first["balanced"] is True
    assert first["stopped"] is False
    assert {"colour", "data_quality"} <= {module["module"] for module in first["modules"]}
    second = fink(*arguments)
    assert second.document["received"] == 0
    assert "3 files were read before" in second.words
    again = fink(*arguments, "--again").document
    assert (again["received"], again["archived"], again["duplicate"]) == (TOTAL + 1, 0, TOTAL + 1)
    assert again["balanced"] is True


def test_a_person_reads_what_a_run_did_and_substreams_are_files(packets: Path, fink: Fink, tmp_path: Path) -> None:
    said = fink("run", packets, "--workers", 0, "--substreams", "out", "--set", "run.substreams=sso_ztf_candidates")
    assert said.status == 0
    assert f"archived {TOTAL}" in said.words
    assert "balanced yes" in said.words
    taken = int(said.words.partition("sso_ztf_candidates")[2].split()[0])
    lines = [line for path in (tmp_path / "out").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == taken > 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("nowhere.avro",), 1, "nowhere.avro"),
        ((".", "--keep", "some"), 2, "last:50GB"),
        ((".", "--form", "xml"), 2, "jsonl"),
        ((".", "--set", "run.modules=colur"), 2, "did you mean colour?"),
        ((".", "--workers", "-1"), 2, "workers"),
        (("kafka://h:1/t", "packets"), 2, "Kafka or files"),
        (("kafka://h:1/t", "--again"), 2, "--again is for files"),
        (("kafka://h:1/t", "--start", "yesterday"), 2, "earliest, latest, a time"),
        (("kafka://h:1",), 1, "names no topic"),
        (("kafka://127.0.0.1:9/t", "--set", "kafka_in.timeout=1"), 1, "127.0.0.1:9 has not answered for 1 s"),
    ],
)
def test_a_run_that_cannot_begin_says_why(arguments: tuple[str, ...], status: int, said: str, fink: Fink) -> None:
    answer = fink("run", *arguments, "--archive", "new")
    assert answer.status == status
    assert said in answer.words


def test_commits_come_out_the_same(archive: Path, fink: Fink) -> None:
    said = fink("reprocess", "--archive", archive, "--format", "json")
    assert said.status == 0
    assert said.document == {"commits": said.document["commits"], "alerts": TOTAL, "differing": {}, "identical": True}
    assert said.document["commits"] >= 2
    one = fink("reprocess", "--commit", said.document["commits"], "--archive", archive)
    assert one.status == 0
    assert "commits 1" in one.words
    assert "identical yes" in one.words


def test_a_history_that_was_not_seen_makes_columns_differ(archive: Path, fink: Fink, monkeypatch: pytest.MonkeyPatch) -> None:
    real = EmbeddedArchive.history

    def brighter(self: EmbeddedArchive, *arguments: object, **options: object) -> LightCurves:
        curves = real(self, *arguments, **options)  # type: ignore[arg-type]
        curves.flux[:] *= 1.5
        return curves

    monkeypatch.setattr(EmbeddedArchive, "history", brighter)
    said = fink("reprocess", "--archive", archive, "--format", "json")
    assert said.status == 1
    document = said.document
    assert document["identical"] is False
    assert set(document["differing"]) <= set(map(str, range(1, document["commits"] + 1)))
    assert all(names and "alert_id" not in names for names in document["differing"].values())
    assert fink("reprocess", "--archive", archive).status == 1


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--commit", "99"), 1, "no commit 99; the last one is"),
        (("--commit", "0"), 2, "greater than or equal to 1"),
        (("--set", "run.modules=colour"), 2, "replay with that version"),
    ],
)
def test_what_cannot_be_computed_again_says_why(options: tuple[str, ...], status: int, said: str, archive: Path, fink: Fink) -> None:
    answer = fink("reprocess", *options, "--archive", archive)
    assert answer.status == status
    assert said in answer.words


def test_packets_that_were_not_kept_cannot_be_computed_again(packets: Path, fink: Fink, tmp_path: Path) -> None:
    (tmp_path / "sky").mkdir()
    shutil.copy(next(iter(sorted(packets.glob("ztf_*")))), tmp_path / "sky")
    assert fink("run", "sky", "--workers", 0, "--keep", "none").status == 0
    said = fink("reprocess")
    assert said.status == 1
    assert "run with retention.packets = all" in said.words


def test_progress_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(10) as on_commit:
        assert callable(on_commit)
    captured = capsys.readouterr()
    assert (captured.out, captured.err.strip()) == ("", "")


def test_the_summary_puts_the_slowest_module_first_and_counts_duplicates_in_its_time() -> None:
    modules = {"quick": ModuleCounts(10, 1, 0, 0.001), "slow": ModuleCounts(10, 0, 2, 0.01)}
    summary = RunSummary(counts=Counts(12, 8, 2, 2), modules=modules, selected={"b": 1, "a": 0}, commits=3)
    document = summary_document(summary, True)
    assert [module["module"] for module in document["modules"]] == ["slow", "quick"]
    assert document["modules"][0] == {"module": "slow", "run": 10, "null": 0, "failed": 2, "us_per_alert": 1000.0}
    assert list(document["substreams"]) == ["a", "b"]
    assert (document["received"], document["duplicate"], document["commits"]) == (12, 2, 3)
