"""The application: exit statuses, nearest names, where settings come from, and help with an example for every command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from command_line import Fink
from fink.cli import application
from fink.cli.application import app, settings_from
from fink.errors import ConfigError


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every command with the words that call it."""
    found = getattr(group, "commands", None)
    if found is None:
        yield path, group
        return
    for name, command in found.items():
        yield from commands(command, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_the_words_that_scripts_rely_on_are_there() -> None:
    said = {" ".join(path) for path in COMMANDS}
    assert said >= {"run", "demo", "decode", "enrich", "ledger", "query", "object", "cone", "simulate", "reprocess"}
    assert said >= {f"quarantine {word}" for word in ("list", "show", "export", "replay")}
    assert said >= {f"archive {word}" for word in ("verify", "compact", "stats", "copy")}
    assert said >= {f"filter {word}" for word in ("list", "show", "check", "test", "yield")}
    assert said >= {"module list", "module show", "config check", "config show"}


HEAVY = {"astropy", "duckdb", "fastavro", "numba", "numpy", "pandas", "polars", "pyarrow", "pydantic", "rocksdict", "sqlglot"}


@pytest.mark.parametrize("what", ["fink", "fink.factory", "fink.cli", "fink.cli.application"])
def test_help_and_completion_wait_for_no_heavy_library(what: str) -> None:
    code = f"import sys, {what}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "fink" in loaded
    assert not loaded & HEAVY


def test_the_version_is_that_of_the_package(fink: Fink) -> None:
    said = fink("--version")
    assert (said.status, said.out.strip()) == (0, f"fink {version('fink')}")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_explains_every_option_and_gives_an_example_that_is_this_command(path: tuple[str, ...], fink: Fink) -> None:
    said = fink(*path, "--help")
    assert said.status == 0
    assert f"fink {' '.join(path)}" in said.words.partition("Example")[2]
    options = [one for one in COMMANDS[path].params if one.param_type_name == "option"]
    assert not [one.name for one in options if not getattr(one, "help", None)]


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [(("qurey", "SELECT 1"), "query"), (("archive", "verfy"), "verify"), (("quarntine",), "quarantine"), (("filter", "shwo"), "show")],
)
def test_a_mistyped_command_is_misuse_and_the_nearest_is_offered(arguments: tuple[str, ...], nearest: str, fink: Fink) -> None:
    said = fink(*arguments)
    assert said.status == 2
    assert f"did you mean {nearest}?" in said.words
    assert said.out == ""


def test_a_command_like_no_other_is_answered_with_all_that_there_are(fink: Fink) -> None:
    said = fink("xyzzy")
    assert said.status == 2
    assert "did you mean" not in said.words
    assert "quarantine" in said.words


@pytest.mark.parametrize("arguments", [("run",), ("query",), ("ledger", "--format", "xml"), ("cone", "a", "b", "c")])
def test_missing_and_wrong_arguments_are_misuse(arguments: tuple[str, ...], fink: Fink) -> None:
    assert fink(*arguments).status == 2


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [
        ("run.worker=2", "no setting run.worker; did you mean run.workers?"),
        ("run.workers", "write NAME=VALUE"),
        ("run.workers=many", "setting run.workers = 'many'"),
        ("retention.packets=some", "write all, selected, none, or last:50GB"),
    ],
)
def test_a_wrong_setting_is_misuse_and_says_the_remedy(setting: str, remedy: str, fink: Fink) -> None:
    said = fink("config", "show", "--set", setting)
    assert said.status == 2
    assert remedy in said.words
    assert said.err.startswith("fink: ")


def test_no_archive_is_a_failure_that_names_the_folder(fink: Fink, tmp_path: Path) -> None:
    said = fink("ledger", "--archive", tmp_path / "nowhere")
    assert said.status == 1
    assert "there is no archive in" in said.words
    assert "nowhere" in said.words
    assert not (tmp_path / "nowhere").exists()


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fink.toml"
    file.write_text('archive = "of-file"\n[run]\nworkers = 3\ntimeout = 70\n[batch]\nalerts = 9\n')
    monkeypatch.setenv("FINK_RUN__WORKERS", "5")
    monkeypatch.setenv("FINK_BATCH__ALERTS", "11")
    settings = settings_from(None, file, ["batch.alerts=13"], run__modules=None)
    assert (str(settings.archive), settings.run.timeout, settings.run.workers, settings.batch.alerts) == ("of-file", 70, 5, 13)
    assert settings_from(Path("said"), file).archive == Path("said")
    with pytest.raises(ConfigError, match="has no value"):
        settings_from(None, file, ["batch.alerts"])


def test_the_folder_of_the_archive_comes_from_the_environment(fink: Fink, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINK_ARCHIVE", str(archive))
    assert fink("ledger", "--format", "json").document["received"] > 0


def test_square_brackets_in_an_error_are_printed_as_they_are(fink: Fink) -> None:
    said = fink("ledger", "--archive", "no[bold]where")
    assert said.status == 1
    assert "no[bold]where" in said.words


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["xyzzy"], 2), (["ledger", "--archive", "/nowhere"], 1)])
def test_main_exits_with_the_status(arguments: list[str], status: int) -> None:
    with pytest.raises(SystemExit) as end:
        application.main(arguments)
    assert end.value.code == status
