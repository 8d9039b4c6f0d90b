"""Reference implementations of science modules, as a caller of each package would write them: to time beside ours on the same alerts.

Each takes one alert's points and gives what the module gives, as nearly as the package allows. Choosing the points is not counted.
"""

from __future__ import annotations

import gzip
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import light_curve
import numpy as np
from astropy.io import fits
from astropy.stats import sigma_clip, sigma_clipped_stats
from astropy.timeseries import LombScargleMultiband
from numpy.typing import NDArray
from scipy import ndimage, optimize, stats

from fink.lightcurves import DETECTION, LIMIT, LightCurves

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """The usable points of one alert: times, bands, fluxes and errors (m,), and the wavelengths of the bands."""

    time: Floats
    band: NDArray[np.int64]
    flux: Floats
    error: Floats
    wavelengths: Floats

    def of_band(self, band: int) -> tuple[Floats, Floats, Floats]:
        """Times, fluxes and errors of one band."""
        here = self.band == band
        return self.time[here], self.flux[here], self.error[here]


def series_of(curves: LightCurves, before: float = np.inf) -> list[Series]:
    """Take the usable points of each light curve, from some days before the first detection on."""
    usable = (curves.kind != LIMIT) & np.isfinite(curves.flux) & (curves.flux_err > 0)
    found = []
    for first, last in zip(curves.offsets[:-1], curves.offsets[1:], strict=True):
        seen = curves.mjd[first:last][curves.kind[first:last] == DETECTION]
        chosen = first + np.flatnonzero(usable[first:last] & (curves.mjd[first:last] > seen.min(initial=np.inf) - before))
        chosen = chosen[np.unique(curves.mjd[chosen], return_index=True)[1]]  # forced photometry beside a detection is the same light
        flat = (curves.flux[chosen].astype(np.float64), curves.flux_err[chosen].astype(np.float64))
        found.append(Series(curves.mjd[chosen], curves.band[chosen].astype(np.int64), *flat, curves.wavelengths))
    return found


def _curve_fit(curve: Callable[..., Any], time: Any, flux: Floats, error: Floats, start: list[float], bounds: Any) -> object:
    low, high = np.array(bounds[0], np.float64), np.array(bounds[1], np.float64)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            inside = np.clip(start, low + 1e-6, high - 1e-6)
            return optimize.curve_fit(curve, time, flux, inside, error, absolute_sigma=True, bounds=bounds, max_nfev=200)
        except RuntimeError:  # scipy's word for too many evaluations
            return None


def bazin(series: Series) -> None:
    """Fit each band with scipy, from one start."""
    for band in np.unique(series.band):
        time, flux, error = series.of_band(band)
        if len(time) < 5:
            continue
        top = int(np.argmax(flux))
        _curve_fit(_bazin, time, flux, error, [flux[top], time[top], 3.0, 20.0], ([0, -np.inf, 0.1, 0.1], [np.inf, np.inf, 300, 1000]))


def _bazin(t: Floats, amplitude: float, peak: float, rise: float, fall: float) -> Any:
    shift = rise * fall / (rise + fall) * np.log(fall / rise)
    s = t - peak + shift
    return amplitude * (np.exp(-shift / rise) + np.exp(shift / fall)) / (np.exp(-s / rise) + np.exp(s / fall))


def rise(series: Series) -> None:
    """Fit a sigmoid to each band with scipy, from one start."""
    for band in np.unique(series.band):
        time, flux, error = series.of_band(band)
        if len(time) < 4:
            continue
        _curve_fit(_sigmoid, time, flux, error, [flux.max(), time.mean(), 3.0], ([0, -np.inf, 0.01], [np.inf, np.inf, 300]))


def _sigmoid(t: Floats, amplitude: float, half: float, time: float) -> Any:
    return amplitude / (1.0 + np.exp(-(t - half) / time))


def flare(series: Series) -> None:
    """Fit a flare to all bands with scipy, from one start."""
    names, band = np.unique(series.band, return_inverse=True)
    if len(series.time) <= 3 + len(names):
        return
    first, scales = float(series.time[0]), [max(float(series.flux[band == b].max()), 1.0) for b in range(len(names))]

    def curve(t: Floats, onset: float, up: float, down: float, *heights: float) -> Any:
        s = np.maximum(t - onset, 0.0)
        return np.array(heights)[band] * (1.0 - np.exp(-s / up)) * np.exp(-s / down)

    bounds = ([-np.inf, 0.1, 0.1, *[0.0] * len(names)], [np.inf, 300.0, 1000.0, *[np.inf] * len(names)])
    _curve_fit(curve, series.time, series.flux, series.error, [first, 1.0, 5.0, *scales], bounds)


def afterglow(series: Series) -> None:
    """Fit the decay and the magnitudes of an orphan with scipy, from one start each."""
    top = int(np.argmax(series.flux))
    time, flux, error = (values[top:] for values in (series.time, series.flux, series.error))
    ratio = series.wavelengths[series.band] / series.wavelengths[series.band[top]]

    def decay(t: Floats, flux_at_1d: float, index: float, lead: float, colour: float) -> Any:
        return flux_at_1d * ((t - time[0] + lead) / (1.0 + lead)) ** -index * ratio[top:] ** colour

    if len(time) > 4:
        _curve_fit(decay, time, flux, error, [flux[0], 1.0, 1.0, 0.8], ([0, -1, 1e-4, -3], [np.inf, 10, 100, 5]))
    good = series.flux > 3 * series.error
    if good.sum() > 5:
        since, colour = series.time[good] - series.time[good][0], -2.5 * np.log10(ratio[good])
        mag, mag_err = 31.4 - 2.5 * np.log10(series.flux[good]), 1.0857 * series.error[good] / series.flux[good]

        def orphan(t: Floats, a: float, b: float, c: float, d: float, beta: float) -> Any:
            return a * t + b + c * np.exp(-d * t) + beta * colour

        _curve_fit(orphan, since, mag, mag_err, [0.02, 20.0, 0.0, 1.5, 0.8], ([-1e4, -1e6, -1e7, -0.03, 0.6], [1e4, 1e6, 1e7, 10, 1.1]))


