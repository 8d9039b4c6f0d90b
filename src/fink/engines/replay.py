"""A replay: what a commit says, computed once more from its packets and from the history that it saw.

The columns must come out bit-identical, for one lock file and one family of processors, as long as the plan is the one that
the commit names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from fink import surveys
from fink.archive.embedded import EmbeddedArchive
from fink.engines.plan import Plan
from fink.engines.users import selections_of
from fink.errors import ArchiveError, PlanError
from fink.tables import Packets


def replay_commit(archive: EmbeddedArchive, number: int, plan: Plan, artifacts: Path | None = None) -> list[str]:
    """Compute a commit again and name the columns, and the users' substreams, that come out differently; none is hoped for.

    Parameters
    ----------
    artifacts
        Folder where the versions of catalogues that answered then are looked for, where they are others than the plan's.

    Raises
    ------
    PlanError
        If the plan is not the one that the commit names.
    ArchiveError
        If a packet was not kept.
    ArtifactError
        If a version of a catalogue is no longer there.
    """
    commit = archive.commit(number)
    made = archive.plan(commit.plan_id)
    if artifacts is not None:
        plan = plan.with_versions(artifacts, made.artifacts)
    if plan.record.identity != made.standing.identity:
        raise PlanError(
            f"commit {number} was made with plan {made.standing.identity}, this one is {plan.record.identity}; replay with that version"
        )
    rows = archive.commit_rows(number)
    if rows.num_rows == 0:
        return []
    again = recompute(archive, commit.survey, commit.night, number - 1, rows["alert_id"].to_pylist(), plan)
    names = [name for name in rows.column_names if name in again.column_names]
    selections = selections_of(archive, commit, again, plan)
    changed = [name for name, taken in selections.items() if not np.array_equal(taken, archive.selected_rows(number, name))]
    return [name for name in names if not same_bits(rows[name], again[name])] + changed


def recompute(archive: EmbeddedArchive, survey_name: str, night: int, as_of: int, alert_ids: list[int], plan: Plan) -> pa.Table:
    """Give every column of some alerts of one night, from their packets and the history as of a commit."""
    survey = surveys.registry()[survey_name]
    packets = packets_of(archive, survey_name, alert_ids)
    batch, _, refusals = survey.decode(packets)
    if refusals:
        raise ArchiveError(
            f"the packet of alert {alert_ids[refusals[0].row]} cannot be read again: {refusals[0].reason}; check the archive"
        )
    curves = archive.history(batch, night, survey.history_window, as_of=as_of)
    result, _ = plan.run(type(batch)(batch.survey, batch.alerts, curves, batch.packets, batch.cutouts))
    return result.alerts


def packets_of(archive: EmbeddedArchive, survey: str, alert_ids: list[int]) -> Packets:
    """Read the packets of some alerts back.

    Raises
    ------
    ArchiveError
        If one was not kept.
    """
    bodies, texts = [], []
    for alert_id in alert_ids:
        found = archive.packet(survey, alert_id)
        if found is None:
            raise ArchiveError(f"the packet of alert {alert_id} was not kept; run with retention.packets = all to be able to replay")
        bodies.append(found[0])
        texts.append(found[1])
    schemas = tuple(dict.fromkeys(texts))
    joined = Packets.from_bodies(bodies, schemas[0])
    numbers = {schema: i for i, schema in enumerate(schemas)}
    return Packets(joined.buffer, joined.starts, joined.ends, np.array([numbers[text] for text in texts], np.int32), schemas)


def same_bits(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Say whether two columns are the same to the last bit, nulls included."""
    a, b = one.combine_chunks(), other.combine_chunks()
    if a.type != b.type or a.null_count != b.null_count or len(a) != len(b):
        return False
    if not a.is_null().equals(b.is_null()):
        return False
    if pa.types.is_floating(a.type):
        zero = pa.scalar(0.0, a.type)
        return bool(a.fill_null(zero).to_numpy().tobytes() == b.fill_null(zero).to_numpy().tobytes())
    return bool(a.equals(b))
