"""Commands about users' own substreams: filters, watchlists and areas, created and changed while a run goes on or not."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, FormatOption, SetOption, area_app, filter_app, settings_from, watchlist_app
from fink.cli.output import Format, print_json, show_record, show_rows, stderr

if TYPE_CHECKING:
    from fink.filters.places import Area, PositionList
    from fink.filters.users import UserSubstream
    from fink.services.substreams import Substreams, Wanted
    from fink.services.trials import Trial

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the substream, which is that of its topic and feed")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet, VOTable or FITS table with positions in degrees")]
MocArgument = Annotated[Path, typer.Argument(metavar="FILE", help="MOC of the sky as FITS, JSON or text")]
OwnerOption = Annotated[str | None, typer.Option(help="Whose it is [default: the name you are logged in with]")]
AboutOption = Annotated[str | None, typer.Option(help="What it holds, in one sentence")]
WhereOption = Annotated[str | None, typer.Option("--where", metavar="CONDITION", help="Only alerts that this condition takes too")]
SurveysOption = Annotated[list[str] | None, typer.Option("--survey", help="Only this survey; may be repeated")]
MostOption = Annotated[int | None, typer.Option("--most", help="Alerts that it may take in a night before it is paused")]
OffOption = Annotated[bool, typer.Option("--off", help="Do not switch it on yet")]
RadiusOption = Annotated[float | None, typer.Option(help="Radius of every position [arcsec]; without it each row's own")]
RaOption = Annotated[str, typer.Option("--ra", metavar="COLUMN", help="Column of the right ascension, where its name does not say")]
DecOption = Annotated[str, typer.Option("--dec", metavar="COLUMN", help="Column of the declination")]
EntryOption = Annotated[str, typer.Option("--name", metavar="COLUMN", help="Column of the entries' names; without it rows are numbered")]
RadiusColumnOption = Annotated[str, typer.Option("--radius-column", metavar="COLUMN", help="Column of each row's radius [arcsec]")]


@contextmanager
def _substreams(archive: Path | None, config: Path | None, set: list[str] | None) -> Iterator[Substreams]:
    from fink.services.substreams import Substreams

    settings = settings_from(archive, config, set)
    with factory.read_archive(settings) as reader:
        yield Substreams(reader, settings.users)


def _wanted(
    about: str | None, where: str | None, surveys: list[str] | None, most: int | None, places: PositionList | Area | None = None
) -> Wanted:
    from fink.services.substreams import Wanted

    return Wanted(about, where, surveys, most, places)


def _create(
    name: str,
    owner: str | None,
    off: bool,
    wanted: Callable[[], Wanted],
    archive: Path | None,
    config: Path | None,
    set: list[str] | None,
    format: Format,
) -> None:
    with _substreams(archive, config, set) as substreams:
        substream, trial = substreams.create(name, owner or getpass.getuser(), wanted(), on=not off)
        _tell(substream, trial, substreams.one(name), format)


def _edit(
    name: str,
    owner: str | None,
    wanted: Callable[[], Wanted],
    archive: Path | None,
    config: Path | None,
    set: list[str] | None,
    format: Format,
) -> None:
    with _substreams(archive, config, set) as substreams:
        substream, trial = substreams.edit(name, owner or getpass.getuser(), wanted())
        _tell(substream, trial, substreams.one(name), format)


def _tell(substream: UserSubstream, trial: Trial, record: dict[str, Any], format: Format) -> None:
    """Print a new version, and what it would have selected."""
    tried = {"last_month": trial.selected, "fullest_night": trial.fullest[1], "us_per_alert": trial.microseconds}
    show_record(record | tried, format)
    if format is Format.table and record["state"] == "on":
        stderr.print(f"{substream.name} is on: a run selects with version {substream.version} from its next commit on")


@filter_app.command("create")
def create_filter(
    name: NameArgument,
    condition: Annotated[str, typer.Argument(metavar="CONDITION", help='A condition, as "clean_transient AND mag < 18"')],
    about: AboutOption = None,
    survey: SurveysOption = None,
    most: MostOption = None,
    off: OffOption = False,
    owner: OwnerOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Create a filter of your own: it is tried on the last month, and selects from the stream from the next commit on, without a restart.

    Example: `fink filter create my_risers "clean_transient AND mag < 18" --most 200`
    """
    _create(name, owner, off, lambda: _wanted(about, condition, survey, most), archive, config, set, format)


