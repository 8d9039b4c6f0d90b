"""Light-curve tables as people have them, for tests."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fink.columns import CORE
from fink.services.lightcurve_tables import KINDS, OF_POINTS
from fink.tables import AlertBatch


def table_of(batch: AlertBatch) -> pa.Table:
    """Write the light curves of alerts as one row for each point, each alert an object, with the alert's own columns beside."""
    curves, owners = batch.lightcurves, batch.lightcurves.owners()
    names = {number: name for name, number in KINDS.items()}
    columns = {
        "object_id": pa.array([str(number) for number in batch.alerts["alert_id"].to_pylist()]).take(pa.array(owners)),
        "mjd": curves.mjd,
        "band": pa.array([curves.bands[b].name for b in curves.band], pa.string()),
        "survey": pa.array([curves.bands[b].survey for b in curves.band], pa.string()),
        "kind": pa.array([names[kind] for kind in curves.kind], pa.string()),
    }
    columns |= {name: getattr(curves, name) for name in ("flux", "flux_err", "total_flux", "total_flux_err")}
    alerts = {c.name: batch.alerts[c.name].take(pa.array(owners)) for c in CORE if c.name not in OF_POINTS}
    return pa.table(columns | alerts)


def supernovae(objects: int, points: int, bands: str = "griz", seed: int = 1) -> pa.Table:
    """Draw pulses over sixty days in several bands: the columns that a table must have, and no more."""
    rng = np.random.default_rng(seed)
    mjd = np.sort(rng.uniform(60000.0, 60060.0, (objects, points)), axis=1)
    band = rng.integers(0, len(bands), (objects, points))
    phase = mjd - 60020.0 + rng.normal(0.0, 3.0, (objects, 1))
    bright = rng.uniform(5e3, 5e4, (objects, 1)) * np.exp(-phase / 25.0) / (1.0 + np.exp(-phase / 3.0)) * (1.0 - 0.15 * band)
    error = 300.0 + 0.02 * bright
    return pa.table(
        {
            "object_id": np.repeat([f"sn{i:05d}" for i in range(objects)], points),
            "mjd": mjd.ravel(),
            "band": np.array(list(bands))[band.ravel()],
            "flux": rng.normal(bright, error).ravel(),
            "flux_err": error.ravel(),
        }
    )
