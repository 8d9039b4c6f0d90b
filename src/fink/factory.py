"""The composition root: the only place where settings become archives, sources, plans, engines and followers.

Each function imports what it builds, so that a command pays for its own parts only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fink.errors import ArchiveError, ConfigError, HeldError, NotFoundError, SchemaError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from fink.archive.embedded import EmbeddedArchive
    from fink.commits import Commit
    from fink.config import Settings
    from fink.engines.embedded import RunSummary
    from fink.engines.plan import Plan
    from fink.services.access import Access
    from fink.services.catalogues import Catalogues
    from fink.services.components import Component
    from fink.services.enrichment import EnrichedFile, TableEnrichment
    from fink.services.lightcurve_tables import Each
    from fink.services.live import LiveArchive
    from fink.services.transfers import Transfers
    from fink.streams import Follower, Source
    from fink.streams.files import FilesSource
    from fink.streams.recognition import SchemaOfId
    from fink.streams.watch import WatchedFiles


def schema_of_id(settings: Settings) -> SchemaOfId:
    """Make what finds the schema of a packet that names only its number."""
    from fink.codecs.writers import SchemaStore

    chosen = settings.surveys
    login = (chosen.registry_username, chosen.registry_password.get_secret_value()) if chosen.registry_username else None
    return SchemaStore(_built_in_schema, chosen.schemas, chosen.registry, settings.archive / "schemas", login).find


def _built_in_schema(number: int) -> bytes | None:
    """Ask each survey's own field tables; the first refusal counts where no survey knows the number."""
    from fink import surveys

    refusal: SchemaError | None = None
    for survey in surveys.registry().values():
        try:
            schema = survey.schema_of_number(number)
        except SchemaError as error:
            refusal = refusal or error
            continue
        if schema is not None:
            return schema
    if refusal is not None:
        raise refusal
    return None


def open_archive(settings: Settings) -> EmbeddedArchive:
    """Open the archive for writing, and make it where there is none.

    Raises
    ------
    ArchiveError
        If another run holds it.
    """
    from fink.archive.embedded import EmbeddedArchive

    if (settings.archive / "archive.json").exists():
        return EmbeddedArchive.open(settings.archive, settings.retention)
    return EmbeddedArchive.create(settings.archive, settings.retention)


def read_archive(settings: Settings) -> EmbeddedArchive:
    """Open the archive for reading, beside a run that may be writing it.

    Raises
    ------
    ArchiveError
        If there is none.
    """
    from fink.archive.embedded import EmbeddedArchive

    return EmbeddedArchive.reader(settings.archive)


def live_archive(settings: Settings) -> LiveArchive:
    """Make the readers of the archive that a server lends to its askers.

    Raises
    ------
    ArchiveError
        If there is no archive.
    """
    from fink.services.live import LiveArchive

    live = LiveArchive(lambda: read_archive(settings), settings.serve.readers)
    with live.reading():
        # whether there is an archive shows at the start, and not with the first question
        return live


def users_substreams(settings: Settings) -> list[dict[str, Any]]:
    """Give the substreams that users of the archive made, as they stand; none where there is no archive."""
    from fink.archive.state import State

    if not State(settings.archive).exists:
        return []
    from fink.services.substreams import Substreams

    with read_archive(settings) as reader:
        return Substreams(reader, settings.users).listed()


def catalogues(settings: Settings) -> Catalogues:
    """Give the catalogues that are installed, or can be."""
    from fink.services.catalogues import Catalogues

    return Catalogues(settings.artifacts)


def access(settings: Settings) -> Access:
    """Give the tokens of the archive, and what askers over HTTP may take.

    Raises
    ------
    ArchiveError
        If there is no archive.
    """
    from fink.archive.state import State
    from fink.services.access import Access

    if not (settings.archive / "archive.json").exists():
        raise ArchiveError(f"there is no archive in {settings.archive}; create one with fink run, or name another folder")
    return Access(State(settings.archive), settings.serve)


def transfers(settings: Settings) -> Transfers:
    """Give the transfers of the archive.

    Raises
    ------
    ConfigError
        If no cluster is set that they could be sent to.
    """
    from fink.archive.state import State
    from fink.services.transfers import Transfers

    if not settings.kafka_out.servers:
        raise ConfigError("transfers go to Kafka, and no cluster is set; set kafka_out.servers")
    return Transfers(State(settings.archive), settings.kafka_out)


def build_plan(settings: Settings) -> Plan:
    """Build the plan of the modules and substreams that the settings name, or of all."""
    from fink.engines import plan

    return plan.build_plan(settings.run.modules, settings.run.substreams, artifacts=settings.artifacts)


