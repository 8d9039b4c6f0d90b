"""Rainbow: the black body against astropy, the model against light-curve, fits against truth and scipy."""

from __future__ import annotations

from typing import Any, get_args

import light_curve
import numpy as np
import pytest
from astropy import units
from astropy.modeling.physical_models import BlackBody
from scipy import integrate, optimize

from fink.fitting import AT_BOUND, CONVERGED, TOO_FEW_POINTS, Points
from fink.fitting.rainbow import LIGHT, RAINBOW, Bolometric, Rainbow, Temperature, planck
from unit.fitting.curves import evaluate, largest_error_of_derivatives, one_row, rows

WAVELENGTHS = (3671.0, 4827.0, 6223.0, 7546.0, 8691.0, 9712.0)
TRUTH = {"rise_time": 4.0, "fall_time": 25.0, "late_temperature": 5000.0, "early_temperature": 14000.0, "cooling_time": 12.0}


def solution(model: Rainbow, peak: float = 0.0) -> np.ndarray:
    values = {"amplitude": 3e17, "peak_time": peak, "rate": 0.03} | TRUTH
    chosen = [values.get(p.name, 20.0) for p in model.parameters]
    return np.array([np.log(v) if p.log else v for v, p in zip(chosen, model.parameters, strict=True)])


def simulate(model: Rainbow, n: int, seed: int, snr: float = 40.0, k: int = 60) -> Points:
    rng = np.random.default_rng(seed)
    time, band = np.sort(rng.uniform(-40, 90, (n, k)), axis=1), rng.integers(0, 6, (n, k))
    flux = np.stack([evaluate(RAINBOW.curve, solution(model), model.constants, t, b)[0] for t, b in zip(time, band, strict=True)])
    error = np.full((n, k), flux.max() / snr)
    return rows(time, band, flux + error * rng.standard_normal((n, k)), error)


def test_black_body_has_unit_bolometric_flux_and_the_spectrum_of_astropy() -> None:
    for temperature in (3000.0, 6000.0, 40000.0):
        total = integrate.quad(lambda lg, t=temperature: planck(float(np.exp(lg)), t)[0] * LIGHT / np.exp(lg), np.log(50), np.log(1e7))[0]
        assert total == pytest.approx(1.0, rel=1e-5)
        reference = BlackBody(temperature * units.K)(np.array(WAVELENGTHS) * units.AA).value
        ours = np.array([planck(w, temperature)[0] for w in WAVELENGTHS])
        assert np.allclose(ours / ours[2], reference / reference[2], rtol=1e-6)


@pytest.mark.parametrize("bolometric", get_args(Bolometric))
@pytest.mark.parametrize("temperature", get_args(Temperature))
@pytest.mark.parametrize("baseline", [False, True])
def test_derivatives(bolometric: Bolometric, temperature: Temperature, baseline: bool) -> None:
    model = Rainbow(WAVELENGTHS, bolometric, temperature, baseline)
    time = np.linspace(-15.0, 60.0, 40)
    band = np.random.default_rng(3).integers(0, 6, 40)
    assert largest_error_of_derivatives(RAINBOW.curve, solution(model), model.constants, time, band) < 1e-4


@pytest.mark.filterwarnings("ignore")
def test_the_model_is_that_of_light_curve() -> None:
    """The reference's curve through our parameters is ours, up to its normalisation of the bolometric flux."""
    model = Rainbow(WAVELENGTHS)
    time, band = np.linspace(-20.0, 60.0, 30), np.arange(30) % 6
    ours, _ = evaluate(RAINBOW.curve, solution(model), model.constants, time, band)
    reference = light_curve.RainbowFit.from_angstrom(dict(enumerate(WAVELENGTHS)), with_baseline=False)
    rise, fall = TRUTH["rise_time"], TRUTH["fall_time"]
    shift = rise * fall / (rise + fall) * np.log(fall / rise)
    early, late = TRUTH["early_temperature"], TRUTH["late_temperature"]
    known = {"reference_time": -shift, "amplitude": 1.0, "rise_time": rise, "fall_time": fall}
    known |= {"T": (early + late) / 2, "T_amplitude": (early - late) / (early + late), "t_color": TRUTH["cooling_time"]}
    values = [known[name] for name in reference.names]
    theirs = np.asarray(reference.model(time, band, *values))
    ratio = ours / theirs
    assert np.allclose(ratio, ratio[10], rtol=1e-4)


