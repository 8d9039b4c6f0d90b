"""The runner of the benchmarks compares figures with goals, and keeps the page of results."""

from __future__ import annotations

import pytest
from benchmarks.__main__ import main, names, section, update
from benchmarks.result import Result, cpu_seconds, shortfalls, table_text


def test_a_goal_is_the_least_unless_it_says_at_most() -> None:
    figures: dict[str, float | str] = {"rate": 900.0, "memory": 3.0, "machine": "small"}
    assert shortfalls(figures, {"rate": 900, "memory_at_most": 3}) == []
    missed = shortfalls(figures, {"rate": 1000, "memory_at_most": 2})
    assert [line.split(" is ")[0] for line in missed] == ["MISSED: rate", "MISSED: memory"]
    assert "at least 1,000" in missed[0]
    assert "at most 2" in missed[1]


def test_a_figure_that_is_not_a_number_misses_its_goal() -> None:
    assert shortfalls({"rate": float("nan")}, {"rate": 1}) != []


def test_a_goal_for_what_was_not_measured_is_refused() -> None:
    with pytest.raises(KeyError, match="speed"):
        shortfalls({"rate": 1.0}, {"speed": 1})


def test_a_missed_goal_is_stated_below_the_table() -> None:
    result = Result.of("decode", {"rate": 1.0}, {"rate": 2}, "the table")
    assert not result.holds
    assert result.table.splitlines()[0] == "the table"
    assert "MISSED: rate" in result.table.splitlines()[-1]


def test_results_of_other_benchmarks_stay_on_the_page() -> None:
    first = update("", Result.of("lookup", {"p50": 1.0}, {}, "lookup before"))
    both = update(first, Result.of("decode", {"rate": 1.0}, {}, "decode"))
    again = update(both, Result.of("lookup", {"p50": 2.0}, {}, "lookup after"))
    assert [line for line in again.splitlines() if line.startswith("## ")] == ["## decode", "## lookup"]
    assert "lookup after" in again
    assert "lookup before" not in again
    assert again.startswith("# Results")
    assert update(again, Result.of("lookup", {"p50": 2.0}, {}, "lookup after")) == again


def test_a_section_names_the_command_and_the_verdict() -> None:
    text = section(Result.of("decode", {"rate": 1.0}, {"rate": 2}, "the table"))
    assert "make bench NAME=decode" in text
    assert "Not every goal is met" in text


def test_a_table_shows_every_row() -> None:
    text = table_text("Rates", ["packets", "rate"], [["ztf", 1234.5], ["lsst", 20]])
    assert "1,234" in text or "1,235" in text
    assert len(text.splitlines()) == 7


def test_processor_time_is_counted_and_the_first_run_is_not() -> None:
    calls: list[int] = []
    assert cpu_seconds(lambda: calls.append(1), repeat=3) >= 0
    assert len(calls) == 4


def test_a_benchmark_that_is_not_there_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["no_such_benchmark"])
    assert stopped.value.code == 2
    assert "no_such_benchmark" in capsys.readouterr().err


def test_only_files_that_measure_are_benchmarks() -> None:
    assert not {"result", "__main__"} & set(names())
