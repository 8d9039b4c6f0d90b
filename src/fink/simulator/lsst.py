"""LSST packets: the fields of schema 10.0 as the survey fills them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.codecs.encode import Encodable, Ranges, Values
from fink.simulator import movers
from fink.simulator.kinds import Floats
from fink.simulator.night import Points, is_real, of_kind
from fink.sky import calendar_date, ecliptic, galactic

Ints = NDArray[np.int64]

VERSION = (10, 0)
_FIRST_NIGHT = 59000
_FLAGS = (
    "centroid_flag",
    "apFlux_flag",
    "apFlux_flag_apertureTruncated",
    "psfFlux_flag",
    "psfFlux_flag_edge",
    "psfFlux_flag_noGoodPixels",
    "trail_flag_edge",
    "forced_PsfFlux_flag",
    "forced_PsfFlux_flag_edge",
    "forced_PsfFlux_flag_noGoodPixels",
    "shape_flag",
    "shape_flag_no_pixels",
    "shape_flag_not_contained",
    "shape_flag_parent_source",
    "pixelFlags_bad",
    "pixelFlags_edge",
    "pixelFlags_nodata",
    "pixelFlags_nodataCenter",
    "pixelFlags_offimage",
    "pixelFlags_suspect",
    "pixelFlags_suspectCenter",
    "pixelFlags_streak",
    "pixelFlags_streakCenter",
    "pixelFlags_injected",
    "pixelFlags_injectedCenter",
    "pixelFlags_injected_template",
    "pixelFlags_injected_templateCenter",
    "pixelFlags_saturated",
    "pixelFlags_saturatedCenter",
    "pixelFlags_interpolatedCenter",
    "glint_trail",
)
"""Flags that no simulated source has."""
_PIXEL = 0.2


@dataclass(frozen=True)
class Numbers:
    """Numbers of a population's points and objects, as LSST gives them.

    Parameters
    ----------
    visit
        (m,) int64, date and number of the exposure.
    source, forced
        (m,) int64, number of the source, and of the forced measurement.
    object, body
        (n,) int64, number of the object (that of its first source), 0 for a known body; and of the known body, 0 where it is none.
    """

    visit: Ints
    source: Ints
    forced: Ints
    object: Ints
    body: Ints


def numbers_of(points: Points) -> Numbers:
    """Number the points and objects."""
    people, visits = points.population, points.sky.visits
    night, sequence = visits.night[people.visit], visits.sequence[people.visit]
    image = ((night - _FIRST_NIGHT) * 2000 + sequence) * 256 + people.detector[points.owner]
    source = (image << 24) + points.owner
    first = np.full(len(people), -1)
    which = np.flatnonzero(points.detected)[::-1]
    first[points.owner[which]] = which
    number = np.nan_to_num(people.parameters["number"], nan=-1.0).astype(np.int64)
    body = np.where(number >= 0, 20_000_000_000_000_000 + number, 0)
    visit = calendar_date(night.astype(np.float64)).astype(np.int64) * 100000 + sequence
    return Numbers(visit, source, source | (1 << 60), np.where(body > 0, 0, source[first]), body)


def _bands(points: Points, at: Ints) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(points.band[at].astype(np.int32)), pa.array(points.sky.telescope.bands))


def _place(points: Points, at: Ints) -> dict[str, Values]:
    """Where a source is on the sky and on its detector, and how well that is known."""
    people, owner = points.population, points.owner[at]
    seeing = points.sky.visits.seeing[people.visit[at]]
    error = seeing / 2.355 / np.abs(people.snr[at])
    u = points.draws[:, at].astype(np.float64)
    return {
        "ra": (people.ra[owner] + (u[0] - 0.5) * 2.0 * error / 3600.0) % 360.0,
        "raErr": error / 3600.0,
        "dec": people.dec[owner] + (u[1] - 0.5) * 2.0 * error / 3600.0,
        "decErr": error / 3600.0,
        "ra_dec_Cov": (u[2] - 0.5) * (error / 3600.0) ** 2,
        "x": people.x[owner],
        "xErr": error / _PIXEL,
        "y": people.y[owner],
        "yErr": error / _PIXEL,
    }


def _fluxes(points: Points, at: Ints) -> dict[str, Values]:
    """How bright a source is, in the difference image, the science image and the template."""
    people = points.population
    flux, error, u = people.flux[at], people.flux_err[at], points.draws[:, at].astype(np.float64)
    real = is_real(people)[points.owner[at]]
    template = people.template[at]
    return {
        "apFlux": flux * (0.97 + 0.06 * u[0]) + error * (u[1] - 0.5),
        "apFluxErr": 1.8 * error,
        "isNegative": flux < 0.0,
        "snr": np.abs(flux / error),
        "psfFlux": flux,
        "psfFluxErr": error,
        "psfChi2": 1681.0 * np.where(real, 0.95 + 0.15 * u[2], 1.5 + 3.0 * u[2]),
        "psfNdata": np.full(len(at), 1681),
        "scienceFlux": flux + template,
        "scienceFluxErr": error,
        "templateFlux": template + 0.1 * error * (u[0] - 0.5),
        "templateFluxErr": 0.2 * error,
    }


def _form(points: Points, at: Ints) -> dict[str, Values]:
    """How a source looks: its trail, its moments, its flags."""
    people, owner = points.population, points.owner[at]
    u = points.draws[:, at].astype(np.float64)
    real = is_real(people)[owner]
    rate = np.nan_to_num(people.parameters["rate"])[owner]
    seeing = points.sky.visits.seeing[people.visit[at]]
    length = np.hypot(rate / 24.0 * 3600.0 * points.sky.telescope.exposure_time / 3600.0, 0.3 * seeing * u[0])
    moment = (seeing / 2.355) ** 2
    star = of_kind(people, "star")[owner] | of_kind(people, "none")[owner]
    dipole = ~real & (u[2] > 0.6)
    return {
        "trailFlux": people.flux[at] * (1.0 + 0.05 * u[1]),
        "trailFluxErr": people.flux_err[at],
        "trailRa": people.ra[owner],
        "trailDec": people.dec[owner],
        "trailLength": length,
        "trailAngle": np.nan_to_num(people.parameters["direction"])[owner] % 360.0 - 180.0,
        "trailNdata": np.zeros(len(at), np.int64),
        "dipoleLength": np.where(dipole, seeing * (0.6 + u[1]), np.nan),
        "dipoleAngle": np.where(dipole, 360.0 * u[0] - 180.0, np.nan),
        "dipoleNdata": np.where(dipole, 1681, 0),
        "isDipole": dipole,
        "dipoleFitAttempted": dipole,
        "ixx": moment * (0.9 + 0.2 * u[0]) * np.where(real, 1.0, 0.4 + u[1]),
        "iyy": moment * (0.9 + 0.2 * u[1]) * np.where(real, 1.0, 0.4 + u[2]),
        "ixy": moment * 0.1 * (u[2] - 0.5),
        "ixxPSF": moment,
        "iyyPSF": moment,
        "ixyPSF": moment * 0.02 * (u[0] - 0.5),
        "extendedness": np.where(real, np.where(star, 0.1, 0.2) * u[1], u[1]),
        "reliability": np.where(real, 1.0 - 0.5 * u[2] ** 3, 0.6 * u[1] ** 2),
        "bboxSize": (12.0 + 20.0 * u[2]).astype(np.int64),
        "pixelFlags": ~real & (u[0] > 0.7),
        "pixelFlags_cr": ~real & (u[0] > 0.7),
        "pixelFlags_crCenter": ~real & (u[0] > 0.8),
        "pixelFlags_interpolated": ~real & (u[0] > 0.7),
    }


def _sources(points: Points, numbers: Numbers, at: Ints) -> dict[str, Values]:
    """The fields of a detection."""
    owner = points.owner[at]
    clear = np.zeros(len(at), np.bool_)
    return {
        "diaSourceId": numbers.source[at],
        "visit": numbers.visit[at],
        "detector": points.population.detector[owner],
        "diaObjectId": numbers.object[owner],
        "ssObjectId": numbers.body[owner],
        "parentDiaSourceId": np.zeros(len(at), np.int64),
        "midpointMjdTai": points.mjd[at],
        "band": _bands(points, at),
        "timeProcessedMjdTai": points.mjd[at] + 0.0014,
        **_place(points, at),
        **_fluxes(points, at),
        **_form(points, at),
        **dict.fromkeys(_FLAGS, clear),
    }


def _forced(points: Points, numbers: Numbers, at: Ints) -> dict[str, Values]:
    """Forced photometry at the object's place."""
    people, owner = points.population, points.owner[at]
    return {
        "diaForcedSourceId": numbers.forced[at],
        "diaObjectId": numbers.object[owner],
        "ra": people.ra[owner],
        "dec": people.dec[owner],
        "visit": numbers.visit[at],
        "detector": people.detector[owner],
        "psfFlux": people.flux[at],
        "psfFluxErr": people.flux_err[at],
        "midpointMjdTai": points.mjd[at],
        "scienceFlux": people.flux[at] + people.template[at],
        "scienceFluxErr": people.flux_err[at],
        "band": _bands(points, at),
        "timeProcessedMjdTai": points.mjd[at] + 0.0014,
    }


