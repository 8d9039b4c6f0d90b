"""What fastavro makes of the same bytes, and ways to make bytes hard to read: shared by the tests of the codecs and the benchmark."""

from __future__ import annotations

import ctypes
import io
import json
import mmap
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt

from fink.codecs.avro import PADDING, Decoded, decode, reason
from fink.codecs.schemas import Program, WriterSchema


def everything(path: str) -> bool:
    """Want every path."""
    return True


def plain(kind: Any) -> Any:
    """Copy a schema without logical types and defaults, so that fastavro gives values as they are stored."""
    if isinstance(kind, dict):
        return {key: plain(value) for key, value in kind.items() if key not in ("logicalType", "default")}
    return [plain(part) for part in kind] if isinstance(kind, list) else kind


class Reference:
    """fastavro with its schema parsed once."""

    def __init__(self, schema: WriterSchema) -> None:
        self.parsed = fastavro.parse_schema(plain(json.loads(schema.text)))

    def write(self, record: Any) -> bytes:
        """Encode one record."""
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, self.parsed, record)
        return stream.getvalue()

    def read(self, data: bytes) -> Any:
        """Decode one record that fills the data exactly; None if it does not or cannot be read."""
        stream = io.BytesIO(data)
        try:
            record = fastavro.schemaless_reader(stream, self.parsed, None)
        except (EOFError, IndexError, KeyError, ValueError, TypeError, OverflowError, MemoryError, AttributeError):
            return None
        return record if stream.tell() == len(data) else None


def batch(records: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lay records one behind the other."""
    ends = np.cumsum([len(record) for record in records], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])[: len(records)]
    return np.frombuffer(b"".join(records) + bytes(PADDING), np.uint8), starts, ends


def _values_at(value: Any, parts: list[str]) -> list[Any]:
    """Give all values at a path below one value."""
    if not parts:
        return [value]
    name = parts[0]
    bare = name.rstrip("[]")
    found = value[bare] if isinstance(value, dict) else None
    level = [found]
    for _ in range((len(name) - len(bare)) // 2):
        level = [item for items in level for item in (items or [])]
    return [inner for item in level for inner in _values_at(item, parts[1:])]


def expected_columns(program: Program | Decoded, records: Sequence[Any]) -> dict[str, list[Any]]:
    """Give, by path, the values that records hold in the order of the decoder's rows."""
    found = {}
    for column in program.columns:
        values = [value for record in records for value in _values_at(record, column.path.split("."))]
        found[column.path] = [column.symbols.index(value) if column.symbols and value is not None else value for value in values]
    return found


def decoded_columns(decoded: Decoded) -> dict[str, list[Any]]:
    """Give, by path, what was decoded, as Python values."""
    found: dict[str, list[Any]] = {}
    for column in decoded.columns:
        if column.kind in ("string", "bytes"):
            found[column.path] = decoded.text(column.path).to_pylist()
        else:
            pairs = zip(decoded.values(column.path).tolist(), decoded.valid(column.path).tolist(), strict=True)
            found[column.path] = [value if valid else None for value, valid in pairs]
    return found


def same(expected: list[Any], found: list[Any]) -> bool:
    """Compare values, NaN being equal to itself."""
    return len(expected) == len(found) and all(a == b or (a != a and b != b) for a, b in zip(expected, found, strict=True))


class GuardedBuffer:
    """Memory whose last readable byte is followed by a page that may not be touched: reading too far ends the process."""

    def __init__(self, most: int) -> None:
        page = mmap.PAGESIZE
        self.size = -(-(most + PADDING) // page) * page
        self.memory = mmap.mmap(-1, self.size + page)
        self.bytes: npt.NDArray[np.uint8] = np.frombuffer(self.memory, np.uint8)[: self.size]
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        if libc.mprotect(self.bytes.ctypes.data + self.size, page, 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def put(self, record: bytes, rng: random.Random) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Put a record so that its padding ends at the guard, the padding being noise; give its start and end."""
        end = self.size - PADDING
        self.bytes[end:] = np.frombuffer(rng.randbytes(PADDING), np.uint8)
        self.bytes[end - len(record) : end] = np.frombuffer(record, np.uint8)
        return np.array([end - len(record)], np.int64), np.array([end], np.int64)


def mutate(record: bytes, rng: random.Random) -> bytes:
    """Damage a record: flip bits, change, insert or remove bytes, or cut it."""
    data = bytearray(record)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(data)) if data else 0
        what = rng.randrange(6)
        if what == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1 and data:
            data[at] = rng.choice((0, 1, 2, 3, 127, 128, 255, rng.randrange(256)))
        elif what == 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 12))
        elif what == 3:
            del data[at : at + rng.randrange(1, 12)]
        elif what == 4:
            del data[at:]
        else:
            data[at : at + 10] = b"\xff" * rng.randrange(1, 12)
    return bytes(data)


@dataclass
class FuzzResult:
    """How damaged records fared: read by both readers, refused by both, or refused by ours alone (by reason)."""

    both: int
    neither: int
    stricter: Counter[str]
    mistakes: list[bytes]


def fuzz(program: Program, records: Sequence[bytes], n: int, seed: int = 0) -> FuzzResult:
    """Decode ``n`` damaged records, each alone before a guard page, and compare with fastavro what can be read."""
    rng = random.Random(seed)
    reference = Reference(program.schema)
    guarded = GuardedBuffer(max(len(record) for record in records) + 100)
    result = FuzzResult(0, 0, Counter(), [])
    for _ in range(n):
        damaged = mutate(rng.choice(records), rng)
        starts, ends = guarded.put(damaged, rng)
        decoded = decode(program, guarded.bytes, starts, ends)
        expected = reference.read(damaged)
        status = int(decoded.status[0])
        if expected is not None and status == 0:
            wanted, found = expected_columns(program, [expected]), decoded_columns(decoded)
            result.both += 1
            if any(not same(wanted[path], found[path]) for path in wanted):
                result.mistakes.append(damaged)
        elif expected is None and status == 0:
            result.mistakes.append(damaged)
        elif expected is None:
            result.neither += 1
        else:
            result.stricter[reason(status).partition(" (at")[0]] += 1
    return result
