"""Commands about modules, filters and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, FormatOption, SetOption, config_app, filter_app, module_app, settings_from
from fink.cli.output import Format, print_json, show_record, show_rows, stdout
from fink.errors import NotFoundError, did_you_mean

if TYPE_CHECKING:
    from fink.columns import Column
    from fink.conditions import Condition

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
ConditionArgument = Annotated[
    str, typer.Argument(metavar="CONDITION", help='A condition, as "mag < 18 AND rising", or the name of a filter')
]


@module_app.command("list")
def list_modules(format: FormatOption = Format.table) -> None:
    """List the science modules: what each measures and gives.

    Example: `fink module list`
    """
    from fink import science

    rows = [
        {"name": m.name, "version": m.version, "measures": m.about, "gives": [c.name for c in m.outputs]}
        for m in science.registry().values()
    ]
    show_rows(rows, format)


@module_app.command("show")
def show_module(name: NameArgument, format: FormatOption = Format.table) -> None:
    """Show one science module: inputs, outputs with units, condition, reference.

    Example: `fink module show magnitude_rate`
    """
    from fink import science

    module = _known(name, science.registry(), "science module")
    record: dict[str, Any] = {"name": module.name, "version": module.version, "about": _paragraphs(module.description)}
    record |= {"inputs": list(module.inputs), "where": module.where or None, "reference": module.reference or None}
    record["reads"] = [artifact.about for artifact in module.artifacts] or None
    outputs = [_declaration(column) for column in module.outputs]
    if format is not Format.table:
        print_json(record | {"outputs": outputs})
        return
    show_record(record, format)
    stdout.print()
    show_rows(outputs, format)


@filter_app.command("list")
def list_filters(archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table) -> None:
    """List the built-in substreams, and those that users of the archive made: filters, watchlists and areas.

    Example: `fink filter list`
    """
    from fink import filters

    built_in = [
        {"name": s.name, "holds": s.about, "where": s.where, "surveys": list(s.surveys) or None, "on_demand": s.on_demand}
        for s in filters.registry().values()
    ]
    settings = settings_from(archive, config)
    users = factory.users_substreams(settings)
    if format is not Format.table:
        print_json([*({**row, "owner": None, "state": "on"} for row in built_in), *users])
        return
    show_rows(built_in, format)
    if users:
        stdout.print()
        show_rows(users, format, "Users' own", ["name", "version", "owner", "kind", "state", "where", "selected", "message"])


@filter_app.command("show")
def show_filter(
    name: NameArgument, archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table
) -> None:
    """Show one substream: its condition, with named cuts written out, and the columns that it reads.

    Example: `fink filter show fast_risers`
    """
    from fink import filters

    users = {} if name in filters.registry() else {row["name"]: row for row in factory.users_substreams(settings_from(archive, config))}
    if name in users:
        condition = _condition(users[name]["where"])
        show_record(users[name] | {"written out": condition.canonical(), "columns": sorted(condition.columns)}, format)
        return
    declared = _known(name, {**filters.registry(), **users}, "substream")
    condition = _condition(declared.where)
    record = {"name": name, "holds": declared.about, "about": _paragraphs(declared.description), "where": declared.where}
    record |= {"written out": condition.canonical(), "columns": sorted(condition.columns), "per night": declared.per_night}
    record["surveys"] = list(declared.surveys) or "all"
    show_record(record, format)


@filter_app.command("check")
def check_filter(condition: ConditionArgument, format: FormatOption = Format.table) -> None:
    """Check a condition without running it: every name, every type.

    Example: `fink filter check "real AND mag < 19 AND NOT is_known_sso"`
    """
    checked = _condition(condition)
    show_record({"condition": condition, "valid": True, "written out": checked.canonical(), "columns": sorted(checked.columns)}, format)


@filter_app.command("test")
def try_filter(
    condition: ConditionArgument,
    night: Annotated[int | None, typer.Option(help="Only this night, as YYYYMMDD")] = None,
    days: Annotated[int | None, typer.Option(help="Only so many days up to the newest night")] = None,
    survey: Annotated[str | None, typer.Option(help="Only this survey")] = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Say what a condition would have selected from the archive: how many a night, the newest of them, and what it costs.

    Example: `fink filter test "clean_transient AND mag < 18"`
    """
    from fink.cli.substreams import show_trial
    from fink.services.substreams import Substreams

    settings = settings_from(archive, config)
    with factory.read_archive(settings) as reader:
        trial = Substreams(reader, settings.users).try_out(condition, days=days, night=night, survey=survey)
    show_trial(trial, {"condition": condition}, format)


@filter_app.command("yield")
def yield_of_filters(archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table) -> None:
    """Say how many alerts each substream took in each night, beside the number that it expects.

    Example: `fink filter yield`
    """
    from fink import filters
    from fink.archive.substreams import UserSubstreams
    from fink.services.yields import yields

    settings = settings_from(archive, config)
    with factory.read_archive(settings) as reader:
        nights = reader.statistics()["nights"]
    expected = {name: s.per_night for name, s in filters.registry().items()}
    users = (kept.substream for kept in UserSubstreams(settings.archive).all(removed=True))
    expected |= {substream.name: (0, substream.most_per_night) for substream in users}
    show_rows(yields(nights, expected), format, columns=["substream", "survey", "night", "alerts", "selected", "expected", "remark"])


@config_app.command("show")
def show_config(
    archive: ArchiveOption = None, config: ConfigOption = None, set: SetOption = None, format: FormatOption = Format.table
) -> None:
    """Show every setting with the value that a run would use.

    Example: `fink config show --set run.workers=4`
    """
    from fink.config import setting_names

    settings = settings_from(archive, config, set)
    tree = settings.model_dump(mode="json")
    values = {name: tree[name] if "." not in name else tree[name.partition(".")[0]][name.partition(".")[2]] for name in setting_names()}
    show_record(values, format)


@config_app.command("check")
def check_config(
    archive: ArchiveOption = None, config: ConfigOption = None, set: SetOption = None, format: FormatOption = Format.table
) -> None:
    """Check the settings, the modules and the filters as a run would at its start.

    Example: `fink config check --config fink.toml`
    """
    settings = settings_from(archive, config, set)
    plan = factory.build_plan(settings)
    show_record({"valid": True, "modules": [s.module.name for s in plan.steps], "substreams": sorted(plan.substreams)}, format)


def _condition(text: str) -> Condition:
    """Parse a condition, or take that of a named filter."""
    from fink import filters
    from fink.conditions import parse_condition

    declared = filters.registry().get(text)
    cuts = {name: cut.where for name, cut in filters.named_cuts().items()}
    types = {name: column.type for name, column in vocabulary().items()}
    return parse_condition(declared.where if declared else text, types, cuts)


def vocabulary() -> dict[str, Column]:
    """Give every column that a condition may name: of core, surveys and modules, and why a module has no value."""
    from fink.services import trials

    return trials.vocabulary()


def _declaration(column: Column) -> dict[str, Any]:
    return {"column": column.name, "type": str(column.type), "unit": column.unit, "ucd": column.ucd, "meaning": column.about}


def _paragraphs(text: str) -> str:
    """Give a text with each paragraph on one line, to be wrapped where it is shown; lists keep their lines."""
    return "\n\n".join(part if part.startswith("- ") else " ".join(part.split()) for part in text.split("\n\n"))


def _known(name: str, known: Mapping[str, Any], what: str) -> Any:
    if name not in known:
        raise NotFoundError(f"there is no {what} {name}{did_you_mean(name, known)}")
    return known[name]
