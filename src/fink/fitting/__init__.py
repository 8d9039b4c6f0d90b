"""Fits and estimates from noisy light curves: closed forms, and one batched least-squares solver for everything else."""

from fink.fitting.closed_form import Z_95, limit_ratio, ratio_bound, weighted_line

__all__ = ["Z_95", "limit_ratio", "ratio_bound", "weighted_line"]
