"""Rainbow: fits a second beside light-curve, and what the fits are good for: telling transients apart, and when they peaked.

Data: the training set of PLAsTiCC (fetched once from PyPI, in the wheel of snmachine; or the folder ``FINK_PLASTICC``)
with the cut of Russeil et al. 2024, at least four detections in each of g, r and i and the true peak within them: 576
objects; and the part of SNPCC that lies in the real data, with at least four points of five sigma in each of g, r, i
and z and the true peak within those. The classifier is a random forest of 500 trees, five times five-fold
cross-validated, on the same rows for every set of features.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold

from benchmarks.result import Figure, Result, cpu_seconds, table_text
from fink.fitting.peaks import time_of_maximum
from fink.fitting.points import Points
from fink.fitting.rainbow import Rainbow
from fink.fitting.transients import fit_bazin

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # where the real data are is said there

from shared_data import shared_data_folder

WHEEL = "snmachine==2.0.0.post3"
CLASSES = {90: "Ia", 42: "II", 62: "Ibc", 95: "SLSN", 15: "TDE"}
LSST = (3671.0, 4827.0, 6223.0, 7546.0, 8691.0, 9712.0)
DES = {"g": 4827.0, "r": 6432.0, "i": 7808.0, "z": 9179.0}
FLOOR = 0.03
BEFORE, AFTER = 60.0, 150.0
"""Points from so many days before the first detection to so many after the last take part [d]."""

GOAL = {
    "fits_per_s": 1000.0,
    "plasticc_balanced_accuracy": 0.83,
    "plasticc_peak_error_at_most": 1.8,
    "snpcc_gain_over_bazin": 0.0,
}


@dataclass(frozen=True)
class Sample:
    """Light curves with their classes and true times of peak."""

    points: Points
    wavelengths: tuple[float, ...]
    classes: NDArray[Any]
    peak: NDArray[np.float64]


def measure(short: bool) -> Result:
    """Measure rates and what the fits tell."""
    trees, repeats = (100, 1) if short else (500, 5)
    samples = {"plasticc": plasticc()}
    if (shared_data_folder() / "lightcurves").exists():
        samples["snpcc"] = snpcc()
    figures: dict[str, Figure] = {"objects": float(len(samples["plasticc"].peak)), **rates(samples["plasticc"], 5 if short else 60)}
    rows = []
    for name, sample in samples.items():
        found = qualities(sample, trees, repeats)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
        rows += [[name, key, value] for key, value in found.items()]
    rows += [["plasticc", key, figures[key]] for key in ("fits_per_s", "with_peak_per_s", "light_curve_fits_per_s", "ratio")]
    goal = {key: value for key, value in GOAL.items() if key.partition("_")[0] in (*samples, "fits")}
    title = (
        f"Rainbow: {len(samples['plasticc'].peak)} objects of PLAsTiCC, {len(samples['snpcc'].peak) if 'snpcc' in samples else 0} of SNPCC"
    )
    return Result.of("rainbow", figures, goal, table_text(title, ["sample", "figure", "value"], rows))


def qualities(sample: Sample, trees: int, repeats: int) -> dict[str, float]:
    """Fit a sample and say how well its classes are told apart, and how far its peaks are from the true ones."""
    points = sample.points.with_floor(FLOOR)
    model = Rainbow(sample.wavelengths)
    constant = model.constant.fit(points)
    fits = model.fit(points, constant=constant)
    maximum = time_of_maximum(points, np.array(sample.wavelengths), constant)
    bands = len(sample.wavelengths)
    bazin = fit_bazin(points.by_band(bands))
    by_band = np.concatenate([bazin.solution[:, [0, 1, 2, 3]], bazin.reduced_chi2[:, None]], axis=1).reshape(len(sample.peak), bands, 5)
    red = sample.wavelengths.index(min(sample.wavelengths, key=lambda wavelength: abs(wavelength - 6300.0)))
    red_peak = by_band[:, red, 1].copy()
    by_band[:, :, 1] -= red_peak[:, None]
    rainbow = np.concatenate([np.delete(fits.solution, 1, axis=1), fits.reduced_chi2[:, None]], axis=1)
    rainbow_accuracy, spread = accuracy(rainbow, sample.classes, trees, repeats)
    bazin_accuracy, _ = accuracy(by_band.reshape(len(sample.peak), -1), sample.classes, trees, repeats)
    return {
        "balanced_accuracy": rainbow_accuracy,
        "balanced_accuracy_spread": spread,
        "bazin_balanced_accuracy": bazin_accuracy,
        "gain_over_bazin": rainbow_accuracy - bazin_accuracy,
        "peak_error": _median_error(maximum.value("peak_time"), sample.peak),
        "luminosity_peak_error": _median_error(fits.value("peak_time"), sample.peak),
        "bazin_r_peak_error": _median_error(red_peak, sample.peak),
        "reduced_chi2": float(np.nanmedian(fits.reduced_chi2)),
        "reduced_chi2_without_floor": float(np.nanmedian(model.fit(sample.points).reduced_chi2)),
        "not_converged": float(np.mean(fits.status > 1)),
    }


def _median_error(found: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Median distance in days; a missing time counts as infinitely far."""
    return float(np.median(np.nan_to_num(np.abs(found - truth), nan=np.inf)))


