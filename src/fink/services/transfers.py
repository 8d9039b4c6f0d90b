"""Transfers: a past selection of alerts, sent to a Kafka topic of its own, as packets or as chosen columns.

A transfer is fixed when it is ordered: what is selected, and the commit up to which. Whoever carries it out, and however often it is
broken off, sends the same messages in the same order (`fink.streams.kafka_transfer`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fink import filters, surveys
from fink.archive.embedded import EmbeddedArchive
from fink.archive.rows import declared_columns
from fink.archive.state import State
from fink.codecs.encode import AvroField, AvroType, encode_fields
from fink.conditions import Condition, parse_condition
from fink.config import KafkaOutSettings
from fink.errors import FollowerError, NotFoundError, RequestError, did_you_mean
from fink.services.trials import vocabulary
from fink.streams.kafka_transfer import TransferTopic, remove
from fink.streams.output_packets import output_packets
from fink.surveys.public import public_columns, published
from fink.tables import Packets

BATCH = 500
"""Alerts that are read at a time."""

ALWAYS_SENT = ("alert_id", "object_id", "mjd", "ztf_jd")
"""Columns that clients sort and name their files by, sent whatever is asked, as far as the survey has them."""

_AVRO: Mapping[pa.DataType, AvroType] = {
    pa.float32(): "float",
    pa.float64(): "double",
    pa.int8(): "int",
    pa.int16(): "int",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.bool_(): "boolean",
    pa.string(): "string",
}


@dataclass(frozen=True)
class Selection:
    """Which alerts are wanted, and what of them.

    Parameters
    ----------
    survey
        Name of the survey.
    start, stop
        First and last night, as YYYYMMDD.
    substream, where
        A substream that took them, a condition that holds for them.
    objects
        Objects that they belong to.
    positions, radius
        Places around which they lie [deg], and how near [arcsec].
    columns
        Columns that are sent, by public name; none sends whole packets.
    limit
        How many at most, 0 for all.
    """

    survey: str
    start: int = 0
    stop: int = 99999999
    substream: str = ""
    where: str = ""
    objects: tuple[str, ...] = ()
    positions: tuple[tuple[float, float], ...] = ()
    radius: float = 2.0
    columns: tuple[str, ...] = ()
    limit: int = 0

    def condition(self) -> Condition | None:
        """Parse the condition.

        Raises
        ------
        ConditionError
            If it does not parse or names what does not exist.
        """
        if not self.where:
            return None
        types = {name: column.type for name, column in vocabulary().items()}
        return parse_condition(self.where, types, {name: cut.where for name, cut in filters.named_cuts().items()})

    def check(self) -> None:
        """Refuse what cannot be selected.

        Raises
        ------
        RequestError
            If the survey or a column is not known, or the dates are the wrong way round.
        ConditionError
            If the condition does not parse.
        """
        if self.survey not in surveys.registry():
            raise RequestError(f"there is no survey {self.survey}{did_you_mean(self.survey, surveys.registry())}")
        if self.start > self.stop:
            raise RequestError(f"the first night {self.start} is after the last {self.stop}; give nights as YYYYMMDD, the earlier first")
        known = public_columns(self.survey, declared_columns().values())
        for name in self.columns:
            if name not in known:
                raise RequestError(f"there is no column {name}{did_you_mean(name, known)}")
        if sum(map(bool, (self.substream, self.objects, self.positions))) > 1:
            raise RequestError(
                "a substream, objects and positions are three ways to begin a selection; give one, and a condition beside it"
            )
        self.condition()

    def alerts(self, archive: EmbeddedArchive, commit: int) -> pa.Table:
        """Give what is selected as of a commit, in an order that does not change: by night, time and number."""
        found = self._candidates(archive)
        if not found.num_rows:
            return found
        inside = pc.and_(pc.greater_equal(found["night"], self.start), pc.less_equal(found["night"], self.stop))
        inside = pc.and_(inside, pc.and_(pc.equal(found["survey"], self.survey), pc.less_equal(found["commit"], commit)))
        found = found.filter(inside)
        condition = self.condition()
        if condition is not None and found.num_rows and self.begins_with_places:
            found = found.filter(pa.array(condition.mask(archive.wide(found, sorted({*condition.columns, "alert_id"})))))
        found = found.sort_by([(name, "ascending") for name in ("night", "mjd", "alert_id")])
        return found.slice(0, self.limit) if self.limit else found

    @property
    def begins_with_places(self) -> bool:
        """Whether it begins with a substream, objects or positions, which the index knows; else the lake is asked."""
        return bool(self.substream or self.objects or self.positions)

    def query(self, what: str) -> tuple[str, dict[str, Any]]:
        """Write its survey, nights and condition as SQL, with the values that belong to it.

        Parameters
        ----------
        what
            Columns or counts, as SQL.
        """
        condition = self.condition()
        text = f"SELECT {what} FROM alerts WHERE survey = $survey AND night BETWEEN $start AND $stop"
        text += f" AND ({condition.to_sql()})" if condition else ""
        return text, {"survey": self.survey, "start": self.start, "stop": self.stop}

    def _candidates(self, archive: EmbeddedArchive) -> pa.Table:
        names = ["survey", "night", "alert_id", "object_id", "mjd", "commit"]
        if self.substream:
            return archive.substream(self.substream).select(names)
        if self.objects:
            parts = [archive.object_alerts(name, self.survey).select(names) for name in self.objects]
            return pa.concat_tables(parts, promote_options="permissive")
        if self.positions:
            parts = [archive.cone(ra, dec, self.radius, self.survey).select(names) for ra, dec in self.positions]
            return _distinct(pa.concat_tables(parts, promote_options="permissive"))
        return archive.sql(*self.query(", ".join(names)))


def _distinct(alerts: pa.Table) -> pa.Table:
    _, first = np.unique(alerts["alert_id"].to_numpy(), return_index=True)
    return alerts.take(pa.array(np.sort(first)))


@dataclass(frozen=True)
class Job:
    """A transfer that was ordered.

    Parameters
    ----------
    commit
        Commit up to which alerts are sent.
    topics
        Topics that it fills: one for each schema, since a client reads a topic with one.
    total, sent
        Alerts selected, and sent so far.
    missing
        Alerts of whose packets nothing is kept.
    """

    name: str
    selection: Selection
    commit: int
    state: str = "ordered"
    total: int = 0
    sent: int = 0
    missing: int = 0
    topics: tuple[str, ...] = ()
    message: str = ""
    ordered: float = field(default_factory=time.time)
    expires: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Give it as it is shown."""
        chosen = {name: value for name, value in asdict(self.selection).items() if value not in ("", 0, (), [])}
        shown = {name: value for name, value in asdict(self).items() if name not in ("selection", "ordered", "expires")}
        moments = {name: time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(getattr(self, name))) for name in ("ordered", "expires")}
        return {**shown, **moments, "selection": chosen}


