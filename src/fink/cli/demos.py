"""Commands that simulate a sky and show the broker at work on it."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fink import factory
from fink.cli.application import FormatOption, app, settings_from
from fink.cli.output import Format, print_json, show_record, show_rows, stderr, stdout
from fink.cli.runs import progress, summary_document
from fink.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from fink.config import Settings
    from fink.simulator.replay import Form
    from fink.simulator.survey import SimulatedNight

SURVEYS = ("ztf", "lsst")
FORMS: tuple[Form, ...] = ("container", "tarball", "wire")
DEMO_FOLDER = Path("fink-demo")


@dataclass(frozen=True)
class Show:
    """What the demonstration simulates of a survey: alerts a night, and for how many nights."""

    survey: str
    alerts: int
    nights: int


DEMO = (Show("ztf", 2000, 3), Show("lsst", 1000, 2))


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the packets and the truth go")],
    survey: Annotated[str, typer.Option(help="ztf or lsst")] = "ztf",
    alerts: Annotated[int, typer.Option(min=1, help="Alerts a night")] = 1000,
    nights: Annotated[int, typer.Option(min=1, help="Consecutive nights of the same objects")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes")] = 0,
    form: Annotated[str, typer.Option(help=f"Form of the packets: {', '.join(FORMS)}")] = "container",
    stamps: Annotated[bool, typer.Option(help="Draw stamps")] = True,
    format: FormatOption = Format.table,
) -> None:
    """Simulate nights of a survey as packets in the survey's own form, with the truth beside them.

    Example: `fink simulate sky/ --survey lsst --alerts 5000 --nights 3`
    """
    if survey not in SURVEYS:
        raise ConfigError(f"there is no simulated survey {survey}{did_you_mean(survey, SURVEYS)}; there are {', '.join(SURVEYS)}")
    if form not in FORMS:
        raise ConfigError(f"there is no form {form}{did_you_mean(form, FORMS)}; there are {', '.join(FORMS)}")
    from fink.simulator.survey import simulate_nights

    written = [_write(night, folder, form) for night in simulate_nights(survey, nights, alerts, seed, stamps=stamps)]
    show_rows(written, format)


def _write(night: SimulatedNight, folder: Path, form: Form) -> dict[str, Any]:
    import pyarrow.parquet as pq

    from fink.simulator.replay import write_night

    # resolved, because the working folder is "." and has no name
    truth = folder.resolve().with_name(folder.resolve().name + "-truth")
    for place in (folder, truth):
        place.mkdir(parents=True, exist_ok=True)
    path = write_night(night, folder / f"{night.survey}_{night.night}", form)
    # beside the packets and not among them, so that a run on the folder meets packets only
    pq.write_table(night.truth, truth / f"{night.survey}_{night.night}.parquet")
    return {"survey": night.survey, "night": night.night, "alerts": len(night.packets), "written to": str(path)}


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(metavar="PATH", help="Real packets to run on, in place of a simulated sky")] = None,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where everything goes; made anew each time")] = DEMO_FOLDER,
    seed: Annotated[int, typer.Option(help="Seed of the simulated sky")] = 1,
    portal: Annotated[bool, typer.Option(help="Open the portal on it at the end, in a terminal, until Ctrl-C")] = True,
    format: FormatOption = Format.table,
) -> None:
    """Show the broker at work: simulate a few nights, run on them, say what happened, and open the portal on it.

    Examples: `fink demo`, `fink demo --data ztf_public_20181129.tar.gz`
    """
    from fink.services.report import write_report

    _fresh(folder)
    settings = settings_from(folder / "archive", None, files__folder=folder / "substreams")
    sources = [data] if data is not None else _simulated_sky(folder / "packets", seed)
    with factory.open_archive(settings) as archive:
        source = factory.files_source(sources, settings, archive)
        with progress(source.total) as on_commit:
            summary = factory.run(source, archive, settings, on_commit)
        document = summary_document(summary, archive.ledger()["balanced"])
        page = write_report(document, archive, folder / "results.html")
    if format is not Format.table:
        print_json(document | {"page": str(page)})
        return
    _tell(document, folder, page)
    if portal and stdout.is_terminal:
        _open_portal(settings)
    else:
        address = f"http://{settings.serve.host}:{settings.serve.port}/"
        stdout.print(f"Portal        {address} once you start fink serve --archive {folder / 'archive'}", markup=False)


def _open_portal(settings: Settings) -> None:
    """Show the archive in the portal until it is stopped; at another port where the usual one is taken."""
    from fink.portal.server import listen

    free = settings.model_copy(update={"serve": settings.serve.model_copy(update={"port": 0})})
    with closing(factory.live_archive(settings)) as live:
        try:
            listen(live, settings, _tell_address)
        except ConfigError:
            listen(live, free, _tell_address)


def _tell_address(url: str) -> None:
    stdout.print(f"[bold]Portal        {url}/[/]  until you press Ctrl-C; later: fink serve, or make serve")


def _fresh(folder: Path) -> None:
    """Make the folder anew, but never remove one that a demonstration did not make."""
    mark = folder / ".fink-demo"
    if folder.exists() and not mark.exists():
        raise ConfigError(f"{folder} exists and is not of an earlier demonstration; name another with --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()


def _simulated_sky(folder: Path, seed: int) -> list[Path]:
    """Write the nights of the demonstration, with some packets damaged and some sent twice, as happens."""
    from fink.simulator.faults import damage
    from fink.simulator.replay import write_night
    from fink.simulator.survey import simulate_nights

    with stderr.status("simulating the sky"):
        for show in DEMO:
            nights = simulate_nights(show.survey, show.nights, show.alerts, seed)
            for night in nights:
                write_night(night, folder / f"{night.survey}_{night.night}", "container")
            damage(nights[-1], folder, seed)
    return [folder]


def _tell(document: dict[str, Any], folder: Path, page: Path) -> None:
    counts = {name: document[name] for name in ("received", "archived", "quarantined", "duplicate", "balanced")}
    show_record(counts | {"rate": f"{document['rate']:,} alerts/s"}, Format.table, "What happened")
    stdout.print()
    show_rows(document["modules"], Format.table, "Science modules")
    stdout.print()
    substreams = [{"substream": name, "selected": count} for name, count in document["substreams"].items()]
    show_rows(sorted(substreams, key=lambda row: -row["selected"]), Format.table, "Substreams")
    stdout.print()
    stdout.print("The first run on a machine compiles its kernels, which the times above include; the next ones are faster.")
    stdout.print(f"Results page  {page}", markup=False)
    if stdout.is_terminal:
        archive = folder / "archive"
        stdout.print("Look further  " + f"fink ledger --archive {archive}")
        stdout.print(f"              fink substream fast_risers --archive {archive}")
        stdout.print(f"              fink query 'SELECT night, count(*) FROM alerts GROUP BY night' --archive {archive}")
        stdout.print(f"              fink quarantine list --archive {archive}")
