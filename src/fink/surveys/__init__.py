"""Surveys: the one place where surveys differ. Each file maps one survey's packets to the common columns."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fink.columns import Column
from fink.config import SurveySettings
from fink.lightcurves import Band
from fink.surveys.names import PublicName
from fink.tables import AlertBatch, Packets


@dataclass(frozen=True)
class Refusal:
    """A packet that cannot be read: its row in the packets that were given, and the reason."""

    row: int
    reason: str


@runtime_checkable
class Survey(Protocol):
    """What a survey says of itself, and how its packets become columns."""

    name: str
    columns: tuple[Column, ...]
    """The survey's own columns, beyond the core vocabulary."""
    bands: tuple[Band, ...]
    """Its filters; light curves count them."""
    history_window: float
    """Days of history that a packet carries [d]: older points come from the archive."""
    pixel_scale: float
    """Size of a stamp's pixel [arcsec]; NaN where it is not known."""

    def recognises(self, schema: bytes) -> bool:
        """Say whether packets of this writer's schema (JSON text) are of this survey.

        Raises
        ------
        SchemaError
            If they are, but of a version that is not supported.
        """

    def writer_schemas(self) -> Sequence[bytes]:
        """Give the schemas of packets that may come without one, newest first; none where that does not happen."""

    def schema_of_number(self, number: int) -> bytes | None:
        """Give the schema that this survey's messages name by a number; None where it is not one of this survey's.

        Raises
        ------
        SchemaError
            If it is one of this survey's, but of a version that is not supported.
        """

    def decode(self, packets: Packets, *, own: bool = True) -> tuple[AlertBatch, NDArray[np.int64], tuple[Refusal, ...]]:
        """Turn packets of this survey into columns and light curves.

        Parameters
        ----------
        own
            Whether to give the survey's own columns too, beside the core vocabulary.

        Returns
        -------
        batch
            The alerts that could be read, in the order of the packets.
        rows
            (n,) row of each in ``packets``.
        refusals
            The packets that could not, each with its reason.
        """

    def nights(self, packets: Packets) -> tuple[NDArray[np.int32], tuple[Refusal, ...]]:
        """Give the night of each packet as YYYYMMDD, reading no more of it than that takes; 0 where it cannot be read."""

    def configured(self, settings: SurveySettings) -> Survey:
        """Give this survey as the settings want it."""

    def public_name(self, column: str) -> str:
        """Give the name under which this survey's users know a column."""

    def packet_name(self, column: str) -> PublicName:
        """Give the place of an added column in the packets that Fink sends."""


@cache
def registry() -> Mapping[str, Survey]:
    """Give every survey by name; each file of this package defines one, called ``survey``."""
    found: dict[str, Survey] = {}
    for info in pkgutil.iter_modules(__path__):
        candidate = getattr(importlib.import_module(f"{__name__}.{info.name}"), "survey", None)
        if isinstance(candidate, Survey):
            found[candidate.name] = candidate
    return found


def configure(settings: SurveySettings) -> None:
    """Make every survey of this process as the settings want it."""
    surveys = registry()
    assert isinstance(surveys, dict)
    surveys.update({name: survey.configured(settings) for name, survey in surveys.items()})