@filter_app.command("edit")
def edit_filter(
    name: NameArgument,
    condition: Annotated[str | None, typer.Argument(metavar="CONDITION", help="The new condition; without it the old one")] = None,
    about: AboutOption = None,
    survey: SurveysOption = None,
    most: MostOption = None,
    owner: OwnerOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Make the next version of a filter, a watchlist or an area: another condition, sentence, survey or limit.

    Example: `fink filter edit my_risers "clean_transient AND mag < 17.5"`
    """
    _edit(name, owner, lambda: _wanted(about, condition, survey, most), archive, config, set, format)


@filter_app.command("on")
def switch_on(
    name: NameArgument,
    owner: OwnerOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Switch on a filter, watchlist or area that is off or was paused.

    Example: `fink filter on my_risers`
    """
    _switch(name, "on", owner, archive, config, set, format)


@filter_app.command("off")
def switch_off(
    name: NameArgument,
    owner: OwnerOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Switch off a filter, watchlist or area; what it selected stays in the archive.

    Example: `fink filter off my_risers`
    """
    _switch(name, "off", owner, archive, config, set, format)


@filter_app.command("remove")
def remove(
    name: NameArgument,
    owner: OwnerOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Remove a filter, watchlist or area; what it selected stays in the archive, and its name stays yours.

    Example: `fink filter remove my_risers`
    """
    _switch(name, "removed", owner, archive, config, set, format)


def _switch(
    name: str,
    state: Literal["on", "off", "removed"],
    owner: str | None,
    archive: Path | None,
    config: Path | None,
    set: list[str] | None,
    format: Format,
) -> None:
    with _substreams(archive, config, set) as substreams:
        kept = substreams.switch(name, owner or getpass.getuser(), state)
    show_record({"name": name, "version": kept.substream.version, "state": kept.state}, format)


@filter_app.command("versions")
def list_versions(
    name: NameArgument, archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table
) -> None:
    """List every version of a filter, watchlist or area of a user.

    Example: `fink filter versions my_risers`
    """
    with _substreams(archive, config, None) as substreams:
        versions = substreams.versions(name)
    show_rows(versions, format, columns=["version", "created", "where", "entries", "most_per_night", "holds"])


@watchlist_app.command("create")
def create_watchlist(
    name: NameArgument,
    file: FileArgument,
    radius: RadiusOption = None,
    where: WhereOption = None,
    about: AboutOption = None,
    survey: SurveysOption = None,
    most: MostOption = None,
    off: OffOption = False,
    ra: RaOption = "",
    dec: DecOption = "",
    entry: EntryOption = "",
    radius_column: RadiusColumnOption = "",
    owner: OwnerOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Create a watchlist: alerts within the radius of one of your positions, up to a million, from the next commit on.

    Each alert says which entry it lies at, and how far from it. Switch, remove and list it with `fink filter`.

    Example: `fink watchlist create my_blazars blazars.csv --radius 2 --where "mag < 19"`
    """
    _create(
        name,
        owner,
        off,
        lambda: _wanted(about, where, survey, most, _positions(file, ra, dec, entry, radius_column, radius)),
        archive,
        config,
        set,
        format,
    )


@watchlist_app.command("edit")
def edit_watchlist(
    name: NameArgument,
    file: FileArgument,
    radius: RadiusOption = None,
    where: WhereOption = None,
    ra: RaOption = "",
    dec: DecOption = "",
    entry: EntryOption = "",
    radius_column: RadiusColumnOption = "",
    owner: OwnerOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Give a watchlist other positions: its next version. For another condition or limit alone, use `fink filter edit`.

    Example: `fink watchlist edit my_blazars more-blazars.csv --radius 2`
    """
    _edit(
        name,
        owner,
        lambda: _wanted(None, where, None, None, _positions(file, ra, dec, entry, radius_column, radius)),
        archive,
        config,
        set,
        format,
    )


@watchlist_app.command("test")
def try_watchlist(
    file: FileArgument,
    radius: RadiusOption = None,
    where: WhereOption = None,
    ra: RaOption = "",
    dec: DecOption = "",
    entry: EntryOption = "",
    radius_column: RadiusColumnOption = "",
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Say what a watchlist would have selected from the archive, before it is one.

    Example: `fink watchlist test blazars.csv --radius 2`
    """
    with _substreams(archive, config, None) as substreams:
        places = _positions(file, ra, dec, entry, radius_column, radius)
        show_trial(substreams.try_out(where or "TRUE", places=places), {"file": str(file), "entries": len(places)}, format)


@area_app.command("create")
def create_area(
    name: NameArgument,
    file: MocArgument,
    where: WhereOption = None,
    about: AboutOption = None,
    survey: SurveysOption = None,
    most: MostOption = None,
    off: OffOption = False,
    owner: OwnerOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Create an area: alerts in a part of the sky, from the next commit on. Switch, remove and list it with `fink filter`.

    Example: `fink area create my_field field.fits --where "clean_transient"`
    """
    _create(name, owner, off, lambda: _wanted(about, where, survey, most, _area(file)), archive, config, set, format)


@area_app.command("edit")
def edit_area(
    name: NameArgument,
    file: MocArgument,
    where: WhereOption = None,
    owner: OwnerOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Give an area another part of the sky: its next version. For another condition or limit alone, use `fink filter edit`.

    Example: `fink area edit my_field larger-field.fits`
    """
    _edit(name, owner, lambda: _wanted(None, where, None, None, _area(file)), archive, config, set, format)


@area_app.command("test")
def try_area(
    file: MocArgument,
    where: WhereOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Say what an area would have selected from the archive, before it is one.

    Example: `fink area test field.fits --where "clean_transient"`
    """
    with _substreams(archive, config, None) as substreams:
        area = _area(file)
        show_trial(substreams.try_out(where or "TRUE", places=area), {"file": str(file), "square_degrees": area.square_degrees}, format)


def _positions(file: Path, ra: str, dec: str, entry: str, radius_column: str, radius: float | None) -> PositionList:
    from fink.services.uploads import ColumnNames, position_list, read_table

    return position_list(read_table(file), ColumnNames(ra, dec, entry, radius_column), radius)


def _area(file: Path) -> Area:
    from fink.services.uploads import read_area

    return read_area(file)


def show_trial(trial: Trial, what: dict[str, Any], format: Format) -> None:
    """Print what something would have selected: how many a night, the newest alerts, and what it costs."""
    from fink.services.trials import report

    document = report(trial, what)
    if format is not Format.table:
        print_json(document)
        return
    shown = what | {"selected": trial.selected, "us_per_alert": trial.microseconds}
    show_record({name: value for name, value in shown.items() if value is not None}, format)
    show_rows(trial.nights, format, "Selected per night")
    show_rows(trial.newest, format, "Newest")
