"""Kafka's protocol as far as librdkafka does not offer it: sending messages under a producer's number and sequence of one's own choice.

A partition takes a batch of an idempotent producer only if its sequence is the one that follows, or is there already. librdkafka gives
each process a new number and counts from zero, so that a new process cannot go on where a dead one stopped. Here both are given.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import cramjam
import google_crc32c
from confluent_kafka import KafkaError, KafkaException

from fink.streams.kafka_session import Batch

HEADER = b"fink"
"""Name of the header of a message that tells its producer and its number."""

IN_FLIGHT = 4
"""Requests that a server has at the same time."""

_PRODUCE, _HANDSHAKE, _NEW_PRODUCER, _AUTHENTICATE = (0, 7), (17, 1), (22, 1), (36, 0)
"""Kinds of requests, each with the version that is spoken: what servers since 2.1 know."""

_SEQUENCE = (1 << 31) - 1
"""Sequences go on with zero behind this one."""

_LZ4_HEAD, _LZ4_BLOCK = b"\x04\x22\x4d\x18\x60\x60\x51", 1 << 20
"""Beginning of a frame of blocks of 1 MB that stand each for itself, the only kind that Java's clients read."""


def _lz4(plain: bytes) -> bytes:
    parts = [_LZ4_HEAD]
    for at in range(0, len(plain), _LZ4_BLOCK):
        block = plain[at : at + _LZ4_BLOCK]
        packed = bytes(cramjam.lz4.compress_block(block, store_size=False))
        # the highest bit tells of a block as it was
        smaller = len(packed) < len(block)
        parts += [struct.pack("<I", len(packed) if smaller else len(block) | 1 << 31), packed if smaller else block]
    return b"".join((*parts, b"\0\0\0\0"))


_PACK: dict[str, tuple[int, Callable[[bytes], object]]] = {
    "gzip": (1, cramjam.gzip.compress),
    "snappy": (2, cramjam.snappy.compress_raw),
    "lz4": (3, _lz4),
    "zstd": (4, cramjam.zstd.compress),
}


def number_of(headers: Sequence[tuple[str, bytes]] | None, producer: int) -> int | None:
    """Give the number of a message among those of a producer; None where another sent it."""
    for name, value in headers or ():
        if name.encode() == HEADER and len(value) == 16:
            sender, number = struct.unpack(">qq", value)
            return number if sender == producer else None
    return None


def record_batch(batch: Batch, compression: str) -> bytes:
    """Write a batch in Kafka's form, packed where that makes it smaller."""
    now = int(time.time() * 1000)
    plain = b"".join(_record(place, batch, *message) for place, message in enumerate(batch.messages))
    code, pack = _PACK.get(compression, (0, bytes))
    body = bytes(memoryview(pack(plain)))  # type: ignore[arg-type]
    if len(body) >= len(plain):
        code, body = 0, plain
    count, first = len(batch.messages), batch.first & _SEQUENCE
    counted = struct.pack(">hiqqqhii", code, count - 1, now, now, batch.producer, 0, first, count) + body
    checked = struct.pack(">ibI", -1, 2, google_crc32c.value(counted)) + counted
    return struct.pack(">qi", 0, len(checked)) + checked


def _record(place: int, batch: Batch, key: bytes, value: bytes) -> bytes:
    number = struct.pack(">qq", batch.producer, batch.first + place)
    parts = (b"\0\0", _varint(place), _varint(len(key)), key, _varint(len(value)), value)
    body = b"".join((*parts, _varint(1), _varint(len(HEADER)), HEADER, _varint(len(number)), number))
    return _varint(len(body)) + body


def _varint(value: int) -> bytes:
    """Write a number that is not negative, zigzag, seven bits a byte."""
    value <<= 1
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