class Transfers:
    """The transfers of one archive.

    Parameters
    ----------
    state
        Where they are written down.
    settings
        The cluster that they are sent to.
    """

    def __init__(self, state: State, settings: KafkaOutSettings) -> None:
        self._state, self._settings = state, settings

    def order(self, selection: Selection, archive: EmbeddedArchive, days: float = 7.0) -> Job:
        """Write a transfer down.

        Parameters
        ----------
        days
            Days that its topics are kept [d].

        Raises
        ------
        RequestError, ConditionError
            If it cannot be selected (`Selection.check`).
        """
        selection.check()
        name = f"ftransfer_{selection.survey}_{time.strftime('%Y-%m-%d', time.gmtime())}_{uuid.uuid4().hex[:8]}"
        job = Job(name, selection, archive.last_commit(), expires=time.time() + days * 86400)
        with self._state.connection() as connection:
            connection.execute("INSERT INTO transfers (name, state, job) VALUES (?, ?, ?)", (name, job.state, _written(job)))
        return job

    def jobs(self) -> list[Job]:
        """Give all transfers, the newest first."""
        if not self._state.exists:
            return []
        with self._state.connection() as connection:
            rows = connection.execute("SELECT job, state FROM transfers").fetchall()
        return sorted((_read(*row) for row in rows), key=lambda job: -job.ordered)

    def get(self, name: str) -> Job:
        """Give one transfer.

        Raises
        ------
        NotFoundError
            If there is none of this name.
        """
        known = {job.name: job for job in self.jobs()}
        if name not in known:
            raise NotFoundError(f"there is no transfer {name}{did_you_mean(name, known)}; fink transfer list shows all")
        return known[name]

    def cancel(self, name: str) -> Job:
        """Have a transfer stopped, by whoever carries it out, and take its topics away."""
        job = self.get(name)
        if job.state not in ("ordered", "running", "failed"):
            raise RequestError(f"the transfer {name} is {job.state}; there is nothing to cancel")
        self._set(name, "cancelled")
        for topic in job.topics:
            remove(self._settings, topic)
        return self.get(name)

    def expire(self, now: float | None = None) -> list[str]:
        """Take away the topics of transfers whose time is over; give their names."""
        late = [job for job in self.jobs() if job.expires < (time.time() if now is None else now) and job.state != "expired"]
        for job in late:
            for topic in job.topics:
                remove(self._settings, topic)
            self._set(job.name, "expired")
        return [job.name for job in late]

    def carry_out(self, name: str, archive: EmbeddedArchive, told: Callable[[Job], None] = lambda job: None) -> Job:
        """Send a transfer, from where it was broken off.

        Parameters
        ----------
        told
            Told of it after each batch.

        Raises
        ------
        FollowerError
            If the cluster refuses or is away; it can be carried out again later.
        RequestError
            If it was cancelled or is over.
        """
        job = self.get(name)
        if job.state in ("cancelled", "expired"):
            raise RequestError(f"the transfer {name} is {job.state}; order it again")
        alerts = job.selection.alerts(archive, job.commit)
        job = replace(job, total=alerts.num_rows, sent=0, missing=0, topics=(), state="running")
        topics: dict[bytes, TransferTopic] = {}
        try:
            for first in range(0, alerts.num_rows, BATCH):
                job = self._send(job, archive, alerts.slice(first, BATCH), topics)
                if self._note(job) == "cancelled":
                    return self.cancelled(job)
                told(job)
            for topic in topics.values():
                topic.close()
        except FollowerError:
            # whoever cancels it takes its topics away, which the cluster refuses to fill then
            if self._note(replace(job, state="failed", message="broken off; fink transfer resume goes on")) == "cancelled":
                return self.cancelled(job)
            raise
        self._note(replace(job, state="done", message=_message(job)))
        return self.get(name)

    def _send(self, job: Job, archive: EmbeddedArchive, alerts: pa.Table, topics: dict[bytes, TransferTopic]) -> Job:
        """Send some alerts, each to the topic of its schema."""
        sent = 0
        for schema, value in _messages(archive, job.selection, alerts):
            if schema not in topics:
                topics[schema] = self._topic(job, len(topics))
                self._note(replace(job, topics=tuple(topic.name for topic in topics.values())))
                topics[schema].open(schema)
            topics[schema].send(value)
            sent += 1
        names = tuple(topic.name for topic in topics.values())
        return replace(job, topics=names, sent=job.sent + sent, missing=job.missing + alerts.num_rows - sent)

    def cancelled(self, job: Job) -> Job:
        """Take away the topics of a transfer that was cancelled while it was carried out."""
        for topic in job.topics:
            remove(self._settings, topic)
        return self.get(job.name)

    def _topic(self, job: Job, number: int) -> TransferTopic:
        days = max((job.expires - time.time()) / 86400, 0.01)
        return TransferTopic(job.name if number == 0 else f"{job.name}-{number + 1}", self._settings, days + 1)

    def _set(self, name: str, state: str) -> None:
        with self._state.connection() as connection:
            connection.execute("UPDATE transfers SET state = ? WHERE name = ?", (state, name))

    def _note(self, job: Job) -> str:
        """Write down how far a transfer is, unless it was cancelled; give its state."""
        with self._state.connection() as connection:
            (state,) = connection.execute("SELECT state FROM transfers WHERE name = ?", (job.name,)).fetchone()
            state = state if state == "cancelled" else job.state
            connection.execute("UPDATE transfers SET state = ?, job = ? WHERE name = ?", (state, _written(job), job.name))
        return str(state)


