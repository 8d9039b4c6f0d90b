"""Typed settings: `fink.toml`, the environment (``FINK_…``) and the command line make one checked tree."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from fink.errors import ConfigError, did_you_mean

_KEEP = re.compile(r"all|none|selected|last:\d+(\.\d+)?GB\Z")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _split(value: Any) -> Any:
    """Take a,b from the command line."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


class BatchSettings(_Section):
    """When a batch closes: whichever comes first; where it closes changes no result."""

    alerts: int = Field(4000, ge=1, le=100_000, description="Alerts in a batch at most")
    megabytes: float = Field(64, gt=0, le=1024, description="Megabytes of packets in a batch at most")
    seconds: float = Field(0.25, gt=0, le=60, description="Seconds that a batch waits for more alerts at most")


class RunSettings(_Section):
    """How `fink run` works through a source."""

    workers: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 8),
        ge=0,
        le=256,
        description="Processes that compute; 0 computes in the committing process",
    )
    timeout: float = Field(300, gt=0, description="Seconds after which a worker that does not answer is taken to hang")
    modules: tuple[str, ...] = Field((), description="Science modules to run; none named means all")
    substreams: tuple[str, ...] = Field((), description="Substreams to select; none named means all")

    @field_validator("modules", "substreams", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        return _split(value)


class RetentionSettings(_Section):
    """What the archive keeps, and when it compacts."""

    packets: str = Field("all", description="Packets and stamps to keep: all, selected, none, or the newest, as last:50GB")
    compact_rows: int = Field(200_000, ge=1, description="Rows in open segments of a night that start a compaction")
    cache_megabytes: int = Field(512, ge=8, description="Memory for the index's block cache [MB]")

    @field_validator("packets")
    @classmethod
    def _known_retention(cls, value: str) -> str:
        if not _KEEP.match(value):
            raise ValueError(f"{value!r} is no retention; write all, selected, none, or last:50GB")
        return value


class UserSettings(_Section):
    """What users' own substreams may cost and take: what is beyond is refused when one is created, or paused while it runs."""

    per_owner: int = Field(100, ge=0, description="Substreams that one owner may have switched on")
    changes_per_hour: int = Field(120, ge=0, description="Changes that one owner may make in an hour")
    most_per_night: int = Field(20_000, ge=1, description="Alerts that a substream may take in a night at most, by its owner's choice")
    microseconds: float = Field(10, gt=0, description="Processor time that one substream may take [us an alert]")
    total_microseconds: float = Field(100, gt=0, description="Processor time that all of them may take together [us an alert]")
    positions: int = Field(1_000_000, ge=1, description="Positions of a watchlist at most")


class FilesSettings(_Section):
    """Where committed substreams are written as files."""

    folder: Path | None = Field(None, description="Folder of the substream files; none means no files")
    format: Literal["jsonl", "avro"] = Field("jsonl", description="Form of the substream files")
    max_lag: int = Field(0, ge=0, description="Commits the files may lag before they hold back the stream; 0 never holds back")


class KafkaConnection(_Section):
    """How a Kafka cluster is reached."""

    servers: str = Field("", description="Kafka servers, as host:port,host:port")
    protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="Whether the connection is encrypted (ssl) and its user logs in (sasl)"
    )
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field("SCRAM-SHA-512", description="How a user logs in")
    username: str = Field("", description="Who logs in")
    password: SecretStr = Field(SecretStr(""), description="Password; better from the environment than in a file")
    ca: Path | None = Field(None, description="Certificates of those who vouch for the servers (PEM); none means the system's")
    certificate: Path | None = Field(None, description="Own certificate, where the servers ask for one (PEM)")
    key: Path | None = Field(None, description="Private key of that certificate (PEM)")

    def client(self) -> dict[str, str]:
        """Give the settings with which a librdkafka client reaches the cluster."""
        settings = {"bootstrap.servers": self.servers, "security.protocol": self.protocol}
        if "sasl" in self.protocol:
            settings |= {"sasl.mechanism": self.mechanism, "sasl.username": self.username}
            settings["sasl.password"] = self.password.get_secret_value()
        files = {"ssl.ca.location": self.ca, "ssl.certificate.location": self.certificate, "ssl.key.location": self.key}
        return settings | {name: str(path) for name, path in files.items() if path is not None}