def _reduce(key: Ints, n: int, values: Floats, how: np.ufunc, start: float) -> Floats:
    """Reduce values by key, (n,); NaN where a key has none."""
    out = np.full(n, start)
    how.at(out, key, values)
    return np.where(out == start, np.nan, out)


def _band_summary(points: Points, key: Ints, at: Ints, n: int) -> dict[str, Floats | Ints]:
    """Summarise detections by key: weighted mean, its error, scatter, count, extremes, largest slope."""
    people = points.population
    flux, error = people.flux[at], people.flux_err[at]
    weight = error**-2.0
    count = np.bincount(key, minlength=n)
    some = np.maximum(count, 1)
    total = np.where(count > 0, np.bincount(key, weight, n), np.nan)
    mean = np.bincount(key, weight * flux, n) / total
    square = np.bincount(key, (flux - np.bincount(key, flux, n)[key] / count[key]) ** 2, n)
    order = np.lexsort((points.mjd[at], key))
    step = np.diff(flux[order]) / np.maximum(np.diff(points.mjd[at][order]), 1e-5)
    same = key[order][1:] == key[order][:-1]
    total_flux = flux + people.template[at]
    return {
        "psfFluxMean": mean,
        "psfFluxMeanErr": total**-0.5,
        "psfFluxSigma": np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan),
        "psfFluxNdata": count,
        "scienceFluxMean": np.bincount(key, weight * total_flux, n) / total,
        "scienceFluxMeanErr": total**-0.5,
        "psfFluxMin": _reduce(key, n, flux, np.minimum, np.inf),
        "psfFluxMax": _reduce(key, n, flux, np.maximum, -np.inf),
        "psfFluxMaxSlope": _reduce(key[order][1:][same], n, step[same], np.maximum, -np.inf),
        "psfFluxErrMean": np.where(count > 0, np.bincount(key, error, n) / some, np.nan),
    }


