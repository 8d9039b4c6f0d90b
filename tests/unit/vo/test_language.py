"""ADQL is parsed; what is not ADQL, is too long or hides something is refused before anything runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import expressions as exp

from fink.errors import QueryError
from fink.vo.language import DEEPEST, LONGEST, parse


def test_words_of_other_languages_are_names_here() -> None:
    found = parse("select commit, date, kind, size, dec from x.y as z -- a remark\n")
    assert [column.name for column in found.find_all(exp.Column)] == ["commit", "date", "kind", "size", "dec"]


def test_top_and_offset() -> None:
    found = parse("SELECT TOP 7 ra FROM a ORDER BY ra OFFSET 3;")
    assert found.args["limit"].expression.this == "7"
    assert found.args["offset"].expression.this == "3"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("-- nothing", "empty"),
        ("select 1; select 2", "';'"),
        ("select a[1] from b", "'['"),
        ("select a::int from b", "':'"),
        ("select ? from b", "'?'"),
        ("select 1 {# hidden", "'{'"),
        ("select '\\x'", "not allowed"),
        ("select '\ud800'", "not allowed"),
        ("select 'open", "not closed"),
        ("select a from b limit 5", "near '5'"),
        ("select sum(a) over (partition by b) from c", "cannot be read"),
        ("with recursive c as (select 1) select * from c", "cannot be read"),
        ("select " + "(" * (DEEPEST + 1) + "1" + ")" * (DEEPEST + 1), "parentheses"),
        ("select '" + "x" * LONGEST + "'", "characters"),
        ("select " + ",".join("1" * 5000), "words and signs"),
    ],
)
def test_what_is_not_adql_is_refused_and_told(text: str, told: str) -> None:
    with pytest.raises(QueryError) as error:
        parse(text)
    assert told in str(error.value)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        found = parse(f"select {text}")
    except QueryError:
        return
    assert isinstance(found, exp.Expression)
