"""Simulated nights that many tests read; each is made once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fink import surveys
from fink.config import BatchSettings, load_settings
from fink.factory import schema_of_id
from fink.simulator.survey import SimulatedNight, simulate_nights
from fink.streams import Source, SourceBatch
from fink.streams.files import FilesSource
from fink.surveys import Survey

SURVEYS: Mapping[str, Survey] = surveys.registry()


@cache
def nights(survey: str, count: int, alerts: int, seed: int = 1) -> tuple[SimulatedNight, ...]:
    """Simulate nights without stamps."""
    return tuple(simulate_nights(survey, count, alerts, seed, stamps=False))


def allocate(size: int) -> NDArray[np.uint8]:
    """Give memory for a batch."""
    return np.zeros(size, np.uint8)


def source_of(*paths: Path, progress: Mapping[bytes, bytes] | None = None, again: bool = False) -> FilesSource:
    """Make a source of files that knows the built-in surveys and schemas."""
    return FilesSource(paths, SURVEYS, schema_of_id(load_settings()), progress, again=again)


def batches_of(source: Source, limits: BatchSettings | None = None) -> list[SourceBatch]:
    """Read a source to its end."""
    found = []
    while (batch := source.next_batch(limits or BatchSettings.model_validate({}), allocate)) is not None:
        found.append(batch)
    return found


def given(batches: list[SourceBatch]) -> list[bytes]:
    """Give what batches hold, in order: the bodies of records and of unreadable items."""
    items: list[bytes] = []
    for batch in batches:
        items += [batch.packets.body(row) for row in range(len(batch.packets))] if batch.packets else []
        items += [item.body for item in batch.quarantined]
    return items
