"""What Kafka messages hold: each is one container file with its schema, or one record behind the number of its schema.

The bytes of many messages are laid into one buffer, once; the records are found there and stay there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fink.codecs.containers import MAGIC, KnownHeaders, Records, confluent_ids, container_of, read_containers
from fink.commits import UNKNOWN_NIGHT
from fink.errors import PacketError, RegistryError, SchemaError
from fink.streams import Allocate
from fink.streams.recognition import MOST_NUMBERS, Recogniser, SchemaOfId
from fink.surveys import Survey
from fink.tables import PADDING, Packets

MOST_QUARANTINED = 1 << 26
"""Bytes of one unreadable message that the quarantine keeps at most; the rest stays with Kafka for as long as it keeps it."""

PREFIX = 5
UNREADABLE = -1
"""What stands for the survey of a message that holds no readable alert."""


@dataclass(frozen=True)
class Unreadable:
    """A message, or a record in one, that is no readable alert: number of the message, why, and what the quarantine keeps."""

    message: int
    reason: str
    body: bytes


@dataclass(frozen=True)
class Contents:
    """What ``m`` messages hold.

    Attributes
    ----------
    buffer
        uint8, the messages behind one another.
    message, starts, ends, writer
        (n,) for each record the number of its message, its range in the buffer, and the number of its schema.
    survey, night
        (m,) of each message: number of the survey (`UNREADABLE` where no record can be read), and the night.
    unreadable
        What cannot be read.
    """

    buffer: NDArray[np.uint8]
    message: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    writer: NDArray[np.int32]
    survey: NDArray[np.int64]
    night: NDArray[np.int64]
    unreadable: tuple[Unreadable, ...]


@dataclass
class _Rows:
    """Records that were found, part by part."""

    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], bytes]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    def add(self, schema: bytes, message: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        if len(message):
            self.parts.append((message, starts, ends, schema))


class MessageReader:
    """Finds the alerts in messages.

    Parameters
    ----------
    surveys
        The surveys whose packets are known.
    schema_of_id
        Finds the schema of a packet that names only its number.
    """

    def __init__(self, surveys: Mapping[str, Survey], schema_of_id: SchemaOfId) -> None:
        self.names = tuple(surveys)
        self._recogniser = Recogniser(surveys, schema_of_id)
        self._known = KnownHeaders()

    def read(self, values: Sequence[bytes | None], allocate: Allocate) -> Contents:
        """Lay messages into one buffer and find their records; None is a message without a value.

        Raises
        ------
        RegistryError
            If a schema is asked for that only the registry has, and it does not answer.
        """
        bodies = [value or b"" for value in values]
        buffer, starts, ends = _lay_out(bodies, allocate)
        rows = _Rows()
        contained = _begins_with(buffer, starts, ends, MAGIC)
        loose = self._read_containers(buffer, starts, ends, np.flatnonzero(contained), rows)
        if loose:
            # blocks that were packed have been unpacked elsewhere: they follow the messages in the buffer
            payloads = [part.buffer[: part.ends[-1]].tobytes() for part in loose]
            buffer, all_starts, _ = _lay_out([*bodies, *payloads], allocate)
            for part, origin in zip(loose, all_starts[len(bodies) :], strict=True):
                rows.add(part.schema.text, part.file, part.starts + origin, part.ends + origin)
        self._read_framed(buffer, starts, ends, np.flatnonzero(~contained), rows)
        return self._contents(buffer, rows, len(bodies))

    def _read_containers(
        self, buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], which: NDArray[np.int64], rows: _Rows
    ) -> list[Records]:
        """Find the records of container files; give those that lie in a buffer of their own, told by the number of their message."""
        if not len(which):
            return []
        records, broken = read_containers(buffer, starts[which], ends[which], self._known)
        for part in records:
            if part.buffer is buffer:
                rows.add(part.schema.text, which[part.file], part.starts, part.ends)
        for item in broken:
            message = int(which[item.file])
            # the whole message, so that it can be read again
            body = buffer[starts[message] : min(ends[message], starts[message] + MOST_QUARANTINED)].tobytes()
            rows.unreadable.append(Unreadable(message, item.reason, body))
        loose = [part for part in records if part.buffer is not buffer and len(part.starts)]
        return [Records(part.schema, part.buffer, part.starts, part.ends, which[part.file]) for part in loose]

    def _read_framed(
        self, buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], which: NDArray[np.int64], rows: _Rows
    ) -> None:
        """Find records behind the number of their schema, and bare ones."""
        if not len(which):
            return
        numbers = confluent_ids(buffer, starts[which], ends[which])
        for number in np.unique(numbers).tolist():
            chosen = which[numbers == number]
            try:
                if not 0 < number < MOST_NUMBERS:
                    raise SchemaError(f"{number} is no number of a schema")
                schema = self._recogniser.schema_of_id(number)
            except RegistryError:
                raise
            except SchemaError:
                self._read_bare(buffer, starts, ends, chosen, rows)
                continue
            rows.add(schema, chosen, starts[chosen] + PREFIX, ends[chosen])

    def _read_bare(
        self, buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], which: NDArray[np.int64], rows: _Rows
    ) -> None:
        """Find out one by one what messages are that announce themselves in no known way; such are few."""
        for message in which.tolist():
            body = buffer[starts[message] : ends[message]].tobytes()
            try:
                if not body:
                    raise PacketError("the message is empty")
                schema, skipped = self._recogniser.bare_schema(body)
            except RegistryError:
                raise
            except (PacketError, SchemaError) as error:
                rows.unreadable.append(Unreadable(message, str(error), body[:MOST_QUARANTINED]))
                continue
            one = np.array([message])
            rows.add(schema, one, starts[one] + skipped, ends[one])

    def _contents(self, buffer: NDArray[np.uint8], rows: _Rows, count: int) -> Contents:
        """Tell of each record the night, and of each message the survey and night; refuse what has none or several."""
        survey, night = np.full(count, UNREADABLE, np.int64), np.full(count, UNKNOWN_NIGHT, np.int64)
        mixed = np.zeros(count, np.bool_)
        kept: list[tuple[NDArray[np.int64], ...]] = []
        for message, starts, ends, schema in rows.parts:
            writer = self._recogniser.writer(schema)
            nights = np.full(len(message), UNKNOWN_NIGHT, np.int64)
            for bad, reason in self._nights(schema, buffer, starts, ends, nights):
                body = container_of(schema, buffer[starts[bad] : ends[bad]].tobytes())
                rows.unreadable.append(Unreadable(int(message[bad]), reason, body))
            good = np.flatnonzero(nights != UNKNOWN_NIGHT)
            known = message[good]
            first = survey[known] == UNREADABLE
            survey[known[first]], night[known[first]] = writer.survey, nights[good][first]
            mixed[known[(survey[known] != writer.survey) | (night[known] != nights[good])]] = True
            kept.append((known, starts[good], ends[good], np.full(len(good), writer.number, np.int64)))
        if mixed.any():
            kept = [tuple(column[~mixed[part[0]]] for column in part) for part in kept]
            rows.unreadable += list(self._refuse_mixed(buffer, rows, mixed))
            survey[mixed], night[mixed] = UNREADABLE, UNKNOWN_NIGHT
        message, starts, ends, writers = (np.concatenate(column) for column in zip(*kept, strict=True)) if kept else (_none(),) * 4
        order = np.argsort(message, kind="stable")
        ordered = (message[order], starts[order], ends[order], writers[order].astype(np.int32))
        return Contents(buffer, *ordered, survey, night, tuple(sorted(rows.unreadable, key=lambda item: item.message)))

    def _nights(
        self, schema: bytes, buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], nights: NDArray[np.int64]
    ) -> Iterator[tuple[int, str]]:
        """Fill in the nights of records of one schema; give those that have none, with the reason."""
        writer = self._recogniser.writer(schema)
        if writer.refusal:
            yield from ((row, writer.refusal) for row in range(len(starts)))
            return
        packets = Packets(buffer, starts, ends, np.zeros(len(starts), np.int32), (schema,))
        nights[:], refusals = self._recogniser.surveys[writer.survey].nights(packets)
        yield from ((refusal.row, refusal.reason) for refusal in refusals)

    @staticmethod
    def _refuse_mixed(buffer: NDArray[np.uint8], rows: _Rows, mixed: NDArray[np.bool_]) -> Iterator[Unreadable]:
        """Refuse messages of which one would belong into several batches; a survey sends one alert in each."""
        for message, starts, ends, schema in rows.parts:
            for row in np.flatnonzero(mixed[message]).tolist():
                body = container_of(schema, buffer[starts[row] : ends[row]].tobytes())
                yield Unreadable(int(message[row]), "its message holds alerts of several nights or surveys", body)

    def packets(self, contents: Contents, rows: NDArray[np.int64]) -> Packets:
        """Give records as packets; they share the buffer."""
        used, schema = np.unique(contents.writer[rows], return_inverse=True)
        schemas = tuple(self._recogniser.schemas[i] for i in used)
        return Packets(contents.buffer, contents.starts[rows], contents.ends[rows], schema.astype(np.int32), schemas)


def _none() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


def _lay_out(bodies: Sequence[bytes], allocate: Allocate) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Put bodies behind one another; give the memory and where each begins and ends."""
    ends = np.cumsum([len(body) for body in bodies], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    buffer = allocate(int(ends[-1]) + PADDING)
    view = buffer.data
    for body, start, end in zip(bodies, starts.tolist(), ends.tolist(), strict=True):
        view[start:end] = body
    return buffer, starts, ends


def _begins_with(buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], beginning: bytes) -> NDArray[np.bool_]:
    """Say which messages begin with these bytes."""
    same = ends - starts >= len(beginning)
    for place, byte in enumerate(beginning):
        same &= buffer[starts + place] == byte
    return same
