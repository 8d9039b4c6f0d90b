"""What commands print: values for a person, documents for a program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fink.cli.output import MOST_ROWS, Format, print_json, show_record, show_rows, show_table, text_of

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ([], "–"),
        ({}, "–"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (3246286105215010000, "3246286105215010000"),
        (1234.5678, "1,234.57"),
        (61000.28670743, "61000.286707"),
        (20000.0, "20000"),
        (["a", None, 2], "a, –, 2"),
        ({"a": 1, "b": True}, "a 1, b yes"),
        ("", ""),
    ],
)
def test_values_are_written_for_a_person(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_a_record_is_two_columns_or_one_document(capsys: Captured) -> None:
    show_record({"alerts": 3, "sound": True}, Format.table, "What there is")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["What", "there", "is"], ["alerts", "3"], ["sound", "yes"]]
    show_record({"alerts": 3, "sound": True}, Format.json, "What there is")
    assert json.loads(capsys.readouterr().out) == {"alerts": 3, "sound": True}


def test_rows_have_their_names_once_and_numbers_end_together(capsys: Captured) -> None:
    show_rows([{"some_name": "a", "n": 5}, {"some_name": "b", "n": 12345}], Format.table)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["some", "name", "n"]
    assert first.index("5") == second.index("5")


def test_no_rows_are_said_to_be_none(capsys: Captured) -> None:
    show_rows([], Format.table, "Sources")
    assert capsys.readouterr().out == "Sources: none\n"
    show_rows([], Format.json, "Sources")
    assert json.loads(capsys.readouterr().out) == []


def test_columns_are_chosen_for_a_person_only(capsys: Captured) -> None:
    show_rows([{"a": 1, "b": 2}], Format.table, columns=["b"])
    assert capsys.readouterr().out.split() == ["b", "2"]
    show_rows([{"a": 1, "b": 2}], Format.json, columns=["b"])
    assert json.loads(capsys.readouterr().out) == [{"a": 1, "b": 2}]


@pytest.mark.parametrize("more", [0, 7])
def test_a_long_table_is_cut_and_the_rest_counted(more: int, capsys: Captured) -> None:
    show_table(pa.table({"n": range(MOST_ROWS + more)}), Format.table, None, {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + MOST_ROWS + (more > 0)
    assert (f"… {more} more rows" in lines[-1]) is (more > 0)


def test_programs_get_every_row(capsys: Captured) -> None:
    table = pa.table({"n": range(MOST_ROWS + 7)})
    show_table(table, Format.csv, None, {})
    assert capsys.readouterr().out.splitlines() == ["n", *map(str, range(MOST_ROWS + 7))]
    show_table(table, Format.json, None, {})
    assert json.loads(capsys.readouterr().out) == table.to_pylist()


def test_the_format_wins_over_the_name_of_the_file(tmp_path: Path, capsys: Captured) -> None:
    show_table(pa.table({"n": [1, 2]}), Format.json, tmp_path / "some.csv", {})
    assert json.loads((tmp_path / "some.csv").read_bytes()) == [{"n": 1}, {"n": 2}]
    show_table(pa.table({"n": [1, 2]}), Format.table, tmp_path / "some.csv", {})
    assert (tmp_path / "some.csv").read_text().split() == ["n", "1", "2"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("2 rows written") == 2


def test_documents_hold_numbers_of_numpy_and_paths(capsys: Captured) -> None:
    print_json({"n": np.int64(3), "x": np.array([1.5, np.nan]), "file": Path("here")})
    assert json.loads(capsys.readouterr().out) == {"n": 3, "x": [1.5, None], "file": "here"}


def test_names_in_square_brackets_are_not_taken_for_colours(capsys: Captured) -> None:
    show_rows([{"name": "[red]planet[/]", "n": "[1]"}], Format.table)
    assert "[red]planet[/]" in capsys.readouterr().out
    show_record({"source": "[bold]x"}, Format.table)
    assert "[bold]x" in capsys.readouterr().out
