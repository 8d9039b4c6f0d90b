"""Outcomes for the tests of the archive: a small sky whose objects are seen night after night, each packet with its past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.archive.embedded import EmbeddedArchive
from fink.columns import COLUMNS, Column
from fink.commits import ModuleCounts, Outcome
from fink.config import RetentionSettings
from fink.lightcurves import DETECTION, FORCED, LIMIT, POINT_TYPES, Band, LightCurves
from fink.tables import PADDING, AlertBatch, Cutouts, Packets

BANDS = (Band("g", "ztf", 4746.0), Band("r", "ztf", 6366.0), Band("i", "ztf", 7829.0))
WINDOW = 30.0
"""Days that a packet carries."""

NIGHTS = (20200101, 20200104, 20200120, 20200210, 20200301, 20200401)
_MJD = dict(zip(NIGHTS, (58849.2, 58852.2, 58868.2, 58889.2, 58909.2, 58940.2), strict=True))
SCHEMA = b'{"type": "record", "name": "sample", "fields": []}'


def create(folder: Path, settings: RetentionSettings | None = None, *, columns: Mapping[str, Column] = COLUMNS) -> EmbeddedArchive:
    """Make an archive of the common columns, whatever modules there are."""
    return EmbeddedArchive.create(folder, settings, columns=columns)


def reopen(folder: Path, settings: RetentionSettings | None = None, **options: Any) -> EmbeddedArchive:
    """Open an archive that `create` made."""
    return EmbeddedArchive.open(folder, settings, columns=COLUMNS, **options)


@dataclass(frozen=True)
class Sample:
    """Alerts of one night with their packets: a batch, and the true points of each object."""

    batch: AlertBatch
    night: int

    def take(self, rows: Any) -> Sample:
        return Sample(self.batch.take(np.asarray(rows, np.int64)), self.night)


@dataclass
class SmallSky:
    """Some objects, seen on `NIGHTS` with several exposures a night.

    Parameters
    ----------
    n_objects
        How many; one in ten is a moving object without an id of its own.
    survey
        ``ztf``: points without numbers. ``lsst``: points with numbers.
    """

    n_objects: int = 40
    survey: str = "ztf"
    seed: int = 1
    exposures: int = 3
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        n = self.n_objects
        self.ra = self._rng.uniform(0, 360, n)
        self.dec = np.degrees(np.arcsin(self._rng.uniform(-1, 1, n)))
        self.moving = np.arange(n) % 10 == 9
        times = [_MJD[night] + 0.05 * k for night in NIGHTS for k in range(self.exposures)]
        self.times = np.array(times)
        self.kind = self._rng.choice([DETECTION, DETECTION, FORCED, LIMIT], (n, len(times)))
        self.flux = self._rng.normal(1000, 300, (n, len(times))).astype(np.float32)
        self.band = self._rng.integers(0, 3, (n, len(times)))

    def night(self, night: int) -> Sample:
        """Give every alert of a night: each object at each of its detections, in order of exposures."""
        k0 = NIGHTS.index(night) * self.exposures
        seen = [(o, k) for k in range(k0, k0 + self.exposures) for o in range(self.n_objects) if self.kind[o, k] == DETECTION]
        return Sample(self._batch(np.array(seen, np.int64).reshape(-1, 2), night), night)

    def alert_id(self, o: Any, k: Any) -> Any:
        """Number of the alert of an object at an exposure; some are negative."""
        return (np.asarray(k, np.int64) * 1_000_003 + np.asarray(o, np.int64) * 7919) * np.where(np.asarray(o) % 3 == 0, -1, 1)

    def _batch(self, seen: NDArray[np.int64], night: int) -> AlertBatch:
        n = len(seen)
        o, k = seen[:, 0], seen[:, 1]
        names = [None if self.moving[i] else f"{self.survey.upper()}{i:05d}" for i in o.tolist()]
        designations = [f"2020 AB{i}" if self.moving[i] else None for i in o.tolist()]
        drift = np.where(self.moving[o], 0.3 * (k - k.min() if n else 0), 0.0)
        flux = self.flux[o, k]
        alerts = pa.table(
            {
                "alert_id": pa.array(self.alert_id(o, k)),
                "object_id": pa.array(names, pa.string()),
                "sso_name": pa.array(designations, pa.string()),
                "survey": pa.array([self.survey] * n, pa.string()),
                "schema_version": pa.array(["1"] * n, pa.string()),
                "night": pa.array(np.full(n, night, np.int32)),
                "mjd": pa.array(self.times[k]),
                "ra": pa.array(self.ra[o]),
                "dec": pa.array(np.clip(self.dec[o] + drift, -90, 90)),
                "band": pa.array([BANDS[b].name for b in self.band[o, k].tolist()], pa.string()),
                "flux": pa.array(flux),
                "mag": pa.array(np.where(o % 7 == 0, np.nan, 20.0 + o % 5).astype(np.float32), from_pandas=True),
                "positive": pa.array(flux > 900),
                "n_detections": pa.array((k + 1).astype(np.int32)),
                "first_mjd": pa.array(self.times[np.zeros_like(k)]),
                "seeing": pa.array((1 + o % 11 / 5 + k / 100).astype(np.float32)),
            }
        )
        return AlertBatch(self.survey, alerts, self._curves(o, k), *self._packets(alerts))

    def _curves(self, o: NDArray[np.int64], k: NDArray[np.int64]) -> LightCurves:
        """Give each alert's packet: the points of the last `WINDOW` days up to it, and its own detection."""
        offsets, parts = [0], []
        for own, now in zip(o.tolist(), k.tolist(), strict=True):
            past = np.flatnonzero((self.times > self.times[now] - WINDOW) & (self.times <= self.times[now]))
            parts.append(np.stack([np.full(len(past), own), past, np.full(len(past), now)], axis=1))
            offsets.append(offsets[-1] + len(past))
        points = np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)
        who, when, now_ = points.T
        # each packet measures anew, by a trifle: which copy is taken can be told from its flux
        flux = self.flux[who, when] + (now_ - when).astype(np.float32) * np.float32(0.25)
        numbers = 1 + who * 10_000 + when if self.survey == "lsst" else np.zeros(len(who), np.int64)
        flat: dict[str, Any] = {
            "mjd": self.times[when],
            "band": self.band[who, when],
            "kind": self.kind[who, when],
            "flux": np.where(self.kind[who, when] == LIMIT, np.nan, flux),
            "flux_err": np.full(len(who), 50.0),
            "total_flux": np.full(len(who), np.nan),
            "total_flux_err": np.full(len(who), np.nan),
            "point_id": numbers,
            "detector": np.full(len(who), 3),
        }
        typed = {name: np.asarray(flat[name]).astype(type_) for name, type_ in POINT_TYPES.items()}
        return LightCurves(offsets=np.array(offsets, np.int64), bands=BANDS, **typed).sorted_by_time()

    def _packets(self, alerts: pa.Table) -> tuple[Packets, Cutouts]:
        bodies = [b"packet %020d of %s;" % (i, self.survey.encode()) + b"stamp" * 4 for i in alerts["alert_id"].to_pylist()]
        if not bodies:
            nothing = np.zeros(0, np.int64)
            return Packets(np.zeros(PADDING, np.uint8), nothing, nothing, nothing.astype(np.int32), (SCHEMA,)), Cutouts.none(0)
        packets = Packets.from_bodies(bodies, SCHEMA)
        length = np.tile(np.array([[20, 10, 5]], np.int64), (len(bodies), 1))
        return packets, Cutouts(packets.ends[:, None] - length, length)


def outcome(sample: Sample, *, source: str = "sample", selections: Mapping[str, Any] | None = None, **more: Any) -> Outcome:
    """Make the outcome of a batch: one substream takes every alert brighter than a flux, another every fifth number."""
    batch = sample.batch
    if selections is None:
        flux = batch.alerts["flux"].to_numpy()
        selections = {"bright": flux > 1200, "fifth": batch.alerts["alert_id"].to_numpy() % 5 == 0}
    return Outcome(
        survey=batch.survey,
        night=sample.night,
        source=source,
        alerts=batch.alerts,
        points=batch.lightcurves,
        packets=batch.packets,
        cutouts=batch.cutouts,
        selections=selections,
        modules={"rates": ModuleCounts(run=len(batch), seconds=0.5)},
        **more,
    )
