"""What users do with substreams of their own: create, try, edit, switch and remove them, while a run goes on or not.

Everything is written into the user state beside the archive; a run takes it up between two commits. What would cost or select too
much is refused here, on what the archive knows of the last month, and paused by the run where it turns out later.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from fink import filters, surveys
from fink.archive.embedded import PLACES, EmbeddedArchive
from fink.archive.substreams import Kept, UserSubstreams
from fink.config import UserSettings
from fink.errors import ForbiddenError, NotFoundError, QuotaError, RefusedError, did_you_mean
from fink.filters.places import Area, PositionList, open_places
from fink.filters.users import EVERYTHING, Compiled, Kind, UserSubstream, check_name
from fink.services.trials import Span, Trial, compiled, measured, try_out

_HOUR = 3600.0


@dataclass(frozen=True)
class Wanted:
    """What a user asks a substream to be; None leaves a value as it is, or as it is by default.

    Parameters
    ----------
    about
        What it holds, in one sentence.
    where
        Its condition.
    surveys
        The surveys it applies to; none means all.
    most_per_night
        Alerts that it may take in a night.
    places
        A list of positions, or an area.
    """

    about: str | None = None
    where: str | None = None
    surveys: Sequence[str] | None = None
    most_per_night: int | None = None
    places: PositionList | Area | None = None


class Substreams:
    """The users' substreams of an archive.

    Parameters
    ----------
    archive
        Open for reading, or for writing.
    limits
        What a substream may cost and select.
    """

    def __init__(self, archive: EmbeddedArchive, limits: UserSettings) -> None:
        self._archive, self._limits = archive, limits
        self._kept = UserSubstreams(archive.folder)

    def create(self, name: str, owner: str, wanted: Wanted, *, on: bool = True) -> tuple[UserSubstream, Trial]:
        """Create a substream, once it was tried on the last month.

        Raises
        ------
        ConditionError
            If its name or its condition cannot be.
        RefusedError
            If the name is taken, it would cost or select too much, or its owner has or changes too many.
        """
        check_name(name, filters.registry())
        taken = {kept.substream.name: kept for kept in self._kept.all()}
        if name in taken:
            raise RefusedError(f"{taken[name].substream.owner} has a substream {name} already; edit it, or choose another name")
        return self._write(UserSubstream(name, owner, 0, "", most_per_night=self._limits.most_per_night), wanted, on=on)

    def edit(self, name: str, owner: str, wanted: Wanted) -> tuple[UserSubstream, Trial]:
        """Make the next version of a substream, which selects in place of the one before; one that was paused is on again.

        Raises
        ------
        NotFoundError
            If there is none of this name.
        ConditionError, RefusedError
            As `create`.
        """
        kept = self._own(name, owner)
        return self._write(kept.substream, wanted, on=kept.state != "off")

    def switch(self, name: str, owner: str, state: Literal["on", "off", "removed"]) -> Kept:
        """Switch a substream on or off, or remove it.

        Raises
        ------
        NotFoundError
            If there is none of this name.
        RefusedError
            If it belongs to somebody else, or its owner has or changes too many.
        """
        self._own(name, owner)
        self._check_pace(owner)
        if state == "on":
            self._check_number(owner, name)
        self._kept.switch(name, state)
        return self._kept.one(name) if state != "removed" else next(k for k in self._kept.all(removed=True) if k.substream.name == name)

    def try_out(
        self,
        text: str,
        *,
        days: int | None = None,
        night: int | Span | None = None,
        survey: str | None = None,
        places: Any = None,
        cost: bool = True,
        patience: float = 60.0,
    ) -> Trial:
        """Say what a condition, or a substream by its name, would have selected from the archive; see `fink.services.trials`."""
        if survey is not None and survey not in surveys.registry():
            raise NotFoundError(f"there is no survey {survey}{did_you_mean(survey, surveys.registry())}")
        chosen = self.named(text, places)
        return try_out(self._archive, chosen, days=days, night=night, survey=survey, cost=cost, patience=patience)

    def named(self, text: str, places: PositionList | Area | None = None) -> Compiled:
        """Give a built-in substream, a user's, or one of a condition, ready to be evaluated."""
        if text in filters.registry():
            declared = filters.registry()[text]
            return compiled(UserSubstream(text, "fink", 1, declared.about, declared.where, declared.surveys), places)
        for kept in self._kept.all():
            if kept.substream.name == text:
                return compiled(kept.substream, open_places(self._archive.folder / PLACES, kept.substream))
        return compiled(UserSubstream("", "", 0, "", text, places="given" if places is not None else ""), places)

    def listed(self) -> list[dict[str, Any]]:
        """Give every user's substream as it stands."""
        taken = self._archive.ledger()["substreams"]
        return [described(kept, taken.get(kept.substream.name, 0)) for kept in self._kept.all()]

    def one(self, name: str) -> dict[str, Any]:
        """Give one user's substream as it stands."""
        return described(self._kept.one(name), self._archive.ledger()["substreams"].get(name, 0))

    def versions(self, name: str) -> list[dict[str, Any]]:
        """Give every version of a user's substream."""
        return [_definition(substream) | {"created": _moment(created)} for substream, created in self._kept.versions(name)]

    def _own(self, name: str, owner: str) -> Kept:
        kept = self._kept.one(name)
        if kept.substream.owner != owner:
            raise ForbiddenError(f"{name} belongs to {kept.substream.owner}, and you are {owner}; ask its owner")
        return kept

    def _write(self, before: UserSubstream, wanted: Wanted, *, on: bool) -> tuple[UserSubstream, Trial]:
        substream = self._changed(before, wanted)
        self._check_pace(substream.owner)
        if on:
            self._check_number(substream.owner, substream.name)
        places = wanted.places or open_places(self._archive.folder / PLACES, before)
        if wanted.places is not None:
            # checked and tried before anything of it is written
            substream = replace(substream, places="given")
        chosen = compiled(substream, places)
        self._check_cost(substream, measured(self._archive, chosen))
        trial = try_out(self._archive, chosen)
        self._check_yield(substream, trial)
        if wanted.places is not None:
            substream = replace(substream, places=wanted.places.write(self._archive.folder / PLACES))
        return self._kept.add(substream, "on" if on else "off"), trial

    def _changed(self, before: UserSubstream, wanted: Wanted) -> UserSubstream:
        for survey in wanted.surveys or ():
            if survey not in surveys.registry():
                raise NotFoundError(f"there is no survey {survey}{did_you_mean(survey, surveys.registry())}")
        where = " ".join((wanted.where if wanted.where is not None else before.where).split())
        most = before.most_per_night if wanted.most_per_night is None else wanted.most_per_night
        if not 0 < most <= self._limits.most_per_night:
            raise RefusedError(f"{most} alerts a night cannot be the limit; give 1 to {self._limits.most_per_night} (users.most_per_night)")
        changed = replace(before, where=where, most_per_night=most)
        if wanted.surveys is not None:
            changed = replace(changed, surveys=tuple(wanted.surveys))
        if wanted.places is not None:
            self._check_size(wanted.places)
            kind: Kind = "area" if isinstance(wanted.places, Area) else "watchlist"
            changed = replace(changed, kind=kind, entries=len(wanted.places))
        return replace(changed, about=wanted.about if wanted.about is not None else before.about or _about(changed))

    def _check_size(self, places: PositionList | Area) -> None:
        most = self._limits.positions
        if len(places) > most:
            raise RefusedError(f"{len(places):,} entries are too many; {most:,} is the limit (users.positions)")

    def _check_pace(self, owner: str) -> None:
        changes, most = self._kept.changes_of(owner, time.time() - _HOUR), self._limits.changes_per_hour
        if changes >= most:
            raise QuotaError(f"{owner} made {changes} changes in the last hour, and {most} is the limit; wait a little", 600.0)

    def _check_number(self, owner: str, name: str) -> None:
        others = [k for k in self._kept.all() if k.state == "on" and k.substream.owner == owner and k.substream.name != name]
        if len(others) >= self._limits.per_owner:
            raise RefusedError(
                f"{owner} has {len(others)} substreams switched on, and {self._limits.per_owner} is the limit; switch one off"
            )

    def _check_cost(self, substream: UserSubstream, cost: float | None) -> None:
        most = self._limits.microseconds
        if cost is not None and cost > most:
            raise RefusedError(
                f"{substream.name} would take {cost:.3g} us an alert, and {most:g} is the limit (users.microseconds); make it simpler"
            )

    def _check_yield(self, substream: UserSubstream, trial: Trial) -> None:
        night, selected = trial.fullest
        if selected > substream.most_per_night:
            raise RefusedError(
                f"{substream.name} would have selected {selected:,} alerts of night {night}, and {substream.most_per_night:,} "
                "is its limit; narrow it, or raise the limit"
            )