def _message(job: Job) -> str:
    several = f"{len(job.topics)} topics, one for each version of the packets" if len(job.topics) > 1 else ""
    without = f"{job.missing} alerts are left out, whose packets are not kept any more; ask for columns" if job.missing else ""
    return "; ".join(text for text in (several, without) if text)


def _written(job: Job) -> str:
    return orjson.dumps(asdict(job)).decode()


def _read(text: str, state: str) -> Job:
    values = orjson.loads(text)
    chosen = values.pop("selection")
    lists = {name: tuple(chosen[name]) for name in ("objects", "columns")}
    selection = Selection(**{**chosen, **lists, "positions": tuple((ra, dec) for ra, dec in chosen["positions"])})
    return Job(**{**values, "selection": selection, "topics": tuple(values["topics"]), "state": state})


def _messages(archive: EmbeddedArchive, selection: Selection, alerts: pa.Table) -> Iterator[tuple[bytes, bytes]]:
    """Give schema and value of each message, in the order of the alerts; those without a packet are left out."""
    rows = archive.wide(alerts)
    if selection.columns:
        yield from _columns(rows, selection)
        return
    found = [archive.packet(selection.survey, number) for number in alerts["alert_id"].to_pylist()]
    plans = [archive.commit(number).plan_id for number in alerts["commit"].to_pylist()]
    sent: dict[int, tuple[bytes, bytes]] = {}
    kinds = {(packet[1], plan) for packet, plan in zip(found, plans, strict=True) if packet}
    for schema, plan in kinds:
        mine = [i for i, packet in enumerate(found) if packet and packet[1] == schema and plans[i] == plan]
        bodies = Packets.from_bodies([packet[0] for i in mine if (packet := found[i])], schema)
        record = archive.plan(plan)
        chosen, survey = rows.take(pa.array(mine)), surveys.registry()[selection.survey]
        output = output_packets(chosen, bodies, record.columns, survey, record.versions)
        sent |= {i: (output.schemas[int(output.schema[row])], output.body(row)) for row, i in enumerate(mine)}
    yield from (sent[i] for i in sorted(sent))


def _columns(rows: pa.Table, selection: Selection) -> Iterator[tuple[bytes, bytes]]:
    """Give chosen columns, as flat records under public names without their prefix."""
    known = public_columns(selection.survey, declared_columns().values())
    always = [name for name, column in known.items() if column.name in ALWAYS_SENT]
    names = {name: known[name] for name in dict.fromkeys((*always, *selection.columns))}
    table = published(rows, selection.survey, names)
    table = table.rename_columns([name.rpartition(":")[2] for name in table.column_names])
    fields = [AvroField(name, _AVRO[table.schema.field(name).type]) for name in table.column_names]
    schema = orjson.dumps({"type": "record", "name": "alert", "fields": [_declared(each) for each in fields]})
    buffer, offsets = encode_fields(fields, table.combine_chunks())
    for row in range(table.num_rows):
        yield schema, buffer[offsets[row] : offsets[row + 1]].tobytes()


def _declared(each: AvroField) -> dict[str, Any]:
    return {"name": each.name, "type": ["null", each.type], "default": None}
