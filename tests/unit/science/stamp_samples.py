"""Alerts with stamps, made or real, for the tests of modules that read stamps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fink.codecs.cutouts import Image, Stamps, write_fits
from fink.tables import Cutouts, Packets
from shared_data import shared_data


def stamps_of(alerts: Sequence[tuple[bytes, bytes, bytes]]) -> Stamps:
    """Lay the science, template and difference stamps of alerts behind one another, as a batch has them."""
    length = np.array([[len(file) for file in files] for files in alerts], np.int64).reshape(-1, 3)
    ends = np.cumsum(length.ravel()).reshape(-1, 3)
    packets = Packets.from_bodies([b"".join(files) for files in alerts], b'"null"')
    return Stamps(packets, Cutouts(ends - length, length))


def made(*images: tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]) -> Stamps:
    """Write science, template and difference images as stamps."""
    return stamps_of([(write_fits(a), write_fits(b), write_fits(c, gzipped=True)) for a, b, c in images])


def spot(
    side: int = 63, x: float = 0.0, y: float = 0.0, sigma: float = 1.2, seed: int = 1, height: float = 50.0, trail: float = 0.0
) -> Image:
    """Draw a Gaussian source off the centre by ``x, y``, smeared over ``trail`` pixels along x, in noise of scatter 1."""
    rows, columns = np.mgrid[:side, :side] - side // 2
    steps = np.linspace(-0.5, 0.5, 101) * trail
    source = sum(np.exp(-((columns - x - step) ** 2 + (rows - y) ** 2) / (2.0 * sigma**2)) for step in steps) / len(steps)
    return np.asarray(height * source + np.random.default_rng(seed).normal(size=(side, side)), np.float32)


def real() -> tuple[Stamps, NDArray[np.bool_]]:
    """Read the stamps of 44 real alerts of ZTF, most of new sources near hosts; and whether each brightened."""
    table = pq.read_table(shared_data("ztf_parquet_fink", "hostless_detection_72.parquet"))
    columns = [table[name].to_pylist() for name in ("cutoutScience", "cutoutTemplate", "cutoutDifference")]
    alerts = [tuple(stamp["stampData"] for stamp in row) for row in zip(*columns, strict=True)]
    positive = np.array([row["isdiffpos"] in ("t", "1") for row in table["candidate"].to_pylist()])
    return stamps_of(alerts), positive
