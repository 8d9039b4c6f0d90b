"""Fits in the stream do not know the calendar, the unit of flux, or the order in which points arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from alert_batches import NOW, Point, light_curves
from fink.columns import Column
from fink.lightcurves import DETECTION
from fink.science import ScienceModule, registry
from unit.science.sampled_curves import changed, sampled

SHIFT, SCALE = 64.0, 4.0
FITS = [registry()[name] for name in ("afterglow", "bazin", "black_body_rise", "flare", "point_lens", "rainbow", "rise")]
each = pytest.mark.parametrize("module", FITS, ids=lambda module: module.name)


def pulse(t: Any, band: str) -> Any:
    width = {"g": 8.0, "r": 10.0, "i": 14.0}[band]
    return {"g": 9000.0, "r": 12000.0, "i": 10000.0}[band] * np.exp(-0.5 * ((t - NOW + 25.0) / width) ** 2)


def fading(t: Any, band: str) -> Any:
    return {"g": 9000.0, "r": 12000.0, "i": 15000.0}[band] * (t - NOW + 10.0) ** -1.1


def until_now(curve: list[Point]) -> list[Point]:
    """Let the last point be the alert's own."""
    return [*curve[:-1], (NOW, curve[-1][1], DETECTION, *curve[-1][3:])]


PULSES = [until_now(sampled(pulse, seed, (NOW - 60.0, NOW), n=45, snr=50.0)) for seed in range(6)]
FADING = [until_now(sampled(fading, seed, (NOW - 9.5, NOW), n=45, snr=200.0)) for seed in range(6)]


def curves_for(module: ScienceModule) -> list[list[Point]]:
    """Give light curves that the module has an answer for."""
    return FADING if module.name == "afterglow" else PULSES


Change = Callable[[Column], float]


def is_time(column: Column) -> bool:
    """Say whether a column is a time of the calendar."""
    return "mjd" in column.name and not column.name.endswith("_err")


def run(module: ScienceModule, curves: Any, now: float = NOW) -> dict[str, Any]:
    given = {"mjd": np.full(len(curves), now), "lightcurves": curves}
    found = module.function(*(given[name] for name in module.inputs))
    assert set(found) == {column.name for column in module.outputs}
    return {name: values.to_pylist() if isinstance(values, pa.Array) else np.asarray(values, np.float64) for name, values in found.items()}


def compare(module: ScienceModule, plain: dict[str, Any], other: dict[str, Any], factor: Change, offset: Change) -> int:
    """Compare numbers of fits that ended in a minimum, to a fiftieth of their error or a part in a thousand; gives how many."""
    outcomes = {name.replace("fit", ""): values for name, values in plain.items() if "_fit" in name}
    compared = 0
    for column in module.outputs:
        begin, _, end = next((name for name in outcomes if all(part in column.name for part in name.split("_"))), "").rpartition("_")
        outcome = outcomes.get(f"{begin}_{end}")
        if outcome is None or pa.types.is_string(column.type):
            continue
        wanted = factor(column) * plain[column.name] + offset(column)
        error = np.nan_to_num(factor(column) * plain.get(f"{column.name}_err", np.full(len(wanted), 0.05)))
        tolerance = 0.02 * error + 1e-6 + (0.0 if is_time(column) else 1e-3) * np.abs(wanted)
        for i in np.flatnonzero(np.array(outcome) == "converged"):
            np.testing.assert_allclose(other[column.name][i], wanted[i], rtol=0.0, atol=tolerance[i], err_msg=column.name)
            compared += 1
    return compared


@each
def test_order_of_arrival_changes_nothing(module: ScienceModule) -> None:
    rng = np.random.default_rng(1)
    curves = curves_for(module)
    shuffled = [[curve[i] for i in rng.permutation(len(curve))] for curve in curves]
    plain, other = run(module, light_curves(curves)), run(module, light_curves(shuffled))
    for name, values in plain.items():
        np.testing.assert_array_equal(np.array(values), np.array(other[name]), err_msg=name)


@each
def test_a_shift_of_time_shifts_times_alone(module: ScienceModule) -> None:
    curves = curves_for(module)
    moved = run(module, light_curves([changed(curve, shift=SHIFT) for curve in curves]), NOW + SHIFT)
    compared = compare(module, run(module, light_curves(curves)), moved, lambda column: 1.0, lambda column: SHIFT * is_time(column))
    assert compared > 10


@each
def test_a_scale_of_flux_scales_fluxes_alone(module: ScienceModule) -> None:
    curves = curves_for(module)
    scaled = run(module, light_curves([changed(curve, scale=SCALE) for curve in curves]))
    brighter = -2.5 * np.log10(SCALE)
    compared = compare(
        module,
        run(module, light_curves(curves)),
        scaled,
        lambda column: SCALE if column.unit in ("nJy", "erg.cm**-2.s**-1") else 1.0,
        lambda column: brighter if column.name == "afterglow_level" else 0.0,
    )
    assert compared > 10
