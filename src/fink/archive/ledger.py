"""The ledger: what was received, per source and night, and what became of it; per module; per substream.

One process commits, so a count is read, added to and written back with the commit that it counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from fink.archive.index import Changes, Store
from fink.archive.keys import integer_key, read_integer
from fink.commits import Counts, ModuleCounts

_SOURCE, _MODULE, _SUBSTREAM = b"source\0", b"module\0", b"substream\0"


def count_source(store: Store, changes: Changes, source: str, night: int, counts: Counts) -> None:
    """Add to what a source brought in a night."""
    key = _SOURCE + source.encode() + b"\0" + integer_key(night)
    before = store.get("ledger", key)
    total = counts + Counts(**orjson.loads(before)) if before else counts
    changes.put("ledger", key, orjson.dumps(asdict(total)))


def count_modules(store: Store, changes: Changes, modules: Mapping[str, ModuleCounts]) -> None:
    """Add to what each module did."""
    for name, counts in modules.items():
        key = _MODULE + name.encode()
        before = store.get("ledger", key)
        total = counts + ModuleCounts(**orjson.loads(before)) if before else counts
        changes.put("ledger", key, orjson.dumps(asdict(total)))


def count_substreams(store: Store, changes: Changes, night: int, selected: Mapping[str, int]) -> None:
    """Add to how many alerts each substream took in a night."""
    for name, number in selected.items():
        key = _SUBSTREAM + name.encode() + b"\0" + integer_key(night)
        before = store.get("ledger", key)
        changes.put("ledger", key, orjson.dumps(number + (orjson.loads(before) if before else 0)))


def read_ledger(store: Store) -> dict[str, Any]:
    """Give the whole ledger: totals, whether they balance, and sources by night, modules and substreams."""
    total, sources = Counts(), []
    for key, value in store.scan_prefix("ledger", _SOURCE):
        counts = Counts(**orjson.loads(value))
        total = total + counts
        name, night = key[len(_SOURCE) : -9].decode(), read_integer(key[-8:])
        sources.append({"source": name, "night": night or None, **asdict(counts), "balanced": counts.balanced})
    modules = {k[len(_MODULE) :].decode(): orjson.loads(v) for k, v in store.scan_prefix("ledger", _MODULE)}
    taken: Counter[str] = Counter()
    for key, value in store.scan_prefix("ledger", _SUBSTREAM):
        taken[key[len(_SUBSTREAM) : -9].decode()] += orjson.loads(value)
    balanced = total.balanced and all(source["balanced"] for source in sources)
    return {**asdict(total), "balanced": balanced, "sources": sources, "modules": modules, "substreams": dict(taken)}


def count_night(store: Store, changes: Changes, night: int, survey: str, added: Mapping[str, Any]) -> None:
    """Add to the statistics of a survey's night; numbers in nested mappings are added one by one."""
    key = integer_key(night) + survey.encode()
    before = store.get("nights", key)
    changes.put("nights", key, orjson.dumps(_sum(orjson.loads(before), added) if before else added))


def _sum(left: Any, right: Any) -> Any:
    if isinstance(right, Mapping):
        only = {name: value for name, value in right.items() if name not in left}
        return {**left, **only, **{name: _sum(left[name], right[name]) for name in right if name in left}}
    return left + right


def read_nights(store: Store) -> list[dict[str, Any]]:
    """Give the statistics of each night and survey, in order of time."""
    return [{"night": read_integer(key[:8]), "survey": key[8:].decode(), **orjson.loads(value)} for key, value in store.scan("nights", b"")]
