"""A substream, read from Kafka: each alert once, also after a break, without a consumer group."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import fastavro
import pyarrow as pa
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from fink.client.arrow import arrow_schema
from fink.errors import NotFoundError, SchemaError, SourceError, did_you_mean

_TIMEOUT = 30.0
"""Seconds that the cluster may take to answer [s]."""


class Substream:
    """Reads a topic that Fink fills, and remembers how far it came where you say so.

    Iterating gives alerts as dictionaries; `batches` gives Arrow tables. Both end when nothing came for ``wait`` seconds.

    Parameters
    ----------
    topic
        Name of the topic, as ``fink_fast_risers_ztf``.
    servers
        Kafka servers, as ``host:port,host:port``.
    checkpoint
        File that keeps how far you came; `save` writes it. None begins anew each time.
    start
        Where partitions begin that the checkpoint does not know: the ``earliest`` alert that is kept, or the ``latest``, which
        means only alerts that come from now on.
    wait
        Seconds without an alert after which reading ends; None goes on for ever [s].
    client
        More settings of the client, for a cluster where one logs in.

    Raises
    ------
    SourceError
        If the servers do not answer.
    NotFoundError
        If there is no such topic.
    """

    def __init__(
        self,
        topic: str,
        servers: str,
        *,
        checkpoint: Path | str | None = None,
        start: Literal["earliest", "latest"] = "earliest",
        wait: float | None = 10.0,
        client: Mapping[str, Any] | None = None,
    ) -> None:
        self.topic, self._wait = topic, wait
        self._checkpoint = Path(checkpoint) if checkpoint is not None else None
        self._schemas: dict[bytes, Any] = {}
        self._consumer = Consumer(
            {"log_level": 0, "fetch.wait.max.ms": 100, **(client or {}), "bootstrap.servers": servers}
            | {"group.id": "fink-client", "enable.auto.commit": False, "isolation.level": "read_committed"}
        )
        with ExitStack() as undo:
            undo.callback(self._consumer.close)
            self._offsets = self._first_offsets(servers, OFFSET_END if start == "latest" else OFFSET_BEGINNING)
            undo.pop_all()
        self._consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in self._offsets.items()])

    def _first_offsets(self, servers: str, default: int) -> dict[int, int]:
        try:
            known = self._consumer.list_topics(timeout=_TIMEOUT).topics
        except KafkaException as error:
            raise SourceError(f"Kafka at {servers} does not answer: {error}; is the address right?") from error
        if self.topic not in known:
            raise NotFoundError(f"there is no topic {self.topic} at {servers}{did_you_mean(self.topic, known)}")
        return dict.fromkeys(known[self.topic].partitions, default) | self._saved()

    def _saved(self) -> dict[int, int]:
        """Read the checkpoint."""
        if self._checkpoint is None or not self._checkpoint.exists():
            return {}
        try:
            saved = json.loads(self._checkpoint.read_text())
            offsets = {int(partition): int(offset) for partition, offset in saved["offsets"].items()}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise SourceError(f"{self._checkpoint} is not a checkpoint: {error}; name another file, or remove it to begin anew") from error
        if saved["topic"] != self.topic:
            raise SourceError(f"{self._checkpoint} is a checkpoint of {saved['topic']}, not of {self.topic}; name another file")
        return offsets

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection; the checkpoint stays where it was last saved."""
        self._consumer.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for messages in self._messages(100):
            for message in messages:
                alert = self._alert(message)
                self._offsets[message.partition()] = message.offset() + 1
                yield alert

    def batches(self, most: int = 500) -> Iterator[pa.Table]:
        """Give the alerts as nested Arrow tables of at most so many rows; a table holds alerts of one schema."""
        for messages in self._messages(most):
            for key in dict.fromkeys(message.key() for message in messages):
                alerts = [self._alert(message) for message in messages if message.key() == key]
                yield pa.Table.from_pylist(alerts, schema=arrow_schema(json.loads(key)))
            for message in messages:
                self._offsets[message.partition()] = message.offset() + 1

    def _messages(self, most: int) -> Iterator[list[Message]]:
        last = time.monotonic()
        while self._wait is None or time.monotonic() - last < self._wait:
            messages = []
            for message in self._consumer.consume(most, timeout=0.5):
                error = message.error()
                if error is None:
                    messages.append(message)
                elif error.code() != KafkaError._ALL_BROKERS_DOWN and not error.retriable():
                    raise SourceError(f"Kafka refuses {self.topic}: {error.str()}")
            if messages:
                yield messages
                last = time.monotonic()

    def _alert(self, message: Message) -> dict[str, Any]:
        """Decode a message by the schema in its key."""
        key = message.key()
        place = f"{self.topic}, partition {message.partition()}, offset {message.offset()}"
        try:
            if key not in self._schemas:
                self._schemas[key] = fastavro.parse_schema(json.loads(key))
            alert = fastavro.schemaless_reader(io.BytesIO(message.value()), self._schemas[key], None)
        except (ValueError, TypeError, EOFError, IndexError, KeyError) as error:
            raise SchemaError(f"a message is not an alert with its schema as its key ({place}): {error}; is the topic Fink's?") from error
        assert isinstance(alert, dict)
        return alert

    def save(self) -> None:
        """Keep how far you came, in one step: what was given until now is not given again.

        Raises
        ------
        SourceError
            If no checkpoint was named.
        """
        if self._checkpoint is None:
            raise SourceError("there is no file for the checkpoint; name one with checkpoint=")
        known = {str(partition): offset for partition, offset in self._offsets.items() if offset >= 0}
        aside = self._checkpoint.with_name(self._checkpoint.name + ".part")
        with aside.open("w") as file:
            json.dump({"topic": self.topic, "offsets": known}, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._checkpoint)
