"""Simulated skies on disk, and the demonstration."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from command_line import Fink
from fink.cli import demos
from fink.cli.demos import Show
from fink.simulator import replay
from fink.simulator.survey import simulate_nights

SMALL = (Show("ztf", 60, 2), Show("lsst", 40, 1))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_form_of_packets_is_offered() -> None:
    assert demos.FORMS == replay.FORMS


@pytest.mark.parametrize("survey", demos.SURVEYS)
def test_a_simulated_sky_is_packets_with_their_truth_and_can_be_decoded(survey: str, fink: Fink, tmp_path: Path) -> None:
    said = fink("simulate", "sky", "--survey", survey, "--alerts", 30, "--nights", 2, "--no-stamps", "--format", "json")
    assert said.status == 0
    assert [row["survey"] for row in said.document] == [survey, survey]
    truth = [n for path in sorted((tmp_path / "sky-truth").glob("*.parquet")) for n in pq.read_table(path)["alert_id"].to_pylist()]
    assert len(truth) == sum(row["alerts"] for row in said.document) > 30
    packets = [row["written to"] for row in said.document]
    assert fink("decode", *packets, "-o", "sky.parquet").status == 0
    assert sorted(pq.read_table(tmp_path / "sky.parquet")["alert_id"].to_pylist()) == sorted(truth)


def test_a_sky_in_the_working_folder_has_its_truth_beside_it(fink: Fink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert fink("simulate", ".", "--alerts", 5, "--no-stamps").status == 0
    assert [path.suffix for path in (tmp_path / "here").iterdir()] == [".avro"]
    assert list((tmp_path / "here-truth").glob("*.parquet"))


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(fink: Fink, tmp_path: Path) -> None:
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert "written to" in fink("simulate", folder, "--alerts", 20, "--seed", seed, "--no-stamps").words
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--survey", "lst"), "did you mean lsst?"),
        (("--form", "containr"), "did you mean container?"),
        (("--alerts", "0"), "greater than or equal to 1"),
    ],
)
def test_a_sky_that_cannot_be_simulated_is_misuse(options: tuple[str, ...], said: str, fink: Fink, tmp_path: Path) -> None:
    answer = fink("simulate", "sky", *options)
    assert answer.status == 2
    assert said in answer.words
    assert not (tmp_path / "sky").exists()


def test_the_demonstration_accounts_for_every_packet_and_writes_its_page(
    fink: Fink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demos, "DEMO", SMALL)
    monkeypatch.setenv("FINK_RUN__WORKERS", "0")
    document = fink("demo", "--folder", "show", "--seed", 3, "--format", "json").document
    sizes = [[len(n.packets) for n in simulate_nights(s.survey, s.nights, s.alerts, 3)] for s in SMALL]
    assert document["archived"] == sum(map(sum, sizes))
    assert document["quarantined"] > 0
    assert document["duplicate"] == 20
    assert document["received"] == document["archived"] + document["quarantined"] + document["duplicate"]
    assert document["balanced"] is True
    assert document["page"] == "show/results.html"
    assert f"{document['received']:,}" in (tmp_path / "show" / "results.html").read_text()
    assert list((tmp_path / "show" / "substreams").rglob("*.jsonl"))
    told = fink("demo", "--folder", "show", "--seed", 3)
    assert told.status == 0
    for said in (f"received {document['received']}", "balanced yes", "Results page show/results.html", "fink serve --archive show/archive"):
        assert said in told.words


def test_the_demonstration_runs_on_packets_that_are_given(
    fink: Fink, packets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINK_RUN__WORKERS", "0")
    document = fink("demo", "--data", packets, "--folder", "show", "--format", "json").document
    assert (document["quarantined"], document["duplicate"]) == (1, 0)
    assert document["archived"] > 200
    assert not (tmp_path / "show" / "packets").exists()


def test_the_demonstration_never_removes_what_is_not_its_own(fink: Fink, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    answer = fink("demo", "--folder", "mine")
    assert answer.status == 2
    assert "name another with --folder" in answer.words
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all of it"


def test_the_shipped_demonstration_holds_both_surveys_over_several_nights() -> None:
    assert {show.survey for show in demos.DEMO} == set(demos.SURVEYS)
    assert all(show.nights > 1 for show in demos.DEMO)
