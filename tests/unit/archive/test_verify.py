"""Verifying says in words what is wrong with an archive, and nothing about one that is whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest

from fink.archive import keys
from fink.archive.embedded import EmbeddedArchive
from fink.archive.index import Store
from fink.archive.objects import HEAD, chunk_key
from fink.archive.rows import IN_PACKETS, read_pointers, with_pointer
from fink.commits import Quarantined
from unit.archive.outcomes import NIGHTS, SmallSky, create, outcome

BAD = Quarantined("f.tar", "entry 3", "no such schema", b"\x01\x02\x03", "lsst", NIGHTS[0])


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[EmbeddedArchive]:
    with create(tmp_path / "a") as made:
        sky = SmallSky(4, "lsst", exposures=80)
        for night in NIGHTS[:2]:
            made.apply(outcome(sky.night(night), quarantined=(BAD,)))
        yield made


def first_entry(store: Store, family: str) -> tuple[bytes, bytes]:
    return next(iter(store.scan(family, b"")))


def changed(archive: EmbeddedArchive, family: str, key: bytes, value: bytes | None) -> list[str]:
    """Change or remove an entry of the index, and give what is found wrong."""
    changes = archive._store.changes()
    if value is None:
        changes.delete(family, key)
    else:
        changes.put(family, key, value)
    archive._store.write(changes)
    return archive.verify()


def test_a_whole_archive_has_nothing_wrong_before_and_after_compaction(archive: EmbeddedArchive) -> None:
    assert archive.verify() == []
    assert sum(1 for _ in archive._store.scan("chunks", b"")) > 0
    archive.compact()
    assert archive.verify() == []


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("at", [0.05, 0.5, 0.95])
def test_a_flipped_bit_of_the_rows_is_found_wherever_it_lies(archive: EmbeddedArchive, compacted: bool, at: float) -> None:
    if compacted:
        archive.compact()
    state = "parquet" if compacted else "open"
    name, record = next((name, r) for name, r in archive.files().items() if r.kind == "rows" and r.state in (state, "closed"))
    path = archive._lake.folder / name
    data = bytearray(path.read_bytes())
    # what Parquet says of itself, behind the columns, has no checksum
    footer = int.from_bytes(data[-8:-4], "little") + 8 if compacted else 0
    place = int((record.length - footer) * at)
    data[place] ^= 1
    path.write_bytes(data)
    problems = archive.verify()
    assert problems
    assert all(name in problem for problem in problems)
    data[place] ^= 1
    path.write_bytes(data)
    assert archive.verify() == []


def lost_row(store: Store) -> tuple[str, bytes, bytes | None]:
    return "rows", first_entry(store, "rows")[0], None


def lost_number(store: Store) -> tuple[str, bytes, bytes | None]:
    return "alerts", first_entry(store, "alerts")[0], None


def lost_commit(store: Store) -> tuple[str, bytes, bytes | None]:
    return "commits", keys.integer_key(1), None


def lost_selection(store: Store) -> tuple[str, bytes, bytes | None]:
    return "selections", keys.integer_key(2) + b"bright", None


def lost_name(store: Store) -> tuple[str, bytes, bytes | None]:
    return "names", first_entry(store, "names")[0], None


def lost_object(store: Store) -> tuple[str, bytes, bytes | None]:
    return "objects", first_entry(store, "objects")[0], None


def lost_place(store: Store) -> tuple[str, bytes, bytes | None]:
    return "sky", first_entry(store, "sky")[0], None


def lost_chunk(store: Store) -> tuple[str, bytes, bytes | None]:
    return "chunks", first_entry(store, "chunks")[0], None


def earlier_chunk(store: Store) -> tuple[str, bytes, bytes | None]:
    objects = [key for key, _ in store.scan("objects", b"")]
    key, other = next((chunk_key(o, 0), chunk_key(o, 1)) for o in objects if store.get("chunks", chunk_key(o, 1)))
    return "chunks", other, store.get("chunks", key)


def miscounted_object(store: Store) -> tuple[str, bytes, bytes | None]:
    key, value = first_entry(store, "objects")
    head = np.frombuffer(value[: HEAD.itemsize], HEAD).copy()
    head["n_alerts"] += 1
    return "objects", key, head.tobytes() + value[HEAD.itemsize :]


def miscounted_source(store: Store) -> tuple[str, bytes, bytes | None]:
    key, value = next(iter(store.scan_prefix("ledger", b"source\0")))
    counts = orjson.loads(value)
    return "ledger", key, orjson.dumps({**counts, "archived": counts["archived"] - 1})


def row_of_another_commit(store: Store) -> tuple[str, bytes, bytes | None]:
    key, row = first_entry(store, "rows")
    pointer = read_pointers([row]).copy()
    pointer["commit"] = 3 - pointer["commit"]
    return "rows", key, with_pointer(row, pointer[0])


def packet_beyond_its_file(store: Store) -> tuple[str, bytes, bytes | None]:
    key, row = next((key, row) for key, row in store.scan("rows", b"") if read_pointers([row])["kept"][0] == IN_PACKETS)
    pointer = read_pointers([row]).copy()
    pointer["offset"] = 10**9
    return "rows", key, with_pointer(row, pointer[0])


def alert_of_another(store: Store) -> tuple[str, bytes, bytes | None]:
    (key, _), (_, other) = list(store.scan("alerts", b""))[:2]
    return "alerts", key, other


def other_identity(store: Store) -> tuple[str, bytes, bytes | None]:
    key, value = first_entry(store, "quarantine")
    record = orjson.loads(value)
    return "quarantine", key, orjson.dumps({**record, "end": record["end"] - 1})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lost_row, r"commit \d: alert -?\d+ and 0 more are in the lake and not in the index"),
        (lost_number, r"the index holds \d+ entries of alerts for \d+ alerts"),
        (lost_commit, r"commit 1 is missing from the index"),
        (lost_selection, r"commit 2 differs from its checksum"),
        (lost_name, r"object LSST\d+ is not listed by its name"),
        (lost_object, r"\d+ alerts belong to the object LSST\d+, which the index does not hold"),
        (lost_place, r"the index holds \d+ entries of sky for \d+ alerts"),
        (lost_chunk, r"chunk 0 of the object LSST\d+ is missing or of another time"),
        (earlier_chunk, r"chunk 1 of the object LSST\d+ is missing or of another time"),
        (miscounted_object, r"object LSST\d+ counts \d+ alerts and has \d+"),
        (miscounted_source, r"the ledger says \d+ archived and the commits \d+"),
        (miscounted_source, r"the ledger does not balance"),
        (row_of_another_commit, r"commit \d: rows of the index name another commit or place"),
        (packet_beyond_its_file, r"has \d+ bytes and a packet is said to lie at 1000000\d+"),
        (alert_of_another, r"commit \d: \d rows of the index lie under another object or time than the lake says"),
        (other_identity, r"quarantined item \w+ differs from its identity; restore segments/\S+ from a copy"),
    ],
)
def test_what_is_wrong_is_said(archive: EmbeddedArchive, damage: Callable[[Store], tuple[str, bytes, bytes | None]], words: str) -> None:
    problems = changed(archive, *damage(archive._store))
    assert any(re.search(words, problem) for problem in problems), problems


def test_a_file_that_is_gone_is_named(archive: EmbeddedArchive) -> None:
    name = next(name for name, record in archive.files().items() if record.kind == "points")
    (archive._lake.folder / name).rename(archive._lake.folder / "aside")
    assert any(name in problem for problem in archive.verify())
