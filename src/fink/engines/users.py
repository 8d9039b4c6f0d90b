"""Users' substreams in a run: taken up between commits, evaluated before each one, and paused where they raise, cost or take too much.

The versions that select are named by the plan of the commit, and what they select is kept beside it, so that a commit says for
itself what was on. A substream is complete in each commit that names it: a limit that is passed pauses it from the next one on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from fink import filters
from fink.archive.embedded import PLACES, EmbeddedArchive
from fink.archive.substreams import Kept, UserSubstreams
from fink.columns import Column
from fink.commits import Commit, Outcome
from fink.conditions import evaluate
from fink.config import UserSettings
from fink.engines.plan import Plan, all_outputs, with_null_columns
from fink.errors import ConditionError, FinkError
from fink.filters.places import open_places
from fink.filters.users import Compiled, UserSubstream, compile_substream

_FAILURES = (FinkError, pl.exceptions.PolarsError, pl.exceptions.PanicException, ArithmeticError, MemoryError, OSError, ValueError)
"""What evaluating a substream may raise: a list that is gone, a column that is no longer there, memory."""

_ENOUGH = 500
"""Alerts of a batch whose time counts: that of a small one is mostly spent on starting."""

_BATCHES = 16
"""Batches over which the cost is averaged, and after which it may be looked at again."""


@dataclass
class Taken:
    """What substreams take of a batch: for each which of its ``n`` alerts, what some say of these, and which raised what."""

    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    entries: dict[str, pa.Table] = field(default_factory=dict)
    failed: dict[str, BaseException] = field(default_factory=dict)


def take(chosen: Mapping[str, Compiled], alerts: pa.Table, vocabulary: Mapping[str, Column]) -> Taken:
    """Evaluate substreams on a batch, all conditions together; where that raises, one by one."""
    try:
        return _take(chosen, alerts, vocabulary)
    except _FAILURES as error:
        if len(chosen) == 1:
            return Taken(failed=dict.fromkeys(chosen, error))
    joined = Taken()
    for name, compiled in chosen.items():
        one = take({name: compiled}, alerts, vocabulary)
        joined.masks |= one.masks
        joined.entries |= one.entries
        joined.failed |= one.failed
    return joined


def _take(chosen: Mapping[str, Compiled], alerts: pa.Table, vocabulary: Mapping[str, Column]) -> Taken:
    taken = Taken()
    table = with_null_columns(alerts, {name for compiled in chosen.values() for name in compiled.columns}, vocabulary)
    masks = evaluate([compiled.condition for compiled in chosen.values()], table)
    for (name, compiled), mask in zip(chosen.items(), masks, strict=True):
        taken.masks[name], entries = compiled.narrowed(np.asarray(mask, np.bool_), table)
        if entries is not None:
            taken.entries[name] = entries
    return taken


def microseconds(compiled: Compiled, alerts: pa.Table, vocabulary: Mapping[str, Column], enough: float = 0.0) -> float:
    """Measure what a substream costs [us an alert]: the least of up to three times, the first below ``enough``."""
    least = np.inf
    for _ in range(3):
        began = _now()
        take({"": compiled}, alerts, vocabulary)
        least = min(least, _spent(began) * 1e6 / max(alerts.num_rows, 1))
        if least <= enough:
            break
    return float(least)


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def _spent(began: tuple[float, float]) -> float:
    """Give the time spent since [s]: on the processor where that is less, since other threads of the process count there too."""
    return min(now - then for now, then in zip(_now(), began, strict=True))


@dataclass
class _Cost:
    """What the substreams cost together, over some batches: processor time [s] and alerts."""

    seconds: float = 0.0
    alerts: int = 0
    batches: int = 0


class UserFilters:
    """The users' substreams of one run.

    Parameters
    ----------
    archive
        Where commits go; the user state lies in its folder.
    plan
        Gives the columns that conditions read.
    limits
        What a substream may cost and take before it is paused.
    """

    def __init__(self, archive: EmbeddedArchive, plan: Plan, limits: UserSettings) -> None:
        self._archive, self._plan, self._limits = archive, plan, limits
        self._users = UserSubstreams(archive.folder)
        self._live: dict[str, Compiled] = {}
        self._known: dict[tuple[str, int], Compiled | None] = {}
        self._identities: dict[str, str] = {}
        self._plan_ids: dict[str, str] = {}
        self._since: dict[str, int] = {}
        self._taken: dict[str, tuple[int, int]] = {}
        self._cost = _Cost()

    def follow(self) -> None:
        """Take up what users changed; what is on from here on selects from the next commit on."""
        standing = [kept for kept in self._users.all() if kept.state == "on"]
        live = {}
        for kept in standing:
            compiled = self._compiled(kept.substream)
            if compiled is not None:
                live[kept.substream.name] = compiled
        if live != self._live:
            self._adopt(live, standing)

    def _compiled(self, substream: UserSubstream) -> Compiled | None:
        """Compile a substream once; one that cannot be is paused, and one whose modules this run leaves out is left out."""
        key = (substream.name, substream.version)
        if key not in self._known:
            try:
                self._known[key] = self._usable(substream)
            except _FAILURES as error:
                self._known[key] = None
                self._users.pause(substream, f"it cannot be evaluated: {error}")
        return self._known[key]

    def _usable(self, substream: UserSubstream) -> Compiled | None:
        if substream.name in filters.registry():
            raise ConditionError(f"there is now a built-in substream {substream.name}; create it anew under another name")
        vocabulary = self._plan.vocabulary
        types = {name: column.type for name, column in {**all_outputs(), **vocabulary}.items()}
        cuts = {name: cut.where for name, cut in filters.named_cuts().items()}
        places = open_places(self._archive.folder / PLACES, substream)
        compiled = compile_substream(substream, types, cuts, places)
        return compiled if compiled.columns <= vocabulary.keys() else None

    def _adopt(self, live: dict[str, Compiled], standing: Iterable[Kept]) -> None:
        """Name what selects in the plans of the commits from here on, and note since when each version selects."""
        first = self._archive.last_commit() + 1
        adopted = {kept.substream.name: kept.since for kept in standing if kept.adopted == kept.substream.version}
        fresh = [compiled.substream for name, compiled in live.items() if adopted.get(name) is None]
        self._live = live
        self._since = {name: adopted.get(name) or first for name in live}
        self._taken = {name: count for name, count in self._taken.items() if adopted.get(name) is not None}
        self._cost = _Cost()
        self._identities = {name: compiled.identity for name, compiled in sorted(live.items())}
        self._plan_ids = {}
        self._archive.register_substreams({compiled.identity: compiled.record for compiled in live.values()})
        if fresh:
            self._users.adopt(fresh, first)

    def select(self, outcome: Outcome) -> Outcome:
        """Give an outcome with what the users' substreams take of it, and with the plan that names them."""
        if not self._live:
            return outcome
        taken = Taken()
        if outcome.alerts.num_rows:
            taken = self._timed(outcome)
        masks = {name: mask for name, mask in taken.masks.items() if mask.any()}
        said = {name: entry for name, entry in taken.entries.items() if name in masks}
        selections, entries = {**outcome.selections, **masks}, {**outcome.entries, **said}
        return replace(outcome, selections=selections, entries=entries, plan_id=self._named(outcome.plan_id))

    def _named(self, plan_id: str) -> str:
        """Give the plan that adds the users' substreams to another."""
        if plan_id not in self._plan_ids:
            record = replace(self._archive.plan(plan_id), users=self._identities)
            self._plan_ids[plan_id] = self._archive.register_plan(record)
        return self._plan_ids[plan_id]

    def _timed(self, outcome: Outcome) -> Taken:
        chosen = {name: compiled for name, compiled in self._live.items() if compiled.applies_to(outcome.survey)}
        began = _now()
        taken = take(chosen, outcome.alerts, self._plan.vocabulary) if chosen else Taken()
        spent = _spent(began)
        for name, error in taken.failed.items():
            # before the commit, so that it names only the substreams that answered
            self._pause(name, f"it failed on an alert of night {outcome.night}: {error}")
        if outcome.alerts.num_rows >= _ENOUGH:
            self._weigh(chosen, outcome.alerts, spent)
        return taken

    def _weigh(self, chosen: Mapping[str, Compiled], alerts: pa.Table, spent: float) -> None:
        """Add up what substreams cost; where it is too much, measure each, and pause the dearest until the rest is not."""
        cost = self._cost
        cost.seconds, cost.alerts, cost.batches = cost.seconds + spent, cost.alerts + alerts.num_rows, cost.batches + 1
        if cost.batches < _BATCHES:
            return
        mean = cost.seconds * 1e6 / cost.alerts
        self._cost = _Cost()
        one, together = self._limits.microseconds, self._limits.total_microseconds
        if mean <= min(one, together):
            return
        each = {name: microseconds(c, alerts, self._plan.vocabulary, enough=one) for name, c in chosen.items() if name in self._live}
        for name, own in sorted(each.items(), key=lambda item: -item[1]):
            if own > one:
                self._pause(name, f"it takes {own:.3g} us an alert, and {one:g} is the limit; make it simpler, and switch it on again")
            elif mean > together:
                self._pause(name, f"users' substreams take {mean:.3g} us an alert together, and {together:g} is the limit; try again later")
            else:
                break
            mean -= own

    def committed(self, commit: Commit) -> None:
        """Pause the substreams that have taken more in this night than they may."""
        for name in commit.selected.keys() & self._live.keys():
            count, most = self._count(name, commit), self._live[name].substream.most_per_night
            if count > most:
                self._pause(
                    name,
                    f"it took {count:,} alerts of night {commit.night} up to commit {commit.number}, and {most:,} is its limit; "
                    "narrow it, or raise the limit, and switch it on again",
                )

    def _count(self, name: str, commit: Commit) -> int:
        """Count what a substream took of a night since it was switched on."""
        night, count = self._taken.get(name, (0, 0))
        if night == commit.night:
            count += commit.selected[name]
        else:
            # after a restart, what earlier commits of the night took counts too
            earlier = self._archive.commits(after=self._since[name] - 1) if name not in self._taken else iter((commit,))
            count = sum(one.selected.get(name, 0) for one in earlier if one.night == commit.night)
        self._taken[name] = (commit.night, count)
        return count

    def _pause(self, name: str, message: str) -> None:
        self._users.pause(self._live[name].substream, message)
        self._adopt({other: compiled for other, compiled in self._live.items() if other != name}, self._users.all())


def selections_of(archive: EmbeddedArchive, commit: Commit, alerts: pa.Table, plan: Plan) -> dict[str, NDArray[np.int64]]:
    """Select once more what the users' substreams that a commit names take of its alerts: places in its rows, by substream.

    Raises
    ------
    NotFoundError
        If the positions of a watchlist are no longer there.
    """
    types: dict[str, Any] = {name: column.type for name, column in plan.vocabulary.items()}
    chosen = {}
    for name, identity in archive.plan(commit.plan_id).users.items():
        substream, canonical = UserSubstream.from_record(archive.substream_definition(identity))
        places = open_places(archive.folder / PLACES, substream)
        compiled = compile_substream(replace(substream, where=canonical), types, {}, places)
        if compiled.applies_to(commit.survey):
            chosen[name] = compiled
    masks = _take(chosen, alerts, plan.vocabulary).masks if chosen else {}
    return {name: np.flatnonzero(mask) for name, mask in masks.items()}