def enrich(
    table: Any, modules: Sequence[str] | None = None, *, survey: str = "lsst", each: Each = "object", settings: Settings | None = None
) -> Any:
    """Run the science modules on a light-curve table; `fink.enrich` tells more."""
    import warnings

    from fink.config import load_settings
    from fink.services.enrichment import by_reason, enrich_frame

    settings = settings or load_settings()
    work = _table_enrichment(tuple(modules or ()), tuple(modules or ()), settings, survey, each)
    frame, reasons = enrich_frame(table, work, each, settings.batch.alerts)
    if reasons and not modules:
        warnings.warn(f"{len(reasons)} science modules did not run: {'; '.join(by_reason(reasons))}", stacklevel=3)
    return frame


def enrich_files(
    paths: Sequence[Path], output: Path, settings: Settings, *, named: Sequence[str] = (), survey: str, each: Each
) -> EnrichedFile:
    """Run the science modules that the settings name on files of light curves, and write every column into a Parquet file.

    Parameters
    ----------
    named
        Those of the modules that were asked for by name, and must be able to run.
    """
    from fink.services.enrichment import write_enriched
    from fink.services.lightcurve_tables import read_tables

    work = _table_enrichment(settings.run.modules, named, settings, survey, each)(read_tables(paths))
    return write_enriched(work, each, settings.batch.alerts, output)


def _table_enrichment(
    modules: Sequence[str], named: Sequence[str], settings: Settings, survey: str, each: Each
) -> Callable[[pa.Table], TableEnrichment]:
    """Make what finds out what can be done for a light-curve table; no filter is looked at."""
    from fink.engines.plan import build_plan
    from fink.services.enrichment import TableEnrichment

    if each not in ("object", "epoch"):
        raise ConfigError(f"each is {each!r}; write object, for a row for each object, or epoch, for one for each detection")
    plan = build_plan(modules, artifacts=settings.artifacts, filter_registry={})
    return lambda table: TableEnrichment.of(table, plan, survey, named)


def files_source(
    arguments: Sequence[Path],
    settings: Settings,
    archive: EmbeddedArchive | None = None,
    *,
    again: bool = False,
    settled: float = 0.0,
) -> FilesSource:
    """Make a source of files and folders that goes on where earlier runs stopped."""
    from fink import surveys
    from fink.streams.files import POSITIONS, FilesSource

    surveys.configure(settings.surveys)
    progress = archive.position(POSITIONS) if archive is not None else {}
    return FilesSource(arguments, surveys.registry(), schema_of_id(settings), progress, again=again, settled=settled)


def watched_source(arguments: Sequence[Path], settings: Settings, archive: EmbeddedArchive) -> WatchedFiles:
    """Make a source of files and folders that goes on for ever, with what is put there."""
    from fink.streams.watch import SETTLED, WatchedFiles

    return WatchedFiles(lambda: files_source(arguments, settings, archive, settled=SETTLED))


def kafka_source(addresses: Sequence[str], settings: Settings, archive: EmbeddedArchive | None = None, *, follow: bool = False) -> Source:
    """Make a source of the Kafka topics that addresses name, which goes on where earlier runs stopped.

    Raises
    ------
    SourceError
        If a cluster does not answer or let this user in, or has no such topic.
    """
    from fink import surveys
    from fink.streams.kafka_consumer import KafkaReader, KafkaTopics
    from fink.streams.kafka_positions import POSITIONS as KAFKA_POSITIONS
    from fink.streams.kafka_source import KafkaSource
    from fink.streams.messages import MessageReader
    from fink.streams.several import SeveralSources

    surveys.configure(settings.surveys)
    find = schema_of_id(settings)
    progress = archive.position(KAFKA_POSITIONS) if archive is not None else {}
    sources = []
    for topics in map(KafkaTopics, addresses):
        reader = KafkaReader(settings.kafka_in, topics.servers)
        messages = MessageReader(surveys.registry(), find)
        sources.append(KafkaSource(topics, reader, messages, settings.kafka_in, progress, follow=follow))
    return sources[0] if len(sources) == 1 else SeveralSources(sources)


def topic_states(archive: EmbeddedArchive) -> list[dict[str, Any]]:
    """Say of each Kafka topic that an archive has read how much was still to come, and what was lost before it was read."""
    from fink.streams import kafka_positions

    return kafka_positions.topic_states(archive.position(kafka_positions.POSITIONS), archive.position(kafka_positions.GAPS))


def follower_states(archive: EmbeddedArchive) -> list[dict[str, Any]]:
    """Say of each follower how far it has delivered, how many commits it lags, and what it could not deliver."""
    last = archive.last_commit()
    return [
        {"follower": name, "commit": position.commit, "lag": last - position.commit, "undeliverable": dict(position.undeliverable)}
        for name, position in sorted(archive.followers().items())
    ]


def followers(archive: EmbeddedArchive, settings: Settings) -> list[Follower]:
    """Make the followers that the settings ask for."""
    from fink.streams.kafka_follower import KafkaFollower
    from fink.streams.substream_files import SubstreamFiles

    made: list[Follower] = []
    if settings.files.folder is not None:
        made.append(SubstreamFiles(archive, settings.files.folder, settings.files.format, settings.files.max_lag))
    if settings.kafka_out.servers:
        made.append(KafkaFollower(archive, settings.kafka_out))
    return made


