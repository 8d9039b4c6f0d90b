"""Fits and estimates from noisy light curves: closed forms, and one batched least-squares solver for everything else."""

from fink.fitting.closed_form import Z_95, limit_ratio, ratio_bound, weighted_line
from fink.fitting.points import Points
from fink.fitting.solver import AT_BOUND, CONVERGED, NOT_CONVERGED, TOO_FEW_POINTS, Fits, Model, Parameter, evaluate, fit

__all__ = [
    "AT_BOUND",
    "CONVERGED",
    "NOT_CONVERGED",
    "TOO_FEW_POINTS",
    "Z_95",
    "Fits",
    "Model",
    "Parameter",
    "Points",
    "evaluate",
    "fit",
    "limit_ratio",
    "ratio_bound",
    "weighted_line",
]
