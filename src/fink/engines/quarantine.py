"""Reading quarantined items again, after an upgrade or with a schema that was missing then."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fink.archive.embedded import EmbeddedArchive
from fink.commits import Outcome
from fink.config import BatchSettings
from fink.engines.compute import compute
from fink.engines.embedded import outcome_of
from fink.engines.plan import Plan
from fink.engines.users import UserFilters
from fink.streams.files import FilesSource

OpenFile = Callable[[Path], FilesSource]
"""Opens one file as a source that has read nothing yet."""


def replay_items(
    archive: EmbeddedArchive,
    plan: Plan,
    open_file: OpenFile,
    limits: BatchSettings,
    identities: Sequence[str],
    users: UserFilters | None = None,
) -> int:
    """Archive what quarantined items hold, as far as they can be read now; the others stay.

    An item leaves the quarantine in the commit that archives the last of what it holds, so a stop in between loses nothing.

    Parameters
    ----------
    open_file
        Makes a source of a file.
    identities
        The items to try.
    users
        The users' substreams that select from what is read.

    Returns
    -------
    Number of items that left the quarantine.
    """
    moved = 0
    with tempfile.TemporaryDirectory() as folder:
        for identity in identities:
            path = Path(folder) / identity
            path.write_bytes(archive.quarantine_body(identity))
            outcomes = _outcomes(open_file(path), archive, plan, limits)
            for number, outcome in enumerate(outcomes, 1):
                selected = outcome if users is None else users.select(outcome)
                archive.apply(replace(selected, released=(identity,) if number == len(outcomes) else ()))
            moved += bool(outcomes)
            path.unlink()
    return moved


def _outcomes(source: FilesSource, archive: EmbeddedArchive, plan: Plan, limits: BatchSettings) -> list[Outcome]:
    """Give what a file holds, computed, or nothing where any of it still cannot be read."""
    plan_id = archive.register_plan(plan.record)
    outcomes = []
    while (batch := source.next_batch(limits, lambda size: np.empty(size, np.uint8))) is not None:
        if batch.packets is None:
            return []
        computed = compute(batch.survey, batch.night, batch.packets, plan, archive)
        if computed.refusals:
            return []
        outcomes.append(replace(outcome_of(batch, computed, plan, plan_id), source="quarantine", progress={}))
    return outcomes
