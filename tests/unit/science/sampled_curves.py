"""Light curves of known shape, sampled as a survey would: what tests of fits in the stream share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from alert_batches import Point
from fink.lightcurves import DETECTION, FORCED

Curve = Callable[[Any, str], Any]
"""Flux [nJy] at times [d] in a band."""


def sampled(curve: Curve, seed: int, span: tuple[float, float], *, n: int = 60, bands: str = "gri", snr: float = 60.0) -> list[Point]:
    """Sample a curve at random times: detections where it has five sigma, forced photometry elsewhere; the last is a detection."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(*span, n))
    names = np.array(list(bands))[np.arange(n) % len(bands)]
    clean = np.array([float(curve(t, b)) for t, b in zip(times, names, strict=True)])
    error = clean.max() / snr
    noisy = clean + error * rng.standard_normal(n)
    kinds = np.where(noisy > 5.0 * error, DETECTION, FORCED)
    kinds[-1] = DETECTION
    return [(float(t), str(b), int(k), float(f), float(error)) for t, b, k, f in zip(times, names, kinds, noisy, strict=True)]


def changed(points: Sequence[Point], *, shift: float = 0.0, scale: float = 1.0) -> list[Point]:
    """Shift points in time, and scale their fluxes and errors."""
    return [(t + shift, band, kind, scale * flux, scale * error) for t, band, kind, flux, error in points]
