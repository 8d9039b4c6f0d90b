"""Commands that work through alerts into the archive, or once more: run, reprocess."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, FormatOption, SetOption, app, settings_from
from fink.cli.output import Format, print_json, show_record, show_rows, stderr, stdout
from fink.errors import ConfigError

if TYPE_CHECKING:
    from fink.archive.embedded import EmbeddedArchive
    from fink.commits import Commit
    from fink.config import Settings
    from fink.engines.embedded import RunSummary
    from fink.streams import Source


@app.command()
def run(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Packets, containers, folders, a night's tarballs; or kafka://HOST:PORT/TOPICS")
    ],
    again: Annotated[
        bool, typer.Option("--again", help="Read files once more that were read to their end (their alerts are duplicates)")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is put into the folders or topics, until stopped")] = False,
    start: Annotated[
        str | None,
        typer.Option(help="Where topics begin that were never read: earliest, latest, a time as 2026-11-21T00:00Z, or an offset"),
    ] = None,
    substreams: Annotated[
        Path | None, typer.Option("--substreams", metavar="DIR", help="Write each substream into a file of this folder")
    ] = None,
    form: Annotated[str | None, typer.Option("--form", help="Form of the substream files: jsonl or avro")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that compute; 0 computes in this one")] = None,
    keep: Annotated[str | None, typer.Option(help="Packets and stamps to keep: all, selected, none, last:50GB")] = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Run alerts into the archive and the substreams; goes on where an earlier run stopped.

    Examples: `fink run ztf_public_20181129.tar.gz`, `fink run packets/ --substreams out/ --form avro`,
    `fink run kafka://broker:9092/ztf_* --follow`
    """
    chosen = {"files__folder": substreams, "files__format": form, "run__workers": workers, "retention__packets": keep}
    chosen |= {"kafka_in__start": start}
    settings = settings_from(archive, config, set, **chosen)
    with factory.open_archive(settings) as writer:
        source = _source(sources, settings, writer, follow=follow, again=again)
        with progress(source.total, lambda: source.total) as on_commit:
            summary = factory.run(source, writer, settings, on_commit)
        ledger = writer.ledger()
    report(summary, ledger["balanced"], format)


def _source(sources: list[str], settings: Settings, archive: EmbeddedArchive, *, follow: bool, again: bool) -> Source:
    addresses = [source for source in sources if source.startswith("kafka://")]
    if addresses and len(addresses) < len(sources):
        raise ConfigError(
            f"a run reads Kafka or files, and here are both: {', '.join(sources)}; give them to two runs, one after the other"
        )
    if addresses and again:
        raise ConfigError("--again is for files; a topic is read once more into a new archive, or with fink reprocess from this one")
    if addresses:
        return factory.kafka_source(addresses, settings, archive, follow=follow)
    paths = [Path(source) for source in sources]
    if follow:
        return factory.watched_source(paths, settings, archive)
    files = factory.files_source(paths, settings, archive, again=again)
    if files.skipped:
        stderr.print(f"{len(files.skipped)} files were read before and are skipped (--again reads them)")
    return files


@contextmanager
def progress(total: int | None, to_come: Callable[[], int | None] = lambda: None) -> Iterator[Any]:
    """Show how far a run is, with its rate and counts, where there is a terminal; what is still to come may change meanwhile."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    shown = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
    )
    with shown:
        task = shown.add_task("alerts", total=total, rate="", counts="")

        def on_commit(commit: Commit, summary: RunSummary) -> None:
            counts = summary.counts
            selected = sum(summary.selected.values())
            text = f"night {commit.night or '?'}  selected {selected}  quarantined {counts.quarantined}  duplicate {counts.duplicate}"
            left = to_come()
            end = None if left is None else counts.received + left
            shown.update(task, completed=counts.received, total=end, rate=f"{summary.rate:,.0f}/s", counts=text)

        yield on_commit


def report(summary: RunSummary, balanced: bool, format: Format) -> None:
    """Print what a run did."""
    document = summary_document(summary, balanced)
    if format is not Format.table:
        print_json(document)
        return
    counts = {name: document[name] for name in ("received", "archived", "quarantined", "duplicate", "late", "balanced", "rate")}
    show_record(counts, format, "Stopped before the end" if summary.stopped else "Done")
    stdout.print()
    show_rows(document["modules"], format, "Modules")
    stdout.print()
    show_rows([{"substream": name, "selected": count} for name, count in document["substreams"].items()], format, "Substreams")


def summary_document(summary: RunSummary, balanced: bool) -> dict[str, Any]:
    """Give what a run did as one document."""
    counts = summary.counts
    archived = max(counts.archived + counts.duplicate, 1)
    modules = [
        {"module": name, "run": c.run, "null": c.null, "failed": c.failed, "us_per_alert": round(c.seconds * 1e6 / archived, 2)}
        for name, c in summary.modules.items()
    ]
    return {
        "received": counts.received,
        "archived": counts.archived,
        "quarantined": counts.quarantined,
        "duplicate": counts.duplicate,
        "late": counts.late,
        "balanced": balanced,
        "commits": summary.commits,
        "seconds": round(summary.seconds, 3),
        "rate": round(summary.rate),
        "stopped": summary.stopped,
        "modules": sorted(modules, key=lambda m: -float(str(m["us_per_alert"]))),
        "substreams": dict(sorted(summary.selected.items())),
    }


@app.command()
def reprocess(
    commit: Annotated[int | None, typer.Option("--commit", metavar="N", min=1, help="Only this commit; all without it")] = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Compute commits again from their kept packets and the history that they saw, and say whether every column comes out the same.

    Nothing is written; exit status 1 when a column differs. The modules and filters must be those of the run.

    Example: `fink reprocess --commit 12`
    """
    from rich.progress import track

    from fink import surveys
    from fink.engines.replay import replay_commit

    settings = settings_from(archive, config, set)
    surveys.configure(settings.surveys)
    plan = factory.build_plan(settings)
    with factory.read_archive(settings) as reader:
        numbers = [commit] if commit is not None else range(1, reader.last_commit() + 1)
        shown = track(numbers, "commits", console=stderr, transient=True, disable=not stderr.is_terminal)
        changed = {str(number): replay_commit(reader, number, plan, settings.artifacts) for number in shown}
        alerts = sum(reader.commit(number).counts.archived for number in numbers)
    differing = {number: names for number, names in changed.items() if names}
    show_record({"commits": len(changed), "alerts": alerts, "differing": differing, "identical": not differing}, format)
    if differing:
        raise typer.Exit(1)
