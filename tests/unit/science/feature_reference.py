"""The features that the package light-curve has too, in the order in which it gives them: to compare with and to time beside."""

from __future__ import annotations

import light_curve

REFERENCE = light_curve.Extractor(
    light_curve.Mean(),
    light_curve.WeightedMean(),
    light_curve.StandardDeviation(),
    light_curve.Median(),
    light_curve.Amplitude(),
    light_curve.BeyondNStd(nstd=1),
    light_curve.Cusum(),
    light_curve.InterPercentileRange(quantile=0.1),
    light_curve.Kurtosis(),
    light_curve.LinearTrend(),
    light_curve.LinearFit(),
    light_curve.MagnitudePercentageRatio(quantile_numerator=0.4, quantile_denominator=0.05),
    light_curve.MagnitudePercentageRatio(quantile_numerator=0.2, quantile_denominator=0.1),
    light_curve.MaximumSlope(),
    light_curve.MedianAbsoluteDeviation(),
    light_curve.MedianBufferRangePercentage(quantile=0.1),
    light_curve.PercentAmplitude(),
    light_curve.MeanVariance(),
    light_curve.AndersonDarlingNormal(),
    light_curve.ReducedChi2(),
    light_curve.Skew(),
    light_curve.StetsonK(),
    light_curve.Eta(),
    light_curve.ExcessVariance(),
)
