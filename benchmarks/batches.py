"""Batches of alerts to measure on: real ones of ZTF, and simulated ones of LSST with the spread of histories that is planned for."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fink.simulator.survey import simulate_spread
from fink.surveys import registry
from fink.tables import AlertBatch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the reader of real packets, where they are

from shared_data import shared_data_folder
from unit.surveys.real_packets import containers_in, packets_of


def lsst_like(n: int) -> AlertBatch:
    """Simulate alerts of LSST with the stream's spread of histories: earlier sources, and forced photometry beside them."""
    batch, _, _ = registry()["lsst"].decode(simulate_spread("lsst", n).packets)
    return batch


def ztf_real(n: int) -> AlertBatch:
    """Read real ZTF alerts and repeat them to ``n``."""
    survey = registry()["ztf"]
    folder = shared_data_folder() / "ztf_alerts" / "nightly_tarballs"
    files = [data for data, _ in zip(containers_in(folder), range(n), strict=False)]
    batch, _, _ = survey.decode(packets_of(files))
    return batch.take(np.arange(n) % len(batch))