class KafkaInSettings(KafkaConnection):
    """Where alerts come from that a survey sends through Kafka."""

    servers: str = Field("", description="Kafka servers that the alerts come from, where the source's address names none")
    group: str = Field("fink", description="Name of the consumer group, where access lists ask for one; no offset is kept under it")
    start: str = Field(
        "earliest",
        description="Where partitions begin that the archive does not know: earliest, latest, a time as 2026-11-21T00:00Z, or an offset",
    )
    gaps: Literal["continue", "stop"] = Field(
        "continue", description="What to do where the cluster deleted messages before they were read; the ledger tells of it"
    )
    timeout: float = Field(30, gt=0, description="Seconds that a cluster may take to answer at the start, or to let a user in")
    outage: float = Field(
        600, ge=0, description="Seconds that a cluster or schema registry may be away before the run stops; 0 waits for ever"
    )
    discover: float = Field(30, gt=0, description="Seconds between two looks for new partitions and topics that match a pattern")
    queue_megabytes: float = Field(128, gt=0, le=2000, description="Megabytes of messages that are fetched ahead")
    clusters: dict[str, KafkaConnection] = Field(
        default={}, description="Further clusters by name, each with the settings of a connection; kafka://NAME/TOPIC reads one"
    )

    def cluster(self, name: str) -> KafkaInSettings:
        """Give these settings with the connection of a cluster that has a name here; of any other name they are as they are."""
        connection = self.clusters.get(name)
        return self if connection is None else self.model_copy(update=dict(connection))

    @field_validator("start")
    @classmethod
    def _known_start(cls, value: str) -> str:
        if value not in ("earliest", "latest") and not value.isdecimal():
            try:
                datetime.fromisoformat(value)
            except ValueError as error:
                raise ValueError(f"{value!r} is no start; write earliest, latest, a time as 2026-11-21T00:00:00Z, or an offset") from error
        return value


class KafkaOutSettings(KafkaConnection):
    """Where committed substreams are sent: topics of a Kafka cluster, each alert in each once."""

    servers: str = Field("", description="Kafka servers that take the substreams, as host:port,host:port; none means no topics")
    name: str = Field(
        "fink", pattern=r"^[a-zA-Z0-9._-]{1,100}$", description="Name of this broker among those that send to the same cluster"
    )
    start: Literal["first", "now"] = Field(
        "first", description="Where a new name begins: at the archive's first commit, or behind its last"
    )
    positions: str = Field("fink_positions", description="Topic that keeps how far each broker has come")
    partitions: int = Field(10, ge=1, le=1000, description="Partitions of new topics; an object's alerts stay in one")
    replicas: int = Field(1, ge=1, le=10, description="Copies of new topics that the cluster keeps")
    retention_days: float = Field(7, gt=0, description="Days that new topics keep their messages")
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field("zstd", description="How messages are compressed")
    message_megabytes: float = Field(10, gt=0, le=1000, description="Largest message [MB]; larger alerts are counted as undeliverable")
    timeout: float = Field(
        60, ge=5, le=600, description="Seconds after which a delivery that is not confirmed is broken off and tried again"
    )
    max_lag: int = Field(0, ge=0, description="Commits the topics may lag before they hold back the stream; 0 never holds back")
    patience: float = Field(
        120, ge=0, description="Seconds without progress after which a run that has come to its end gives up delivering"
    )


class SurveySettings(_Section):
    """Where the schemas of packets that carry none are found, and what a packet does not say of itself."""

    schemas: Path | None = Field(None, description="Folder of Avro schemas (.avsc), beside the built-in field tables")
    registry: str = Field("", description="URL of a Confluent-compatible schema registry")
    registry_username: str = Field("", description="Who logs in to the schema registry; empty where nobody needs to")
    registry_password: SecretStr = Field(SecretStr(""), description="Password for it; better from the environment than in a file")
    elasticc_flux_unit: Literal["nJy", "FLUXCAL"] = Field("nJy", description="Unit of the fluxes in ELAsTiCC packets")


class ServeSettings(_Section):
    """How `fink serve` answers."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 listens on all")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    survey: Literal["lsst", "ztf"] = Field("lsst", description="Survey whose routes answer under /api/v1")
    readers: int = Field(4, ge=1, le=64, description="Questions that are answered at the same time")
    anonymous: tuple[Literal["read", "write", "order"], ...] = Field(
        ("read",), description="What is allowed without a token: read; order adds jobs, transfers and large cross-matches"
    )
    costly_per_minute: int = Field(
        300, ge=0, description="Costly questions (trials, cross-matches, orders) that a token may ask in a minute"
    )
    anonymous_costly_per_minute: int = Field(60, ge=0, description="The same, for an address that sends no token")
    jobs_at_once: int = Field(8, ge=0, description="Jobs of one token that may wait or run")
    anonymous_jobs_at_once: int = Field(2, ge=0, description="The same, for an address that sends no token")
    rows_per_day: int = Field(100_000_000, ge=0, description="Rows of results that a token may have in a day (UTC)")
    anonymous_rows_per_day: int = Field(1_000_000, ge=0, description="The same, for an address that sends no token")
    upload_megabytes: float = Field(200, gt=0, description="Largest table that may be sent [MB]")
    job_days: float = Field(3, gt=0, description="Days that the result of a job is kept")
    job_seconds: float = Field(3600, gt=0, description="Seconds after which a job is stopped")
    job_workers: int = Field(1, ge=0, le=64, description="Jobs that are carried out at the same time; 0 leaves them to another server")
    job_gigabytes: float = Field(50, gt=0, description="Gigabytes that the results of all jobs may take")

    @field_validator("anonymous", mode="before")
    @classmethod
    def _split_scopes(cls, value: Any) -> Any:
        return _split(value)


class NetworkSettings(_Section):
    """Services on the network that may be asked while a question is answered; none is, unless it is named here."""

    sesame: str = Field("", description="Sesame at CDS, for names that no local table has, as https://cds.unistra.fr/cgi-bin/nph-sesame")
    quaero: str = Field("", description="SsODNet, for names of solar-system objects, as https://api.ssodnet.imcce.fr/quaero/1/sso")
    gracedb: str = Field("", description="GraceDB, for sky maps by the event's name, as https://gracedb.ligo.org")
    timeout: float = Field(5, gt=0, le=60, description="Seconds that such a service may take to answer")


class VoSettings(_Section):
    """What the Virtual Observatory's services give, and what a query may take."""

    rows: int = Field(10_000, ge=1, description="Rows of an answer where the question does not say how many (MAXREC)")
    most_rows: int = Field(1_000_000, ge=1, description="Rows of an answer at most, whatever the question says")
    most_values: int = Field(50_000_000, ge=1000, description="Values, rows times columns, of an answer at most")
    seconds: float = Field(60, gt=0, le=3600, description="Seconds that a query may take")
    megabytes: int = Field(2048, ge=64, description="Memory that a query may take [MB]")
    threads: int = Field(2, ge=1, le=64, description="Cores that a query may use")
    queries: int = Field(2, ge=1, le=64, description="Queries that are answered at the same time; further ones are asked to come back")
    radius: float = Field(5.0, gt=0, le=5, description="Largest radius of a cone search [deg]")


