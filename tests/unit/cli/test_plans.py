"""Modules, filters and settings on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Fink
from fink import columns, filters, science
from fink.cli.plans import vocabulary
from fink.config import setting_names
from simulated import nights

NIGHTS = nights("ztf", 2, 150)


def test_every_module_is_listed_with_what_it_gives(fink: Fink) -> None:
    listed = fink("module", "list", "--format", "json").document
    assert {row["name"] for row in listed} == set(science.registry())
    assert all(row["measures"] and row["gives"] and row["version"] for row in listed)
    words = fink("module", "list").words
    assert all(name[:8] in words for name in science.registry())


@pytest.mark.parametrize("name", science.registry())
def test_a_module_is_shown_with_the_units_of_its_columns(name: str, fink: Fink) -> None:
    module = science.registry()[name]
    shown = fink("module", "show", name, "--format", "json").document
    assert shown["inputs"] == list(module.inputs)
    assert [(row["column"], row["unit"]) for row in shown["outputs"]] == [(c.name, c.unit) for c in module.outputs]
    said = fink("module", "show", name)
    assert said.status == 0
    assert module.about.split()[0] in said.words


@pytest.mark.parametrize("name", filters.registry())
def test_a_filter_is_shown_with_its_cuts_written_out(name: str, fink: Fink) -> None:
    shown = fink("filter", "show", name, "--format", "json").document
    assert shown["where"] == filters.registry()[name].where
    assert set(shown["columns"]) <= set(vocabulary())
    assert not {cut for cut in filters.named_cuts() if cut in shown["columns"]}
    assert fink("filter", "check", shown["written out"], "--format", "json").document["columns"] == shown["columns"]
    assert fink("filter", "show", name).status == 0


def test_every_filter_is_listed(fink: Fink) -> None:
    listed = fink("filter", "list", "--format", "json").document
    assert {row["name"]: row["where"] for row in listed} == {name: one.where for name, one in filters.registry().items()}
    assert "fast_risers" in fink("filter", "list").words


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("module", "show", "colur"), 1, "no science module colur; did you mean colour?"),
        (("filter", "show", "fast_riser"), 1, "no substream fast_riser; did you mean fast_risers?"),
        (("filter", "check", "mga < 18"), 2, "no column mga; did you mean mag?"),
        (("filter", "check", "mag < 'bright'"), 2, "mag is a number"),
        (("filter", "check", "mag <"), 2, "fink: "),
        (("filter", "check", "(SELECT 1) = 1"), 2, "fink: "),
    ],
)
def test_a_mistake_is_named_with_its_remedy(arguments: tuple[str, ...], status: int, said: str, fink: Fink) -> None:
    answer = fink(*arguments)
    assert answer.status == status
    assert said in answer.words
    assert answer.out == ""


def test_a_condition_is_checked_and_written_out(fink: Fink) -> None:
    document = fink("filter", "check", "mag < 18 and not positive", "--format", "json").document
    assert document["valid"] is True
    assert document["columns"] == ["mag", "positive"]
    assert "valid yes" in fink("filter", "check", "mag < 18").words


def test_a_condition_is_tried_on_the_archive(archive: Path, fink: Fink) -> None:
    document = fink("filter", "test", "mag < 18.5", "--archive", archive, "--format", "json").document
    sql = "SELECT night, count(*) AS n FROM alerts WHERE mag < 18.5 GROUP BY night ORDER BY night"
    expected = fink("query", sql, "--archive", archive, "--format", "json").document
    assert [(row["night"], row["selected"]) for row in document["nights"]] == [(row["night"], row["n"]) for row in expected]
    assert document["selected"] == sum(row["n"] for row in expected) > 10
    assert len(document["newest"]) == 10
    assert all(row["mag"] < 18.5 for row in document["newest"])
    assert "Newest" in fink("filter", "test", "mag < 18.5", "--archive", archive).words


def test_a_trial_is_confined_to_a_night_and_a_survey(archive: Path, fink: Fink) -> None:
    # the OR shows whether the condition is kept together
    trial = ("filter", "test", "mag < 18 OR mag >= 18", "--archive", archive, "--format", "json")
    night = NIGHTS[0]
    document = fink(*trial, "--night", night.night, "--survey", "ztf").document
    assert document["nights"] == [{"survey": "ztf", "night": night.night, "selected": len(night.packets)}]
    assert fink(*trial, "--survey", "lsst").document["selected"] == 0
    wrong = fink(*trial, "--survey", "ztff")
    assert wrong.status == 1
    assert "did you mean ztf?" in wrong.words


@pytest.mark.parametrize("name", ["first_detections", "sso_ztf_candidates", "transient_complete"])
def test_a_filter_tried_on_the_archive_selects_what_the_run_selected(name: str, archive: Path, fink: Fink) -> None:
    taken = fink("ledger", "--archive", archive, "--format", "json").document["substreams"][name]
    tried = fink("filter", "test", name, "--archive", archive, "--format", "json").document
    assert tried["selected"] == taken > 0


def test_the_yield_of_filters_adds_up_to_the_ledger(archive: Path, fink: Fink) -> None:
    rows = fink("filter", "yield", "--archive", archive, "--format", "json").document
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["substream"]] = totals.get(row["substream"], 0) + row["selected"]
    assert totals == fink("ledger", "--archive", archive, "--format", "json").document["substreams"]
    assert {(row["night"], row["alerts"]) for row in rows} == {(night.night, len(night.packets)) for night in NIGHTS}
    assert "sso_ztf_candidates" in fink("filter", "yield", "--archive", archive).words


def test_every_setting_is_shown_with_what_was_said(fink: Fink, tmp_path: Path) -> None:
    (tmp_path / "fink.toml").write_text("[batch]\nalerts = 17\n")
    shown = fink("config", "show", "--set", "run.workers=4", "--archive", "here", "--format", "json").document
    assert list(shown) == setting_names()
    assert (shown["batch.alerts"], shown["run.workers"], shown["archive"]) == (17, 4, "here")
    assert "batch.alerts 17" in fink("config", "show").words


def test_settings_that_would_run_are_valid(fink: Fink) -> None:
    document = fink("config", "check", "--set", "run.modules=colour", "--format", "json").document
    assert document["valid"] is True
    assert "colour" in document["modules"]
    assert len(document["modules"]) < len(science.registry())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[run]\nworker = 2\n", "worker"),
        ("[run]\nmodules = ['colur']\n", "did you mean colour?"),
        ("[run]\nsubstreams = ['fast_riser']\n", "did you mean fast_risers?"),
        ("[run\n", "not TOML"),
    ],
)
def test_settings_that_would_not_run_are_misuse(text: str, said: str, fink: Fink, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(text)
    answer = fink("config", "check", "--config", tmp_path / "wrong.toml")
    assert answer.status == 2
    assert said in answer.words


def test_a_settings_file_that_is_not_there_is_misuse(fink: Fink) -> None:
    answer = fink("config", "check", "--config", "nowhere.toml")
    assert answer.status == 2
    assert "no settings file nowhere.toml" in answer.words


def test_the_vocabulary_holds_core_surveys_and_modules() -> None:
    known = vocabulary()
    assert {column.name for column in columns.CORE} <= set(known)
    assert {column.name for module in science.registry().values() for column in module.outputs} <= set(known)
