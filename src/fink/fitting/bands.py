"""Fits and bands: which row of one-band fits answers for a letter, and what a fit of all bands says of the alert's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fink.fitting.solver import Fits
from fink.lightcurves import Band, LightCurves, own_points

LETTERS = "ugrizy"
"""Letters of bands that have columns of their own; upper and lower case are one band."""


def rows_by_letter(n_points: NDArray[np.int64], bands: Sequence[Band]) -> dict[str, NDArray[np.int64]]:
    """Find for each letter the row of the band that has it; of two surveys' bands the one with more points, the bluer of equals.

    Parameters
    ----------
    n_points
        (n * bands,) points of each row, as `fink.fitting.Points.by_band` orders them.
    bands
        The bands of the light curves.

    Returns
    -------
    rows
        For each of `LETTERS` (n,) row of the fits; -1 where the band has no points.
    """
    counts = n_points.reshape(-1, len(bands))
    first = np.arange(len(counts), dtype=np.int64) * len(bands)
    found = {}
    for letter in LETTERS:
        same = sorted((b for b, band in enumerate(bands) if band.name.lower() == letter), key=lambda b: bands[b].wavelength)
        if not same:
            found[letter] = np.full(len(counts), -1, np.int64)
            continue
        best = np.argmax(counts[:, same], axis=1)
        rows = first + np.array(same)[best]
        found[letter] = np.where(counts[:, same].max(axis=1) > 0, rows, -1)
    return found


def pick(values: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the values of these rows, (n,); NaN where the row is -1."""
    return np.where(rows >= 0, values[rows], np.nan) if len(values) else np.full(len(rows), np.nan)


def of_own_band(
    fits: Fits, name: str, lightcurves: LightCurves, mjd: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give a parameter that each band has, and its error, in the band of each alert's own point.

    Parameters
    ----------
    fits
        Of all bands together, with the parameters ``<name>_0``…
    name
        What the parameter is called, without the number of the band.
    lightcurves, mjd
        The light curves, and the times of the alerts [d].
    """
    own = own_points(lightcurves.offsets, lightcurves.mjd, lightcurves.kind, mjd)
    value, error = np.full(len(own), np.nan), np.full(len(own), np.nan)
    here = np.flatnonzero(own >= 0)
    for b in range(len(lightcurves.bands)):
        rows = here[lightcurves.band[own[here]] == b]
        value[rows], error[rows] = fits.value(f"{name}_{b}")[rows], fits.error(f"{name}_{b}")[rows]
    return value, error