class Settings(BaseSettings):
    """All settings of Fink, from the command line, the environment, then ``fink.toml``; the first that says wins."""

    model_config = SettingsConfigDict(env_prefix="FINK_", env_nested_delimiter="__", extra="forbid", frozen=True)

    archive: Path = Field(Path("fink-archive"), description="Folder of the archive")
    artifacts: Path = Field(Path("fink-artifacts"), description="Folder of the maps, catalogues and models that science modules read")
    batch: BatchSettings = Field(default_factory=BatchSettings)
    run: RunSettings = Field(default_factory=RunSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    users: UserSettings = Field(default_factory=UserSettings)
    files: FilesSettings = Field(default_factory=FilesSettings)
    kafka_in: KafkaInSettings = Field(default_factory=KafkaInSettings)
    kafka_out: KafkaOutSettings = Field(default_factory=KafkaOutSettings)
    surveys: SurveySettings = Field(default_factory=SurveySettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)
    vo: VoSettings = Field(default_factory=VoSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment before what the file gave, which arrives through `load_settings`."""
        return env_settings, init_settings


def load_settings(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    file
        A TOML file; without one, ``fink.toml`` in the working folder where it exists.
    overrides
        What the command line says, as dotted names (``run.workers``); these win.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is of the wrong kind; the message names the key, the value and the remedy.
    """
    tree = _read_toml(file)
    _refuse_unknown_variables()
    try:
        settings = Settings(**tree)
        for name, value in (overrides or {}).items():
            settings = _with_override(settings, name, value)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error
    return settings


def _read_toml(file: Path | None) -> dict[str, Any]:
    path = file or Path("fink.toml")
    if file is None and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"there is no settings file {path}; name one that exists, or none") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _with_override(settings: Settings, name: str, value: Any) -> Settings:
    """Give the settings with one dotted name changed, checked like everything else."""
    if name not in setting_names():
        raise ConfigError(f"there is no setting {name}{did_you_mean(name, setting_names())}")
    section, _, key = name.partition(".")
    if not key:
        return Settings.model_construct(**{**settings.__dict__, section: Path(value)})
    model = getattr(settings, section)
    try:
        changed = type(model)(**{**model.model_dump(), key: value})
    except ValidationError as error:
        raise ConfigError(_explain(error, section)) from error
    return Settings.model_construct(**{**settings.__dict__, section: changed})


def setting_names() -> list[str]:
    """Give the dotted name of every setting."""
    names = []
    for name, info in Settings.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            names += [f"{name}.{key}" for key in section.model_fields]
        else:
            names.append(name)
    return names


def _refuse_unknown_variables() -> None:
    known = {"FINK_" + name.replace(".", "__").upper() for name in setting_names()}
    for variable in os.environ:
        if variable.startswith("FINK_KAFKA_IN__CLUSTERS__"):
            # the names of clusters are the user's own; what follows them is checked with the rest
            continue
        if variable.startswith("FINK_") and "__" in variable and variable not in known:
            raise ConfigError(f"there is no setting for the environment variable {variable}{did_you_mean(variable, known)}")


def _explain(error: ValidationError, *section: str) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in (*section, *problem["loc"]))
        if problem["type"] == "extra_forbidden":
            lines.append(f"there is no setting {name}{did_you_mean(name, setting_names())}")
        else:
            lines.append(f"setting {name} = {problem['input']!r}: {problem['msg']}")
    return "; ".join(lines)