class Server:
    """A connection to one server of a cluster.

    Parameters
    ----------
    address
        Host and port.
    client
        Settings as librdkafka names them: how to log in, and whether to encrypt.
    timeout
        Seconds that an answer may take.
    """

    def __init__(self, address: tuple[str, int], client: Mapping[str, str], timeout: float) -> None:
        self._timeout, self._number = timeout, 0
        self._used = time.monotonic()
        try:
            self._socket = socket.create_connection(address, timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if "ssl" in client["security.protocol"].lower():
                self._socket = _encryption(client).wrap_socket(self._socket, server_hostname=address[0])
        except ssl.SSLError as error:
            raise KafkaException(KafkaError(KafkaError._SSL, str(error))) from error
        except OSError as error:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, f"{address[0]}:{address[1]}: {error}")) from error
        if "sasl" in client["security.protocol"].lower():
            self._log_in(client["sasl.mechanism"], client["sasl.username"], client["sasl.password"])

    @property
    def idle(self) -> float:
        """Seconds since something was asked of it [s]."""
        return time.monotonic() - self._used

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def new_producer(self) -> int:
        """Ask for a producer's number that nobody else has."""
        answer = self._ask(_NEW_PRODUCER, struct.pack(">hi", -1, 60_000))
        _, error, producer, _ = struct.unpack_from(">ihqh", answer)
        _check(error)
        return int(producer)

    def produce(self, requests: Iterable[Sequence[tuple[Batch, bytes]]]) -> list[int]:
        """Send batches, several requests ahead of the answers; give the offset of the first message of each.

        Raises
        ------
        KafkaException
            If one was not taken, or no answer came: then any of them may be there, or come to be there later.
        """
        offsets: list[int] = []
        waiting: list[Sequence[tuple[Batch, bytes]]] = []
        for request in requests:
            self._send(_PRODUCE, _produce_body(request, int(self._timeout * 1000)))
            waiting.append(request)
            if len(waiting) == IN_FLIGHT:
                offsets += self._taken(waiting.pop(0))
        for request in waiting:
            offsets += self._taken(request)
        return offsets

    def _taken(self, request: Sequence[tuple[Batch, bytes]]) -> list[int]:
        found = _produced(self._receive())
        return [found[batch.topic, batch.partition] for batch, _ in request]

    def _log_in(self, mechanism: str, user: str, password: str) -> None:
        name = mechanism.encode()
        (error,) = struct.unpack_from(">h", self._ask(_HANDSHAKE, _text(name)))
        _check(error)
        if mechanism == "PLAIN":
            self._authenticate(f"\0{user}\0{password}".encode())
            return
        scram = Scram(mechanism.removeprefix("SCRAM-").replace("-", "").lower(), user, password)
        scram.trust(self._authenticate(scram.prove(self._authenticate(scram.greeting()))))

    def _authenticate(self, token: bytes) -> bytes:
        answer = self._ask(_AUTHENTICATE, struct.pack(">i", len(token)) + token)
        error, length = struct.unpack_from(">hh", answer)
        at = 4 + max(length, 0)
        if error:
            raise KafkaException(KafkaError(error, answer[4:at].decode()))
        (length,) = struct.unpack_from(">i", answer, at)
        return answer[at + 4 : at + 4 + length]

    def _ask(self, kind: tuple[int, int], body: bytes) -> bytes:
        self._send(kind, body)
        return self._receive()

    def _send(self, kind: tuple[int, int], body: bytes) -> None:
        self._number, self._used = self._number + 1, time.monotonic()
        head = struct.pack(">hhi", *kind, self._number) + _text(b"fink")
        try:
            self._socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        except OSError as error:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, str(error))) from error

    def _receive(self) -> bytes:
        (length,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(length)[4:]

    def _exactly(self, length: int) -> bytes:
        parts: list[bytes] = []
        try:
            while length:
                part = self._socket.recv(length)
                if not part:
                    raise KafkaException(KafkaError(KafkaError._TRANSPORT, "the server closed the connection"))
                parts.append(part)
                length -= len(part)
        except TimeoutError as error:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"no answer in {self._timeout:g} s")) from error
        except OSError as error:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, str(error))) from error
        return b"".join(parts)


class Scram:
    """One login by SCRAM (RFC 5802): the password itself is never sent, and the server proves that it knows it too.

    Parameters
    ----------
    algorithm
        ``sha256`` or ``sha512``.
    """

    def __init__(self, algorithm: str, user: str, password: str) -> None:
        self._algorithm, self._password = algorithm, password
        self._nonce = base64.b64encode(os.urandom(18)).decode()
        self._first = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self._nonce}"
        self._signature = b""

    def greeting(self) -> bytes:
        """Give the first message."""
        return f"n,,{self._first}".encode()

    def prove(self, challenge: bytes) -> bytes:
        """Answer the server's challenge."""
        said = dict(part.split("=", 1) for part in challenge.decode().split(","))
        if not said["r"].startswith(self._nonce):
            raise KafkaException(KafkaError(KafkaError._AUTHENTICATION, "the server's challenge answers somebody else"))
        salted = hashlib.pbkdf2_hmac(self._algorithm, self._password.encode(), base64.b64decode(said["s"]), int(said["i"]))
        last = f"c=biws,r={said['r']}"
        spoken = f"{self._first},{challenge.decode()},{last}".encode()
        key = self._mac(salted, b"Client Key")
        signature = self._mac(hashlib.new(self._algorithm, key).digest(), spoken)
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        self._signature = self._mac(self._mac(salted, b"Server Key"), spoken)
        return f"{last},p={base64.b64encode(proof).decode()}".encode()

    def trust(self, answer: bytes) -> None:
        """Check that the server knows the password."""
        if not hmac.compare_digest(base64.b64decode(answer.decode().removeprefix("v=")), self._signature):
            raise KafkaException(KafkaError(KafkaError._AUTHENTICATION, "the server does not know the password that it asks for"))

    def _mac(self, key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, self._algorithm).digest()


def _encryption(client: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=client.get("ssl.ca.location"))
    if "ssl.certificate.location" in client:
        context.load_cert_chain(client["ssl.certificate.location"], client.get("ssl.key.location"))
    return context


def _check(error: int) -> None:
    if error:
        raise KafkaException(KafkaError(error))


def _text(text: bytes) -> bytes:
    return struct.pack(">h", len(text)) + text


def _produce_body(request: Sequence[tuple[Batch, bytes]], timeout: int) -> bytes:
    """Write a request to take batches, at most one of each partition, once all copies have them."""
    topics: dict[str, list[bytes]] = {}
    for batch, written in request:
        topics.setdefault(batch.topic, []).append(struct.pack(">ii", batch.partition, len(written)) + written)
    parts = [struct.pack(">hhii", -1, -1, timeout, len(topics))]
    for topic, partitions in topics.items():
        parts += [_text(topic.encode()), struct.pack(">i", len(partitions)), *partitions]
    return b"".join(parts)


def _produced(answer: bytes) -> dict[tuple[str, int], int]:
    """Read the offset at which each partition has its batch."""
    found: dict[tuple[str, int], int] = {}
    (topics,), at = struct.unpack_from(">i", answer), 4
    for _ in range(topics):
        (length,) = struct.unpack_from(">h", answer, at)
        topic = answer[at + 2 : at + 2 + length].decode()
        (partitions,) = struct.unpack_from(">i", answer, at + 2 + length)
        at += 6 + length
        for _ in range(partitions):
            partition, error, offset, _, _ = struct.unpack_from(">ihqqq", answer, at)
            at += 30
            if error:
                raise KafkaException(KafkaError(error, f"{topic} [{partition}]: {KafkaError(error).str()}"))
            found[topic, partition] = offset
    return found
