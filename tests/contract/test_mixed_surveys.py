"""Light curves that mix surveys: every module takes them, and no module takes the bands of one survey for those of another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from alert_batches import NOW, alert_batch
from fink import science, surveys
from fink.engines.plan import RUN, Plan, build_plan
from fink.lightcurves import DETECTION, FORCED, LIMIT, POINT_TYPES, Band, LightCurves
from fink.science import ScienceModule
from fink.tables import AlertBatch

ZTF, LSST = surveys.registry()["ztf"].bands, surveys.registry()["lsst"].bands
N = 60

JOINS = {
    "brightness_trend": "bands that brighten are counted, whoever observed in them",
    "detection_history": "what was seen was seen, whoever saw it; bands are counted by their letter",
    "solar_system_status": "two detections tell whether an object moves, whoever made them",
    "transient_flag": "an earlier detection tells that a source stands still, whoever made it",
    "light_curve_features": "bands are joined to a column by their letter, and that with more points is used",
    "bazin": "as light_curve_features",
    "rise": "as light_curve_features",
    "flare": "as light_curve_features",
    "black_body_rise": "as rainbow",
    "afterglow": "the bands of all surveys share the decay, each at its own wavelength",
    "period": "the bands of all surveys share the period, each with a mean and an amplitude of its own",
    "point_lens": "the bands of all surveys share the magnification, each with a flux of its own",
    "rainbow": "the bands of all surveys share the black body, each at its own wavelength",
}
"""Modules whose answer another survey's points may change, and why; those of all others may not."""

MODULES = [module for module in science.registry().values() if "lightcurves" in module.inputs]
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


def survey_points(bands: tuple[Band, ...], seed: int, count: int) -> LightCurves:
    """Make ``N`` light curves in one survey's bands: pulses of a hot source, and some that vary for ever."""
    rng = np.random.default_rng(seed)
    shape = (N, count)
    seen_for = np.where(np.arange(N)[:, None] % 4 == 1, 18.0, 60.0)  # some were found at their brightest
    mjd = NOW - 1.0 - seen_for * np.sort(rng.uniform(0.0, 1.0, shape), axis=1)[:, ::-1]
    mjd[:, -6:] = NOW - 0.3 + 0.02 * np.arange(6)
    band = rng.integers(0, len(bands), shape)
    band[:, -6:] = np.arange(6) % len(bands)
    wavelength = np.array([b.wavelength for b in bands])[band]
    phase = mjd - NOW + 25.0
    pulse = np.exp(-phase / 20.0) / (1.0 + np.exp(-phase / 3.0)) + 0.02
    wave = 1.0 + 0.4 * np.sin(2.0 * np.pi * mjd / (1.7 + 0.1 * np.arange(N)[:, None]))
    bright = 2e5 * np.where(np.arange(N)[:, None] % 2, pulse, wave) * (wavelength / 5000.0) ** -1.5
    error = 0.02 * bright + 300.0
    flux = rng.normal(bright, error)
    kind = np.where(flux > 5.0 * error, DETECTION, FORCED)
    kind[:, 0] = LIMIT
    flux[:, 0] = np.nan
    flat = {"mjd": mjd, "band": band, "kind": kind, "flux": flux, "flux_err": error}
    flat |= {"total_flux": flux + 4e4, "total_flux_err": error, "point_id": np.arange(N * count).reshape(shape) + 1}
    flat |= {"detector": np.full(shape, -1)}
    arrays = {name: flat[name].ravel().astype(dtype) for name, dtype in POINT_TYPES.items()}
    return LightCurves(offsets=np.arange(N + 1) * count, bands=bands, **arrays).sorted_by_time()


def rebanded(curves: LightCurves, bands: tuple[Band, ...]) -> LightCurves:
    """Count the bands of the same points in another list."""
    places = np.array([bands.index(band) for band in curves.bands], np.int8)
    return replace(curves, band=places[curves.band], bands=bands)


def joined(parts: list[LightCurves], bands: tuple[Band, ...]) -> LightCurves:
    """Put the points of the same objects into one light curve each."""
    parts = [rebanded(part, bands) for part in parts]
    owners = np.concatenate([part.owners() for part in parts])
    order = np.argsort(owners, kind="stable")
    flat = {name: np.concatenate([part.arrays()[name] for part in parts])[order] for name in parts[0].arrays()}
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=N))])
    return LightCurves(offsets=offsets, bands=bands, **flat).sorted_by_time()