def known_substreams(archive: EmbeddedArchive) -> dict[str, str]:
    """Give the name of every substream that may be asked for, and what it holds: built-in ones, users', and former ones."""
    former = dict.fromkeys(archive.ledger()["substreams"], "What a former substream of this name selected")
    users = {kept.substream.name: kept.substream.about for kept in UserSubstreams(archive.folder).all()}
    return {**former, **users, **{name: declared.about for name, declared in filters.registry().items()}}


def _about(substream: UserSubstream) -> str:
    """Say what a substream holds, where its owner does not."""
    if substream.kind == "filter":
        return substream.where
    what = f"{substream.entries:,} positions" if substream.kind == "watchlist" else "an area of the sky"
    return f"Alerts in {what}" + (f" where {substream.where}" if substream.where != EVERYTHING else "")


def described(kept: Kept, selected: int) -> dict[str, Any]:
    """Give a user's substream as it stands, as one document."""
    record = _definition(kept.substream) | {"state": kept.state, "message": kept.message}
    since = kept.since if kept.adopted == kept.substream.version else None
    record |= {"since_commit": since, "selected": selected, "created": _moment(kept.created)}
    return record | {"topics": topics(kept.substream)}


def topics(substream: UserSubstream) -> list[str]:
    """Name the Kafka topics of a substream, one for each survey."""
    return [f"fink_{substream.name}_{survey}" for survey in substream.surveys or surveys.registry()]


def _definition(substream: UserSubstream) -> dict[str, Any]:
    record: Mapping[str, Any] = {
        "name": substream.name,
        "version": substream.version,
        "owner": substream.owner,
        "kind": substream.kind,
        "holds": substream.about,
        "where": substream.where,
        "surveys": list(substream.surveys) or None,
        "entries": substream.entries or None,
        "most_per_night": substream.most_per_night,
    }
    return dict(record)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