def configured_followers(settings: Settings) -> list[str]:
    """Give the names of the followers that the settings ask for."""
    files = [f"files:{settings.files.folder.resolve()}"] if settings.files.folder is not None else []
    return [*files, *([f"kafka:{settings.kafka_out.name}"] if settings.kafka_out.servers else [])]


def forget_follower(archive: EmbeddedArchive, settings: Settings, name: str) -> dict[str, Any]:
    """Forget a follower that is not configured any more, and say what it had not delivered.

    Raises
    ------
    NotFoundError
        If the archive knows no such follower.
    ConfigError
        If the settings still ask for it.
    """
    states = {state["follower"]: state for state in follower_states(archive)}
    if name not in states:
        known = f"it knows {', '.join(states)}" if states else "it knows none"
        raise NotFoundError(f"the archive {settings.archive} knows no follower {name}{did_you_mean(name, states)}; {known}")
    if name in configured_followers(settings):
        raise ConfigError(f"the settings still ask for the follower {name}; take it out of them first, or it would begin anew")
    archive.forget_follower(name)
    return states[name]


def run(
    source: Source,
    archive: EmbeddedArchive,
    settings: Settings,
    on_commit: Callable[[Commit, RunSummary], None] = lambda commit, summary: None,
) -> RunSummary:
    """Run a source through the plan into the archive and on to the followers."""
    from fink.engines.embedded import EmbeddedEngine
    from fink.engines.workers import PlanRequest

    request = PlanRequest(settings.run.modules, settings.run.substreams, settings.archive, settings.surveys, settings.artifacts)
    with ExitStack() as ending:
        delivering = followers(archive, settings)
        for follower in delivering:
            ending.callback(follower.close)
        engine = EmbeddedEngine(
            archive,
            request.build(),
            request,
            settings.run,
            settings.batch,
            delivering,
            on_commit,
            handlers=request_handlers(archive, settings),
            users=settings.users,
        )
        return engine.run(source)


def replay_quarantine(archive: EmbeddedArchive, settings: Settings, identities: Sequence[str]) -> int:
    """Try to read quarantined items again; give the number of those that are archived now."""
    from fink import surveys
    from fink.engines.quarantine import replay_items
    from fink.engines.users import UserFilters
    from fink.streams.files import FilesSource

    surveys.configure(settings.surveys)
    find = schema_of_id(settings)
    plan = build_plan(settings)
    users = UserFilters(archive, plan, settings.users)
    users.follow()
    return replay_items(archive, plan, lambda path: FilesSource([path], surveys.registry(), find), settings.batch, identities, users)


def request_handlers(archive: EmbeddedArchive, settings: Settings) -> dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]:
    """Say what can be asked of a process that holds the archive, and how it is done."""
    from fink.config import SurveySettings

    def compact(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        archive.compact()
        return archive.stats()

    def replay(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        items = [item["id"] for item in archive.quarantine_items() if item["id"] in arguments["items"] or not arguments["items"]]
        # who asks leaves the password out, so that it is written nowhere
        chosen = {"registry_password": settings.surveys.registry_password} | arguments["surveys"]
        with_schemas = settings.model_copy(update={"surveys": SurveySettings(**chosen)})
        return {"tried": len(items), "archived": replay_quarantine(archive, with_schemas, items)}

    def forget(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return forget_follower(archive, settings, arguments["follower"])

    return {"compact": compact, "replay": replay, "forget": forget}


def ask(settings: Settings, kind: str, arguments: Mapping[str, Any], seconds: float = 3600) -> Mapping[str, Any]:
    """Do something that writes to the archive: here where nobody holds it, else by asking the run that does.

    Raises
    ------
    ArchiveError
        If there is no archive, or the run refuses or does not answer.
    """
    from fink.archive.requests import Requests

    if not (settings.archive / "archive.json").exists():
        raise ArchiveError(f"there is no archive in {settings.archive}; create one with fink run, or name another folder")
    try:
        archive = open_archive(settings)
    except HeldError:
        requests = Requests(settings.archive)
        return requests.wait_for(requests.ask(kind, arguments), seconds)
    with archive:
        return request_handlers(archive, settings)[kind](arguments)


def component(
    name: str, folder: Path | None = None, *, port: int = 0, users: Mapping[str, str] | None = None, tls: bool = False
) -> Component:
    """Give a server that Fink can fetch, start, check and stop, by its name.

    Raises
    ------
    ConfigError
        If there is none of this name.
    """
    from fink.services.kafka_server import KafkaServer

    known = {"kafka": KafkaServer}
    if name not in known:
        raise ConfigError(f"there is no server {name}{did_you_mean(name, known)}; there is {', '.join(known)}")
    return known[name](folder or Path("fink-services") / name, port, users, tls=tls)