def point_lens(series: Series) -> None:
    """Fit one magnification to all bands with scipy, from one start."""
    names, band = np.unique(series.band, return_inverse=True)
    n, top = len(names), int(np.argmax(series.flux / series.error))
    if len(series.time) < 3 + 2 * n:
        return

    def curve(t: Floats, peak: float, einstein: float, impact: float, *fluxes: float) -> Any:
        square = impact**2 + ((t - peak) / einstein) ** 2
        excess = (square + 2.0) / np.sqrt(square * (square + 4.0)) - 1.0
        return np.array(fluxes[:n])[band] * excess + np.array(fluxes[n:])[band]

    means = [float(series.flux[band == b].mean()) for b in range(n)]
    start = [float(series.time[top]), 25.0, 0.5, *(abs(mean) + 1.0 for mean in means), *means]
    bounds = ([-np.inf, 0.1, 1e-3, *[0.0] * n, *[-np.inf] * n], [np.inf, 3000.0, 2.0, *[np.inf] * (2 * n)])
    _curve_fit(curve, series.time, series.flux, series.error, start, bounds)


def rainbow(series: Series) -> None:
    """Fit Rainbow with light-curve."""
    _light_curve_rainbow(series, "bazin", "sigmoid", 8)


def black_body_rise(series: Series) -> None:
    """Fit Rainbow with a sigmoid and a constant temperature with light-curve."""
    _light_curve_rainbow(series, "sigmoid", "constant", 6)


def _light_curve_rainbow(series: Series, bolometric: str, temperature: str, least: int) -> None:
    if len(series.time) < least or len(np.unique(series.band)) < 2:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bands = {int(band): float(series.wavelengths[band]) for band in np.unique(series.band)}
        model = light_curve.RainbowFit.from_angstrom(
            bands, bolometric=bolometric, temperature=temperature, with_baseline=False, fail_on_divergence=False
        )
        try:
            model(series.time, series.flux, series.error, series.band)
        except (RuntimeError, ValueError):  # it gives up on some light curves
            return


def period(series: Series) -> None:
    """Search with astropy's multiband periodogram, on the same frequencies."""
    span = float(np.ptp(series.time)) if len(series.time) else 0.0
    if len(series.time) < 20 or span < 1.0:
        return
    frequency = np.arange(2.0 / span, 5.0, 1.0 / (2.5 * span))
    with np.errstate(all="ignore"):
        LombScargleMultiband(series.time, series.flux, series.band, series.error).power(frequency, method="fast", sb_method="fast")


def magnitude_rate(series: Series) -> None:
    """Draw 10,000 pairs of fluxes, as today's Fink does."""
    time, flux, error = series.of_band(int(series.band[-1]))
    if len(time) < 2:
        return
    rng = np.random.default_rng(1)
    now, before = (np.abs(rng.normal(flux[i], error[i], 10_000)) for i in (-1, -2))
    np.quantile(-2.5 * np.log10(now / before) / (time[-1] - time[-2]), [0.05, 0.5, 0.95])


def stamp_shape(files: tuple[bytes, bytes, bytes]) -> None:
    """Read all stamps with astropy, and measure them with astropy's clipping and scipy's labels and moments."""
    for data in files:
        image = _image(data)
        _, level, noise = sigma_clipped_stats(image, sigma=3.0, maxiters=5)
        labels, _ = ndimage.label(image - level > 2.5 * noise, np.ones((3, 3)))
        label = labels[image.shape[0] // 2, image.shape[1] // 2]
        if label:
            rows, columns = np.nonzero(labels == label)
            ndimage.center_of_mass(image - level, labels, label)
            if len(rows) > 1:
                np.cov(np.array([rows, columns]), aweights=np.abs(image[rows, columns] - level) + 1e-9)


def hostless(files: tuple[bytes, bytes, bytes]) -> None:
    """Read two stamps with astropy, clip them with astropy, and compare their powers with noise by numpy and scipy."""
    for data in files[:2]:
        image = _image(data)
        sigma_clip(image, sigma=3.0, maxiters=10)
        middle = [size // 2 for size in image.shape]
        centre = image[middle[0] - 7 : middle[0] + 8, middle[1] - 7 : middle[1] + 8]
        power = np.abs(np.fft.fft2(centre - centre.mean())) ** 2
        stats.kstest(np.sort(power.ravel())[:112] / power.mean(), "expon")


def _image(data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(io.BytesIO(gzip.decompress(data))) as units:
            return np.nan_to_num(units[0].data.astype(np.float64))


OF_STAMPS = (stamp_shape, hostless)
OF_LIGHT_CURVES: dict[str, tuple[str, Callable[[Series], None], int]] = {
    "bazin": ("scipy", bazin, 20),
    "rise": ("scipy", rise, 20),
    "flare": ("scipy", flare, 20),
    "afterglow": ("scipy", afterglow, 20),
    "point_lens": ("scipy", point_lens, 20),
    "rainbow": ("light-curve", rainbow, 20),
    "black_body_rise": ("light-curve", black_body_rise, 20),
    "period": ("astropy", period, 5),
    "magnitude_rate": ("numpy", magnitude_rate, 100),
}
"""By module: the package, the reference, and how many alerts it is timed on."""