def batch_of(curves: LightCurves, own: LightCurves) -> AlertBatch:
    """Make the alerts whose own points are the last detections of ``own``."""
    seen = np.flatnonzero(own.kind == DETECTION)
    last = seen[np.searchsorted(own.owners()[seen], np.arange(N), side="right") - 1]
    common = {"n_detections": 40, "n_visits": 80, "age": 60.0, "first_mjd": NOW - 60.0, "snr": 30.0, "mag": 17.5, "real_score": 0.99}
    common |= {"flagged": False, "is_dipole": False, "seeing": 1.5, "elongation": 1.1, "template_flux": 4e4, "template_flux_err": 100.0}
    rows = [
        common
        | {
            "alert_id": i + 1,
            "object_id": f"o{i}",
            "age": 25.0 if i % 4 == 1 else 60.0,
            "mjd": own.mjd[j],
            "band": own.bands[own.band[j]].name,
            "survey": own.bands[0].survey,
        }
        | {"flux": own.flux[j], "flux_err": own.flux_err[j], "total_flux": own.total_flux[j], "total_flux_err": own.total_flux_err[j]}
        for i, j in enumerate(last)
    ]
    return alert_batch(rows, curves, own.bands[0].survey)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build_plan(filter_registry={})


@pytest.fixture(scope="module")
def lsst() -> LightCurves:
    return survey_points(LSST, 1, 40)


@pytest.fixture(scope="module")
def ztf() -> LightCurves:
    curves = survey_points(ZTF, 2, 30)
    return replace(curves, mjd=curves.mjd - 0.011, flux=3.0 * curves.flux, flux_err=3.0 * curves.flux_err)


@pytest.fixture(scope="module")
def alone(plan: Plan, lsst: LightCurves) -> pa.Table:
    return plan.run(batch_of(lsst, lsst))[0].alerts


@pytest.fixture(scope="module")
def mixed(plan: Plan, lsst: LightCurves, ztf: LightCurves) -> pa.Table:
    return plan.run(batch_of(joined([lsst, ztf], (*ZTF, *LSST)), lsst))[0].alerts


def numbers(table: pa.Table, name: str) -> NDArray[Any]:
    """Give a column as numbers, NaN for null; text as it is."""
    column = table[name].combine_chunks()
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), object)
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def differing(module: ScienceModule, one: pa.Table, other: pa.Table, tolerance: float = 0.0, share: float = 1.0) -> list[str]:
    """Name the columns of a module that differ between two tables, of errors those that do so in more than a share of rows."""
    found = []
    for column in module.outputs:
        a, b = numbers(one, column.name), numbers(other, column.name)
        same = a == b if a.dtype == object else np.isclose(a, b, rtol=tolerance, atol=0.0, equal_nan=True)
        found += [] if same.mean() >= (share if column.name.endswith("_err") else 1.0) else [column.name]
    return found


@each_module
def test_it_runs_and_answers(module: ScienceModule, alone: pa.Table, mixed: pa.Table) -> None:
    for table in (alone, mixed):
        assert (table[f"{module.name}_status"].to_numpy() == RUN).any()
    silent = [c.name for c in module.outputs if alone[c.name].null_count < N and mixed[c.name].null_count == N]
    assert not silent


@each_module
def test_bands_that_have_no_point_change_nothing(
    module: ScienceModule, plan: Plan, lsst: LightCurves, ztf: LightCurves, alone: pa.Table
) -> None:
    for bands in ((*LSST, *ZTF), (*ZTF, *LSST)):
        more = plan.run(batch_of(rebanded(lsst, bands), lsst))[0].alerts
        assert differing(module, alone, more) == []


@each_module
def test_the_order_in_which_bands_are_counted_changes_nothing(
    module: ScienceModule, plan: Plan, lsst: LightCurves, ztf: LightCurves, mixed: pa.Table
) -> None:
    other = plan.run(batch_of(joined([ztf, lsst], (*LSST, *ZTF)), lsst))[0].alerts
    # where a fit leaves a parameter open, its error is the inverse of a rounding error
    assert differing(module, mixed, other, tolerance=1e-3, share=0.85) == []


@each_module
def test_another_surveys_points_count_only_where_that_is_meant(module: ScienceModule, alone: pa.Table, mixed: pa.Table) -> None:
    changed = differing(module, alone, mixed)
    if module.name not in JOINS:
        assert changed == []


def test_what_joins_surveys_does(alone: pa.Table, mixed: pa.Table) -> None:
    """The list says no more than is true; two modules only look for detections that are here anyway."""
    assert set(JOINS) <= {module.name for module in MODULES}
    joining = [m for m in MODULES if m.name in JOINS and m.name not in {"solar_system_status", "transient_flag"}]
    assert [m.name for m in joining if not differing(m, alone, mixed)] == []
