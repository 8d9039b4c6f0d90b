"""Kafka's protocol in bytes: batches as its documentation gives them, logins as RFC 5802 does, and what is said of bad connections."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import cramjam
import google_crc32c
import pytest
from confluent_kafka import KafkaException
from hypothesis import given
from hypothesis import strategies as st

from fink.streams.kafka_session import Batch
from fink.streams.kafka_wire import HEADER, Scram, Server, number_of, record_batch

MESSAGES = [(b"key", bytes(range(256)) * 40), (b"", b""), (b"another", b"x" * 70_000)]
PLAIN = {"security.protocol": "PLAINTEXT"}


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag number as Kafka's documentation tells it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at


def records(body: bytes) -> Iterator[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Read the records of an unpacked batch: key, value, headers."""
    at = 0
    while at < len(body):
        length, at = varint(body, at)
        end = at + length
        assert body[at] == 0
        _, at = varint(body, at + 1)
        _, at = varint(body, at)
        parts = []
        for _ in range(2):
            size, at = varint(body, at)
            parts.append(body[at : at + size])
            at += size
        count, at = varint(body, at)
        headers = []
        for _ in range(count):
            size, at = varint(body, at)
            name, at = body[at : at + size].decode(), at + size
            size, at = varint(body, at)
            headers.append((name, body[at : at + size]))
            at += size
        assert at == end
        yield parts[0], parts[1], headers


UNPACK: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: lambda data: bytes(cramjam.gzip.decompress(data)),
    2: lambda data: bytes(cramjam.snappy.decompress_raw(data)),
    3: lambda data: bytes(cramjam.lz4.decompress(data)),
    4: lambda data: bytes(cramjam.zstd.decompress(data)),
}


@pytest.mark.parametrize(("compression", "code"), [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)])
def test_a_batch_says_who_sent_which_numbers_and_holds_the_messages(compression: str, code: int) -> None:
    written = record_batch(Batch("topic", 3, 4711, 17, MESSAGES), compression)
    base, length, _, magic, checksum = struct.unpack_from(">qiibI", written)
    assert (base, length, magic) == (0, len(written) - 12, 2)
    assert checksum == google_crc32c.value(written[21:])
    attributes, last, _, _, producer, epoch, first, count = struct.unpack_from(">hiqqqhii", written, 21)
    assert (attributes, last, producer, epoch, first, count) == (code, 2, 4711, 0, 17, 3)
    found = list(records(UNPACK[code](written[61:])))
    assert [(key, value) for key, value, _ in found] == MESSAGES
    assert [number_of(headers, 4711) for _, _, headers in found] == [17, 18, 19]


def test_what_does_not_pack_is_sent_as_it_is() -> None:
    noise = hashlib.shake_256(b"noise").digest(5000)
    written = record_batch(Batch("topic", 0, 1, 0, [(b"", noise)]), "zstd")
    assert struct.unpack_from(">h", written, 21) == (0,)
    assert next(records(written[61:]))[1] == noise


def test_sequences_begin_anew_behind_the_last_of_31_bits_and_numbers_do_not() -> None:
    written = record_batch(Batch("topic", 0, 9, 2**31 + 5, [(b"k", b"v")]), "none")
    assert struct.unpack_from(">i", written, 21 + 36 - 4)[0] == 5
    assert number_of(next(records(written[61:]))[2], 9) == 2**31 + 5


def test_the_number_is_that_of_one_producer() -> None:
    header = (HEADER.decode(), struct.pack(">qq", 5, 12))
    assert number_of([("other", b"x"), header], 5) == 12
    assert number_of([header], 6) is None
    assert number_of([(HEADER.decode(), b"short")], 5) is None
    assert number_of(None, 5) is None


@given(st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=200)), min_size=1, max_size=150))
def test_any_messages_come_back(messages: list[tuple[bytes, bytes]]) -> None:
    written = record_batch(Batch("topic", 0, 1, 0, messages), "none")
    assert [(key, value) for key, value, _ in records(written[61:])] == messages


def challenged(scram: Scram, password: str, algorithm: str = "sha256") -> tuple[str, str]:
    """Play the server of RFC 5802: give its challenge, and the answer that proves that it knows the password."""
    bare = scram.greeting().decode().removeprefix("n,,")
    nonce = dict(part.split("=", 1) for part in bare.split(","))["r"] + "server"
    salt = b"grains"
    challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i=4096"
    spoken = f"{bare},{challenge},c=biws,r={nonce}".encode()
    salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, 4096)
    signature = hmac.new(hmac.new(salted, b"Server Key", algorithm).digest(), spoken, algorithm).digest()
    return challenge, "v=" + base64.b64encode(signature).decode()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_login_proves_the_password_without_telling_it(algorithm: str) -> None:
    scram = Scram(algorithm, "me,you=we", "secret")
    challenge, answer = challenged(scram, "secret", algorithm)
    proof = scram.prove(challenge.encode()).decode()
    assert scram.greeting().decode().startswith("n,,n=me=2Cyou=3Dwe,r=")
    assert "secret" not in proof
    assert proof.startswith("c=biws,r=")
    scram.trust(answer.encode())


def test_a_server_that_does_not_know_the_password_is_not_trusted() -> None:
    scram = Scram("sha256", "me", "secret")
    challenge, answer = challenged(scram, "guess")
    scram.prove(challenge.encode())
    with pytest.raises(KafkaException, match="does not know the password"):
        scram.trust(answer.encode())
    with pytest.raises(KafkaException, match="answers somebody else"):
        scram.prove(b"r=stranger,s=c2FsdA==,i=4096")


def test_a_server_that_is_not_there_is_told_of() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(KafkaException, match=f"127.0.0.1:{port}"):
        Server(("127.0.0.1", port), PLAIN, 1.0)


def test_a_connection_that_closes_or_says_nothing_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = Server(listener.getsockname(), PLAIN, 0.2)
        accepted, _ = listener.accept()
        with accepted, pytest.raises(KafkaException, match=r"no answer in 0\.2 s"):
            silent.new_producer()
        silent.close()
        other = Server(listener.getsockname(), PLAIN, 5.0)

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1 << 16)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(KafkaException, match="closed"):
            other.new_producer()
        thread.join()
        other.close()
        assert other.idle < 60.0
