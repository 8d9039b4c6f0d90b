"""The generated pages tell all that the registries hold."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from fink import catalogs, columns, config, filters, science


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_column_is_on_the_page(generate: ModuleType) -> None:
    page = generate.columns_page()
    added = [column for module in science.registry().values() for column in module.outputs]
    assert [c.name for c in [*columns.COLUMNS.values(), *added] if f"| `{c.name}` |" not in page] == []


def test_every_module_and_filter_is_on_its_page(generate: ModuleType) -> None:
    modules, substreams = generate.modules_page(), generate.filters_page()
    assert [name for name in science.registry() if f"## {name}\n" not in modules] == []
    assert [name for name in filters.registry() if f"## {name}\n" not in substreams] == []


def test_every_catalogue_is_on_its_page_with_columns_citation_and_licence(generate: ModuleType) -> None:
    page = generate.catalogues_page()
    for name, declared in catalogs.registry().items():
        assert f"## {name}\n" in page
        assert declared.citation in page
        assert declared.licence in page
        assert [column.name for column in declared.columns if f"| `{column.name}` |" not in page] == []


def test_every_setting_is_on_the_page_with_its_meaning(generate: ModuleType) -> None:
    rows = {line.split("|")[1].strip().strip("`"): line for line in generate.settings_page().splitlines() if line.startswith("| `")}
    assert {name.split(".")[-1] for name in config.setting_names()} - set(rows) == set()
    assert [name for name, line in rows.items() if not line.split("|")[-2].strip()] == []


def test_every_command_is_on_the_page(generate: ModuleType) -> None:
    from fink import cli

    page = generate.commands_page()
    names = [command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback]
    assert names
    assert [one for one in names if f"## fink {one}\n" not in page] == []


def test_every_benchmark_is_on_its_page_with_what_it_measures(generate: ModuleType) -> None:
    from benchmarks.__main__ import names

    rows = {line.split("|")[1].strip().strip("`"): line.split("|")[2].strip() for line in generate.benchmarks_table().splitlines()[2:]}
    assert set(rows) == set(names())
    assert all(rows.values())


def test_every_decision_is_listed_by_its_question(generate: ModuleType) -> None:
    folder = Path(str(generate.__file__)).parent / "decisions"
    listed = generate.decisions_list()
    assert [path.name for path in folder.glob("*.md") if f"({path.name})" not in listed] == ["index.md"]
    assert [line for line in listed.splitlines() if "?" not in line] == []


def test_marks_are_replaced_on_the_pages_that_have_them(generate: ModuleType) -> None:
    pages = list(Path(str(generate.__file__)).parent.rglob("*.md"))
    assert {mark for mark in generate.PARTS for page in pages if mark in page.read_text()} == set(generate.PARTS)
