"""A large archive, made straight from columns: no packet is read and no module runs, but every commit is a real one.

Some objects, all over the sky, are seen every fourth night. A commit holds the alerts of one region, as an exposure does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.archive.embedded import EmbeddedArchive
from fink.commits import Outcome
from fink.config import RetentionSettings
from fink.lightcurves import DETECTION, FORCED, LIMIT, LightCurves
from fink.sky import healpix
from fink.surveys import registry
from fink.tables import PADDING, Cutouts, Packets

SIGHTINGS = 5
"""Alerts of each object."""

EVERY = 4
"""Nights from one sighting to the next."""

POINTS = 3
"""Points that each packet carries: the detection, a forced one, a limit."""

_FIRST_MJD = 58120.2
_KEEP_NOTHING = RetentionSettings(packets="none", cache_megabytes=512)


class LargeSky:
    """Objects of one survey, ordered by their place on the sky.

    Parameters
    ----------
    survey
        Name of the survey.
    n_objects
        How many.
    """

    def __init__(self, survey: str, n_objects: int) -> None:
        rng = np.random.default_rng(11)
        ra, dec = rng.uniform(0, 360, n_objects), np.degrees(np.arcsin(rng.uniform(-1, 1, n_objects)))
        order = np.argsort(healpix(12, ra, dec), kind="stable")
        self.survey, self.ra, self.dec = survey, ra[order], dec[order]
        self.bands = registry()[survey].bands

    def names(self, objects: NDArray[np.int64]) -> pa.Array:
        """Give the names of objects, in the survey's own form."""
        if self.survey == "lsst":
            return pc.cast(pa.array(10**17 + objects), pa.string())
        return pc.binary_join_element_wise("ZTF17", pc.utf8_lpad(pc.cast(pa.array(objects), pa.string()), 9, "0"), "")

    def outcomes(self, alerts: int, per_commit: int, first_night: int = 0) -> Iterator[Outcome]:
        """Give batches of some alerts in all, night after night."""
        n, made, night = len(self.ra), 0, first_night
        regions = -(-n // per_commit)
        while made < alerts:
            for region in range(night % EVERY, regions, EVERY):
                objects = np.arange(region * per_commit, min((region + 1) * per_commit, n))[: alerts - made]
                if len(objects):
                    yield self._outcome(objects, night)
                    made += len(objects)
            night += 1

    def _outcome(self, objects: NDArray[np.int64], night: int) -> Outcome:
        n = len(objects)
        rng = np.random.default_rng([night, int(objects[0])])
        mjd = np.sort(_FIRST_MJD + night + rng.uniform(0, 0.001, n))
        date = int(str(np.datetime64("1858-11-17") + int(_FIRST_MJD + night)).replace("-", ""))
        band = rng.integers(0, len(self.bands), n)
        flux = rng.lognormal(8, 1, n).astype(np.float32)
        names = pa.array([each.name for each in self.bands])
        alerts = pa.table(
            {
                "alert_id": pa.array(objects * 10_000 + night),
                "object_id": self.names(objects),
                "sso_name": pa.nulls(n, pa.string()),
                "survey": pa.array([self.survey] * n),
                "schema_version": pa.array(["4.02"] * n),
                "night": pa.array(np.full(n, date, np.int32)),
                "mjd": pa.array(mjd),
                "ra": pa.array(self.ra[objects] + rng.normal(0, 3e-5, n)).cast(pa.float64()),
                "dec": pa.array(np.clip(self.dec[objects] + rng.normal(0, 3e-5, n), -90, 90)),
                "band": names.take(pa.array(band)),
                "flux": pa.array(flux),
                "flux_err": pa.array(flux / 20),
                "mag": pa.array((31.4 - 2.5 * np.log10(flux)).astype(np.float32)),
                "mag_err": pa.array(np.full(n, 0.05, np.float32)),
                "positive": pa.array(rng.random(n) < 0.8),
                "total_flux": pa.array(flux * 3),
                "real_score": pa.array(rng.random(n).astype(np.float32)),
                "flagged": pa.array(np.zeros(n, np.bool_)),
                "n_detections": pa.array(np.full(n, night // EVERY + 1, np.int32)),
                "first_mjd": pa.array(np.full(n, _FIRST_MJD)),
                "age": pa.array(np.full(n, night, np.float32)),
            }
        )
        packets = Packets(np.zeros(200 + PADDING, np.uint8), np.zeros(n, np.int64), np.full(n, 200), np.zeros(n, np.int32), (b"{}",))
        points = self._points(mjd, band, flux)
        chosen = {"one_in_a_hundred": objects % 100 == 0}
        return Outcome(self.survey, date, "large archive", alerts, points, packets, Cutouts.none(n), chosen)

    def _points(self, mjd: NDArray[np.float64], band: NDArray[np.int64], flux: NDArray[np.float32]) -> LightCurves:
        n = len(mjd)
        ages, kinds = np.array([3.0, 1.0, 0.0]), np.array([LIMIT, FORCED, DETECTION], np.int8)
        fluxes = np.stack([np.full(n, np.nan, np.float32), flux * np.float32(0.9), flux], axis=1).ravel()
        return LightCurves(
            offsets=np.arange(n + 1, dtype=np.int64) * POINTS,
            mjd=(mjd[:, None] - ages).ravel(),
            band=np.repeat(band, POINTS).astype(np.int8),
            kind=np.tile(kinds, n),
            flux=fluxes,
            flux_err=np.repeat(flux / 20, POINTS),
            total_flux=np.full(n * POINTS, np.nan, np.float32),
            total_flux_err=np.full(n * POINTS, np.nan, np.float32),
            point_id=np.zeros(n * POINTS, np.int64),
            detector=np.ones(n * POINTS, np.int16),
            bands=self.bands,
        )


def write_large_archive(folder: Path, alerts: int, survey: str = "ztf") -> LargeSky:
    """Make an archive of some alerts, compacted, and give the sky that they are of."""
    sky = LargeSky(survey, max(alerts // SIGHTINGS, 1))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with EmbeddedArchive.create(folder, _KEEP_NOTHING) as archive:
        for outcome in sky.outcomes(alerts, 10_000):
            archive.apply(outcome)
        archive.compact()
    return sky


def keep_writing(folder: Path, alerts: int, survey: str, rate: float, seconds: float) -> None:
    """Go on writing to an archive of `write_large_archive`, at a rate [1/s] if it can, and print how many were written."""
    sky = LargeSky(survey, max(alerts // SIGHTINGS, 1))
    written, began = 0, time.monotonic()
    with EmbeddedArchive.open(folder, _KEEP_NOTHING) as archive:
        print("writing", flush=True)
        for outcome in sky.outcomes(sys.maxsize, 1000, first_night=1000):
            archive.apply(outcome)
            archive.maintain()
            written += outcome.alerts.num_rows
            ahead = written / rate - (time.monotonic() - began)
            if time.monotonic() - began > seconds:
                break
            time.sleep(max(ahead, 0))
    print(written / (time.monotonic() - began), flush=True)


if __name__ == "__main__":
    keep_writing(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), float(sys.argv[5]))