def accuracy(features: NDArray[np.float64], classes: NDArray[Any], trees: int, repeats: int) -> tuple[float, float]:
    """Balanced accuracy of a random forest in repeated five-fold cross-validation, and its standard deviation over repeats."""
    table = np.clip(np.nan_to_num(features, nan=-999.0, posinf=1e6, neginf=-1e6), -1e30, 1e30)
    scores = []
    for seed in range(repeats):
        predicted = np.empty_like(classes)
        for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(table, classes):
            forest = RandomForestClassifier(trees, class_weight="balanced", random_state=seed, n_jobs=1)
            predicted[test] = forest.fit(table[train], classes[train]).predict(table[test])
        scores.append(balanced_accuracy_score(classes, predicted))
    return float(np.mean(scores)), float(np.std(scores))


def rates(sample: Sample, reference_fits: int) -> dict[str, float]:
    """Fits a second of processor time, of ours on the whole sample and of light-curve on its first objects."""
    points, model = sample.points.with_floor(FLOOR), Rainbow(sample.wavelengths)
    wavelengths = np.array(sample.wavelengths)

    def with_peak() -> object:
        constant = model.constant.fit(points)
        return model.fit(points, constant=constant), time_of_maximum(points, wavelengths, constant)

    ours = len(points) / cpu_seconds(lambda: model.fit(points))
    reference = light_curve_rate(points, sample.wavelengths, reference_fits)
    return {
        "fits_per_s": ours,
        "with_peak_per_s": len(points) / cpu_seconds(with_peak),
        "light_curve_fits_per_s": reference,
        "ratio": ours / reference,
        "points_a_fit": len(points.time) / len(points),
    }