def _objects(points: Points, numbers: Numbers, alerts: Ints, offsets: Ints, before: Ints) -> dict[str, Values]:
    """The object's summary over its detections, this one included."""
    n, bands = len(alerts), points.sky.telescope.bands
    at = np.concatenate([before, alerts])
    row = np.concatenate([np.repeat(np.arange(n), np.diff(offsets)), np.arange(n)])
    summary = _band_summary(points, row * len(bands) + points.band[at], at, n * len(bands))
    people, owner = points.population, points.owner[alerts]
    place = _place(points, alerts)
    count = np.diff(offsets) + 1
    first = np.where(
        count > 1, points.mjd[before[np.minimum(offsets[:-1], max(len(before) - 1, 0))]] if len(before) else 0.0, points.mjd[alerts]
    )
    return {
        "diaObjectId": numbers.object[owner],
        "validityStartMjdTai": points.mjd[alerts] + 0.0015,
        "ra": people.ra[owner],
        "raErr": np.asarray(place["raErr"]) / np.sqrt(count),
        "dec": people.dec[owner],
        "decErr": np.asarray(place["decErr"]) / np.sqrt(count),
        "ra_dec_Cov": np.asarray(place["ra_dec_Cov"]) / count,
        "firstDiaSourceMjdTai": first,
        "lastDiaSourceMjdTai": points.mjd[alerts],
        "nDiaSources": count,
    } | {f"{band}_{name}": values.reshape(n, -1)[:, i] for name, values in summary.items() for i, band in enumerate(bands)}


