"""A rule is explained by its cuts, its columns and who makes them."""

from __future__ import annotations

import pytest

from fink import filters, science
from fink.conditions import parse_condition
from fink.errors import ConditionError
from fink.services import rules
from fink.services.trials import vocabulary


def test_a_cut_is_found_with_those_that_it_uses_and_never_inside_a_text() -> None:
    assert rules.cuts_in("mag < 18 AND clean_transient")[:2] == ["clean_transient", "good"]
    assert set(rules.cuts_in("clean_transient")) >= {"good", "positive_detection", "not_moving", "not_on_star", "confirmed"}
    assert rules.cuts_in("fink_class = 'real' AND mag < 3") == []


@pytest.mark.parametrize("name", filters.registry())
def test_every_built_in_rule_is_explained_in_full(name: str) -> None:
    where = filters.registry()[name].where
    known = vocabulary()
    found = rules.explained(where, known)
    cuts = {cut: declared.where for cut, declared in filters.named_cuts().items()}
    checked = parse_condition(where, {each: column.type for each, column in known.items()}, cuts)
    assert [column["name"] for column in found["columns"]] == sorted(checked.columns)
    assert all(column["about"] for column in found["columns"])
    assert found["written_out"] == checked.canonical()
    assert all(cut["where"] == cuts[cut["name"]] for cut in found["cuts"])


def test_a_column_names_the_module_that_makes_it() -> None:
    makers = rules.makers()
    for module in science.registry().values():
        assert {makers[column.name] for column in module.outputs} <= {module.name}
        assert makers[f"{module.name}_status"] == module.name
    assert "mag" not in makers


def test_a_rule_that_cannot_be_read_says_where() -> None:
    with pytest.raises(ConditionError, match="did you mean mag") as caught:
        rules.explained("age < 3 AND magg < 3", vocabulary())
    assert caught.value.at == 12