def light_curve_rate(points: Points, wavelengths: tuple[float, ...], n: int) -> float:
    """Fits a second of light-curve's RainbowFit with the same terms on the same points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import light_curve

        reference = light_curve.RainbowFit.from_angstrom(dict(enumerate(wavelengths)), with_baseline=False, fail_on_divergence=False)
        began = time.process_time()
        for i in range(n):
            part = slice(points.offsets[i], points.offsets[i + 1])
            reference(points.time[part], points.value[part], points.error[part], points.band[part])
    return n / (time.process_time() - began)


def plasticc_folder() -> Path:
    """Give the folder of the training set, fetching the wheel that holds it where it is not there yet."""
    if "FINK_PLASTICC" in os.environ:
        return Path(os.environ["FINK_PLASTICC"])
    place = Path(__file__).resolve().parents[1] / ".cache" / "snmachine"
    if not place.exists():
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", str(place), WHEEL]
        subprocess.run(command, check=True)
    return place / "snmachine" / "example_data"


def plasticc() -> Sample:
    """Read the 576 objects of the cut."""
    text = pl.read_csv(plasticc_folder() / "plasticc_train_metadata.csv", infer_schema=False).with_columns(pl.all().str.strip_chars())
    objects = text.select(pl.col("object_id", "target").cast(pl.Int64), pl.col("true_peakmjd").cast(pl.Float64))
    lines = pl.read_csv(plasticc_folder() / "plasticc_train_lightcurves.csv", infer_schema=False)
    points = lines.select(
        pl.col("object_id").str.strip_chars().cast(pl.Int64),
        pl.col("mjd", "flux", "flux_err").cast(pl.Float64),
        pl.col("passband").cast(pl.Int64).alias("band"),
        (pl.col("detected_bool").cast(pl.Int64) == 1).alias("detected"),
    )
    objects = objects.filter(pl.col("target").is_in(list(CLASSES))).rename({"true_peakmjd": "peak"})
    return _cut(objects, points, (1, 2, 3), LSST, AFTER)


def snpcc() -> Sample:
    """Read the objects of SNPCC with four points of five sigma in each of g, r, i and z."""
    folder = shared_data_folder() / "lightcurves"
    kind = pl.when(pl.col("true_type").str.starts_with("Ia")).then(0).when(pl.col("true_type").str.starts_with("II")).then(1).otherwise(2)
    objects = pl.read_parquet(folder / "spcc_des_meta.parquet").select(
        pl.col("snid").alias("object_id"),
        kind.alias("target"),
        pl.col("sim_peakmjd").cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False).alias("peak"),
    )
    points = pl.read_parquet(folder / "spcc_des_lc.parquet").select(
        pl.col("snid").alias("object_id"),
        pl.col("mjd"),
        pl.col("band").replace_strict({name: i for i, name in enumerate(DES)}, return_dtype=pl.Int64),
        pl.col("fluxcal").cast(pl.Float64).alias("flux"),
        pl.col("fluxcalerr").cast(pl.Float64).alias("flux_err"),
        (pl.col("fluxcal") > 5 * pl.col("fluxcalerr")).alias("detected"),
    )
    return _cut(objects, points, (0, 1, 2, 3), tuple(DES.values()), np.inf)


def _cut(objects: pl.DataFrame, points: pl.DataFrame, bands: tuple[int, ...], wavelengths: tuple[float, ...], after: float) -> Sample:
    """Keep objects with four detections in each of these bands and their peak within those; and the points about them."""
    detected = points.filter(pl.col("detected"))
    seen = detected.group_by("object_id").agg(pl.col("mjd").min().alias("first"), pl.col("mjd").max().alias("last"))
    counts = (
        detected.filter(pl.col("band").is_in(bands))
        .group_by("object_id")
        .agg(
            pl.col("mjd").min().alias("from"),
            pl.col("mjd").max().alias("to"),
            *((pl.col("band") == band).sum().alias(f"n{band}") for band in bands),
        )
    )
    chosen = objects.join(counts, on="object_id").join(seen, on="object_id")
    chosen = chosen.filter(*(pl.col(f"n{band}") >= 4 for band in bands), pl.col("peak") > pl.col("from"), pl.col("peak") < pl.col("to"))
    chosen = chosen.sort("object_id")
    near = points.join(chosen.select("object_id", "first", "last"), on="object_id").sort("object_id", "mjd")
    near = near.filter(pl.col("mjd") > pl.col("first") - BEFORE, pl.col("mjd") < pl.col("last") + after)
    counts = near.group_by("object_id", maintain_order=True).len()
    offsets = np.concatenate([[0], np.cumsum(counts["len"].to_numpy())])
    kept = Points.of(offsets, *(near[name].to_numpy() for name in ("mjd", "band", "flux", "flux_err")))
    return Sample(kept, wavelengths, chosen["target"].to_numpy(), chosen["peak"].to_numpy())