def _known_bodies(points: Points, numbers: Numbers, alerts: Ints) -> dict[str, Values]:
    """What is predicted of the known body."""
    people, owner = points.population, points.owner[alerts]
    u = points.draws[:, alerts].astype(np.float64)
    ra, dec = people.ra[owner], people.dec[owner]
    offset = 0.02 + 0.2 * u[0]
    longitude, latitude = galactic(ra, dec)
    ecliptic_longitude, ecliptic_latitude = ecliptic(ra, dec)
    parameters = {name: np.nan_to_num(people.parameters[name])[owner] for name in ("rate", "direction", "mean_mag")}
    angle = np.radians(parameters["direction"])
    return {
        "diaSourceId": numbers.source[alerts],
        "ssObjectId": numbers.body[owner],
        "designation": pa.array(movers.designation(np.nan_to_num(people.parameters["number"], nan=-1.0)[owner]), pa.string()),
        "eclLambda": ecliptic_longitude,
        "eclBeta": ecliptic_latitude,
        "galLon": longitude,
        "galLat": latitude,
        "ephRa": ra + offset / 3600.0,
        "ephDec": dec,
        "ephVmag": parameters["mean_mag"] + 0.2,
        "ephRate": parameters["rate"],
        "ephRateRa": parameters["rate"] * np.cos(angle),
        "ephRateDec": parameters["rate"] * np.sin(angle),
        "ephOffset": offset,
        "diaDistanceRank": np.ones(len(alerts), np.int64),
    }


def _latest(offsets: Ints, points: Ints, most: Ints) -> tuple[Ints, Ints]:
    """Keep the last so many points of each row."""
    counts = np.minimum(np.diff(offsets), most)
    kept = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return kept, points[np.arange(kept[-1]) - np.repeat(kept[:-1] - (offsets[1:] - counts), counts)]


class LsstForm:
    """LSST's packets of one population; see `fink.simulator.night.Form`."""

    background = 0.0

    def __init__(self, points: Points, seed: int) -> None:
        self.points = points
        self.numbers = numbers_of(points)

    def alert_ids(self, alerts: Ints) -> Ints:
        """Number of each alert, (n,)."""
        return self.numbers.source[alerts]

    def object_ids(self, alerts: Ints) -> pa.Array:
        """Number of each alert's object as text, (n,); null for a known body."""
        number = self.numbers.object[self.points.owner[alerts]]
        return pa.array(number, mask=number == 0).cast(pa.string())

    def unit(self, alerts: Ints) -> Floats:
        """Stamps are in nJy: 1, (n,)."""
        return np.ones(len(alerts))

    def records(self, alerts: Ints, *, history: bool, limit: Ints | None = None) -> Encodable:
        """Make the records of these alerts, without the stamps; ``limit`` counts sources and forced measurements together."""
        points, numbers, n = self.points, self.numbers, len(alerts)
        known = numbers.body[points.owner[alerts]] > 0
        mine = history & (numbers.body == 0)[points.owner]
        offsets, before = points.before(alerts, points.detected & mine)
        forced_offsets, forced = points.before(alerts, ~np.isnan(points.first_mjd) & mine)
        if limit is not None:
            offsets, before = _latest(offsets, before, (limit + 1) // 2)
            forced_offsets, forced = _latest(forced_offsets, forced, limit - np.diff(offsets))
        groups = {
            "diaSource": _sources(points, numbers, alerts),
            "prvDiaSources[]": _sources(points, numbers, before),
            "prvDiaForcedSources[]": _forced(points, numbers, forced),
            "diaObject": _objects(points, numbers, alerts, offsets, before),
            "ssSource": _known_bodies(points, numbers, alerts),
        }
        values = {f"{group}.{name}": array for group, columns in groups.items() for name, array in columns.items()}
        values["diaSourceId"] = numbers.source[alerts]
        there = {"diaObject": ~known, "ssSource": known, "diaSource.diaObjectId": ~known}
        lists = {"prvDiaSources": np.diff(offsets) > 0, "prvDiaForcedSources": ~known}
        return Encodable(n, values, {"prvDiaSources": offsets, "prvDiaForcedSources": forced_offsets}, there | lists)

    def with_stamps(self, alerts: Ints, stamps: Mapping[str, Ranges]) -> dict[str, Values]:
        """Give the fields that hold these stamps."""
        return {f"cutout{which.title()}": ranges for which, ranges in stamps.items()}
