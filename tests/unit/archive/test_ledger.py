"""The ledger adds what commits count, and says whether it balances."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fink.archive import ledger
from fink.archive.index import Store
from fink.commits import Counts, ModuleCounts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "index", cache_megabytes=4)
    yield opened
    opened.close()


def received(store: Store, source: str, night: int, counts: Counts) -> None:
    changes = store.changes()
    ledger.count_source(store, changes, source, night, counts)
    store.write(changes)


def test_sources_and_nights_are_counted_apart_and_totalled(store: Store) -> None:
    received(store, "ztf", 20200102, Counts(10, 7, 1, 2, 1))
    received(store, "ztf", 20200101, Counts(4, 4))
    received(store, "ztf", 20200102, Counts(5, 0, 0, 5))
    received(store, "ztf-replay", 20200102, Counts(1, 1))
    received(store, "lsst", 0, Counts(2, 0, 2))
    found = ledger.read_ledger(store)
    assert [(s["source"], s["night"], s["received"], s["duplicate"], s["late"]) for s in found["sources"]] == [
        ("lsst", None, 2, 0, 0),
        ("ztf", 20200101, 4, 0, 0),
        ("ztf", 20200102, 15, 7, 1),
        ("ztf-replay", 20200102, 1, 0, 0),
    ]
    assert Counts(*(found[name] for name in ("received", "archived", "quarantined", "duplicate", "late"))) == Counts(22, 12, 3, 7, 1)
    assert found["balanced"]


def test_a_ledger_balances_only_if_each_source_does(store: Store) -> None:
    received(store, "lost", 20200101, Counts(5, 4))
    assert not ledger.read_ledger(store)["balanced"]
    received(store, "found", 20200101, Counts(0, 1))
    found = ledger.read_ledger(store)
    assert found["received"] == found["archived"] == 5
    assert [source["balanced"] for source in found["sources"]] == [False, False]
    assert not found["balanced"]
    received(store, "lost", 20200101, Counts(quarantined=1))
    received(store, "found", 20200101, Counts(1))
    assert ledger.read_ledger(store)["balanced"]


def test_what_leaves_the_quarantine_is_taken_back(store: Store) -> None:
    received(store, "ztf", 20200101, Counts(3, 1, 2))
    received(store, "ztf", 20200101, Counts(-1, 0, -1))
    found = ledger.read_ledger(store)
    assert (found["received"], found["archived"], found["quarantined"], found["balanced"]) == (2, 1, 1, True)


def test_modules_and_substreams_are_added_up(store: Store) -> None:
    for night, taken in ((20200101, {"bright": 3, "fast": 1}), (20200102, {"bright": 4}), (20200101, {"bright": 2})):
        changes = store.changes()
        ledger.count_modules(store, changes, {"rates": ModuleCounts(10, 2, 1, 0.5)})
        ledger.count_substreams(store, changes, night, taken)
        store.write(changes)
    found = ledger.read_ledger(store)
    assert found["modules"] == {"rates": {"run": 30, "null": 6, "failed": 3, "seconds": 1.5}}
    assert found["substreams"] == {"bright": 9, "fast": 1}
    assert found["sources"] == []


def test_nothing_is_counted_before_its_commit_is_written(store: Store) -> None:
    changes = store.changes()
    ledger.count_source(store, changes, "ztf", 20200101, Counts(1, 1))
    ledger.count_night(store, changes, 20200101, "ztf", {"archived": 1})
    assert ledger.read_ledger(store)["received"] == 0
    assert ledger.read_nights(store) == []
    store.write(changes)
    assert ledger.read_ledger(store)["received"] == 1


def test_nights_are_given_in_order_with_nested_numbers_added(store: Store) -> None:
    for night, survey, added in [
        (20200102, "ztf", {"archived": 2, "bands": {"g": 2}}),
        (20200101, "ztf", {"archived": 1, "bands": {"g": 1}}),
        (20200102, "lsst", {"archived": 5, "bands": {"u": 5}}),
        (20200102, "ztf", {"archived": 3, "bands": {"g": 1, "r": 2}, "late": 1}),
    ]:
        changes = store.changes()
        ledger.count_night(store, changes, night, survey, added)
        store.write(changes)
    assert ledger.read_nights(store) == [
        {"night": 20200101, "survey": "ztf", "archived": 1, "bands": {"g": 1}},
        {"night": 20200102, "survey": "lsst", "archived": 5, "bands": {"u": 5}},
        {"night": 20200102, "survey": "ztf", "archived": 5, "bands": {"g": 3, "r": 2}, "late": 1},
    ]
