"""What one batch goes through before its commit: decode, history, modules. Runs in a worker or in the committing process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink import surveys
from fink.commits import ModuleCounts
from fink.engines.plan import Plan
from fink.lightcurves import LightCurves
from fink.surveys import Refusal
from fink.tables import Cutouts, Packets

if TYPE_CHECKING:
    from fink.archive.embedded import EmbeddedArchive


@dataclass(frozen=True)
class Computed:
    """A batch with every column of the plan.

    Parameters
    ----------
    alerts
        ``n`` rows with every column.
    points
        The points that the packets carried, ``n`` light curves.
    cutouts
        Where the stamps of the ``n`` alerts lie.
    rows
        (n,) the packets that they came from.
    refusals
        Packets that turned out not to be readable.
    modules
        What each module did.
    """

    alerts: pa.Table
    points: LightCurves
    cutouts: Cutouts
    rows: NDArray[np.int64]
    refusals: tuple[Refusal, ...]
    modules: Mapping[str, ModuleCounts]


def compute(survey_name: str, night: int, packets: Packets, plan: Plan, archive: EmbeddedArchive | None) -> Computed:
    """Decode packets of one survey and night, join their older history, and run the plan.

    Parameters
    ----------
    archive
        Where older points come from; None when there is no archive.
    """
    survey = surveys.registry()[survey_name]
    batch, rows, refusals = survey.decode(packets)
    points = batch.lightcurves
    if archive is not None and len(batch):
        batch = replace(batch, lightcurves=archive.history(batch, night, survey.history_window))
    batch, modules = plan.run(batch)
    return Computed(batch.alerts.combine_chunks(), points, batch.cutouts, rows, refusals, modules)