def test_parameters_come_back_with_honest_errors() -> None:
    model = Rainbow(WAVELENGTHS)
    fits = model.fit(simulate(model, 300, 1))
    good = fits.status == CONVERGED
    assert good.mean() > 0.9
    assert np.median(fits.reduced_chi2) == pytest.approx(1.0, abs=0.05)
    for name, truth in {"peak_time": 0.0, **TRUTH}.items():
        pull = (fits.value(name) - truth)[good] / fits.error(name)[good]
        assert np.median(np.abs(pull)) == pytest.approx(0.674, abs=0.12), name


def test_the_minimum_is_that_of_scipy() -> None:
    model = Rainbow(WAVELENGTHS)
    points = simulate(model, 12, 2)
    fits = model.fit(points)
    for i in range(12):
        row = one_row(points, i)

        def residuals(p: Any, row: Points = row) -> Any:
            return (row.value - evaluate(RAINBOW.curve, p, model.constants, row.time, row.band)[0]) / row.error

        best = optimize.least_squares(residuals, solution(model), x_scale=np.array([1, 5, 1, 1, 1, 1, 1.0]))
        assert fits.chi2[i] <= 2 * best.cost + 0.01


def test_each_shape_fits_its_own() -> None:
    for bolometric in get_args(Bolometric):
        for temperature in get_args(Temperature):
            model = Rainbow(WAVELENGTHS, bolometric, temperature)
            fits = model.fit(simulate(model, 20, 4))
            assert np.median(fits.reduced_chi2) < 1.2, (bolometric, temperature)


def test_baselines_are_measured_per_band() -> None:
    model = Rainbow(WAVELENGTHS, baseline=True)
    points = simulate(Rainbow(WAVELENGTHS), 30, 5)
    shifted = Points.of(points.offsets, points.time, points.band, points.value + 10.0 * points.band, points.error)
    fits = model.fit(shifted)
    for band in range(6):
        pull = (fits.value(f"baseline_{band}") - 10.0 * band) / fits.error(f"baseline_{band}")
        assert abs(np.nanmedian(pull)) < 0.6


def test_it_is_the_same_alone_and_at_another_time_and_brightness() -> None:
    model = Rainbow(WAVELENGTHS)
    points = simulate(model, 20, 6)
    together = model.fit(points)
    alone = model.fit(one_row(points, 7))
    assert alone.solution.tobytes() == together.solution[7].tobytes()
    moved = model.fit(Points.of(points.offsets, points.time + 60000.0, points.band, 50 * points.value, 50 * points.error))
    good = (together.status == CONVERGED) & (moved.status == CONVERGED)
    assert good.sum() > 15
    for name in ("rise_time", "fall_time", "late_temperature"):
        assert (np.abs(moved.value(name) - together.value(name)) < 0.1 * together.error(name))[good].all()
    assert np.allclose(moved.value("amplitude")[good], 50 * together.value("amplitude")[good], rtol=1e-2)


def test_few_points_and_noise_give_answers_or_none() -> None:
    rng = np.random.default_rng(8)
    model = Rainbow(WAVELENGTHS)
    assert model.fit(simulate(model, 3, 1, k=6)).status.tolist() == [TOO_FEW_POINTS] * 3
    time = np.sort(rng.uniform(0, 30, (50, 9)), axis=1)
    noise = model.fit(rows(time, rng.integers(0, 6, (50, 9)), rng.standard_normal((50, 9)), np.ones((50, 9))))
    assert np.isfinite(noise.solution).all()
    assert (noise.status != CONVERGED).any()
    assert AT_BOUND in noise.status
