"""ZTF packets: the fields of schema 4.02 as the survey fills them, its sentinels included (-999, "null", -99999)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.codecs.encode import Encodable, Ranges, Values
from fink.lightcurves import AB_ZERO
from fink.simulator.kinds import Floats, blackbody, magnitude_of
from fink.simulator.night import Points, is_real, of_kind
from fink.sky import MJD_OF_JD, tai_to_utc

Ints = NDArray[np.int64]

VERSION = (4, 2)
FIRST_NIGHT = 57754
"""MJD of the survey's night 0."""
_LETTERS = 26**7
_STRIDE = 4294967311
_PIXEL = 1.012
_NONE, _NO_FLUX = -999.0, -99999.0


@dataclass(frozen=True)
class Names:
    """Numbers and names of a population's points and objects, as ZTF gives them.

    Parameters
    ----------
    pid, candid
        (m,) int64, number of the image, and of the candidate (0 where it is none).
    table_row
        (m,) int64, the candidate's place in the list of its image.
    object_id
        (n,) names of the objects.
    """

    pid: Ints
    candid: Ints
    table_row: Ints
    object_id: pa.Array


def names_of(points: Points, seed: int) -> Names:
    """Number the points and name the objects: the year of discovery and seven letters."""
    people, visits = points.population, points.sky.visits
    start = visits.start[people.visit]
    channel = people.detector[points.owner]
    fraction = ((start % 1.0) * 1e5).astype(np.int64)
    pid = (np.floor(start).astype(np.int64) - FIRST_NIGHT) * 10**9 + fraction * 10**4 + channel * 100 + 15
    which = np.flatnonzero(points.detected)
    order = which[np.argsort(pid[which], kind="stable")]
    table_row = np.zeros(len(pid), np.int64)
    table_row[order] = np.arange(len(order)) - np.searchsorted(pid[order], pid[order])
    part = np.where(people.flux > 0.0, 15000, 10000) + table_row
    candid = np.where(points.detected, pid * 10**6 + part, 0)
    number = (np.arange(len(people), dtype=np.int64) * _STRIDE + seed * 7919) % _LETTERS
    letters = (number[:, None] // 26 ** np.arange(6, -1, -1) % 26 + ord("a")).astype(np.uint8)
    suffix = pa.array(letters.view("S7").ravel().astype("U7"))
    # the last point of an object knows its first detection
    last = people.offsets[1:] - 1
    year = (np.nan_to_num(points.first_mjd[last], nan=float(points.mjd.max())) - 58119.0) // 365.25 + 18
    prefix = pa.array(np.char.add("ZTF", year.astype(np.int64).astype(str)))
    return Names(pid, candid, table_row, pc.binary_join_element_wise(prefix, suffix, ""))


def _file_names(points: Points, at: Ints) -> pa.Array:
    """Name the difference images of these points."""
    visits, people = points.sky.visits, points.population
    visit, place = np.unique(people.visit[at], return_inverse=True)
    date = np.floor(visits.start[visit]).astype(np.int64) - 40587
    days = np.datetime_as_string(date.astype("datetime64[D]"), unit="D").tolist()
    numbers = points.sky.fields.number[visits.field[visit]].tolist()
    rows = zip(days, (visits.start[visit] % 1.0).tolist(), numbers, visits.band[visit].tolist(), strict=True)
    heads = pa.array([f"ztf_{day.replace('-', '')}{int(part * 1e6):06d}_{number:06d}_z{'gri'[band]}" for day, part, number, band in rows])
    tails = pa.array([f"_c{rc // 4 + 1:02d}_o_q{rc % 4 + 1}_scimrefdiffimg.fits" for rc in range(64)])
    channel = people.detector[points.owner[at]]
    return pc.binary_join_element_wise(heads.take(pa.array(place)), tails.take(pa.array(channel)), "")


def _constant(value: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value]))


@dataclass(frozen=True)
class Surroundings:
    """What lies around each of ``n`` objects in the reference image and in the deep catalogue.

    Parameters
    ----------
    separation, ra, dec
        (n,) distance of the nearest reference source [arcsec], and its position [deg].
    mag
        (n, 3) its magnitude in each filter.
    chi, sharp
        (n,) shape of it.
    """

    separation: Floats
    ra: Floats
    dec: Floats
    mag: Floats
    chi: Floats
    sharp: Floats


def surroundings(points: Points, seed: int) -> Surroundings:
    """Find what lies around the objects: the star or galaxy that the template shows there, else some neighbour."""
    people, wavelengths = points.population, np.array(points.sky.telescope.wavelengths)
    u = np.random.default_rng([seed, 4]).random((5, len(people)))
    host = people.parameters
    visible = np.nan_to_num(host["host_mag"], nan=99.0) < 21.5
    separation = np.where(visible, host["host_separation"], 4.0 + 16.0 * u[0])
    angle = np.radians(np.where(visible, host["host_angle"], 360.0 * u[1]))
    mag = np.where(visible, host["host_mag"], 18.5 + 3.0 * u[2])
    temperature = np.where(visible, host["host_temperature"], 3500.0 + 3000.0 * u[3])
    colour = -2.5 * np.log10(blackbody(wavelengths[None, :], temperature[:, None]))
    dec = people.dec + separation * np.cos(angle) / 3600.0
    ra = people.ra + separation * np.sin(angle) / 3600.0 / np.cos(np.radians(people.dec))
    extended = of_kind(people, "galaxy") & visible
    return Surroundings(
        separation, ra % 360.0, dec, mag[:, None] + colour, 0.4 + 0.5 * u[4], np.where(extended, 0.4, 0.0) + 0.1 * (u[3] - 0.5)
    )


def _zero_point(points: Points, at: Ints) -> Floats:
    """Magnitude that gives one count on the images of these points; clouds lower it with the depth."""
    visits = points.sky.visits
    return np.array([26.3, 26.25, 25.6])[points.band[at]] + 0.1 * (visits.limit_mag[points.population.visit[at]] - 20.5)


def _image(points: Points, names: Names, at: Ints) -> dict[str, Values]:
    """The fields that every point has, detection or not: when and on which image."""
    visits, visit = points.sky.visits, points.population.visit[at]
    band = points.band[at]
    return {
        "jd": visits.start[visit] + MJD_OF_JD,
        "fid": band + 1,
        "pid": names.pid[at],
        "diffmaglim": visits.limit_mag[visit],
        "programid": np.ones(len(at), np.int64),
        "rcid": points.population.detector[points.owner[at]],
        "field": points.sky.fields.number[visits.field[visit]],
        "magzpsci": _zero_point(points, at),
        "magzpsciunc": 1e-5 + 2e-5 * points.draws[0, at],
        "magzpscirms": 0.02 + 0.03 * points.draws[1, at],
        "clrcoeff": np.array([-0.05, 0.1, 0.0])[band] + 0.02 * points.draws[2, at],
        "clrcounc": 1e-5 + 2e-5 * points.draws[2, at],
    }


def _shape(points: Points, at: Ints) -> dict[str, Values]:
    """How a detection looks: sharp and round if it is real, anything if it is an artefact."""
    u = points.draws[:, at].astype(np.float64)
    real = is_real(points.population)[points.owner[at]]
    seeing = points.sky.visits.seeing[points.population.visit[at]] / _PIXEL
    fwhm = seeing * np.where(real, 0.95 + 0.15 * u[0], 0.5 + 1.5 * u[0])
    elong = np.where(real, 1.0 + 0.3 * u[1] ** 2, 1.1 + 1.2 * u[1])
    major = fwhm * (0.38 + 0.05 * u[2])
    return {
        "chipsf": np.where(real, 0.6 + 1.5 * u[0] ** 2, 3.0 + 20.0 * u[0]),
        "sky": 2.0 * (u[1] - 0.5),
        "fwhm": fwhm,
        "classtar": np.where(real, 1.0 - 0.3 * u[2] ** 2, u[2]),
        "seeratio": 0.8 + 0.5 * u[0],
        "aimage": major,
        "bimage": major / elong,
        "aimagerat": major / fwhm,
        "bimagerat": major / elong / fwhm,
        "elong": elong,
        "nneg": np.where(real, 5.0 * u[1] ** 2, 12.0 * u[1]).astype(np.int64),
        "nbad": np.where(real, 0.0, 2.5 * u[2] ** 3).astype(np.int64),
        "sumrat": np.where(real, 1.0 - 0.2 * u[1] ** 2, 0.3 + 0.7 * u[1]),
        "rb": np.where(real, 1.0 - 0.45 * u[0] ** 2, 0.6 * u[0]),
    }


def _photometry(points: Points, at: Ints) -> dict[str, Values]:
    """Where a detection is and how bright."""
    people, owner = points.population, points.owner[at]
    flux, snr = people.flux[at], np.abs(people.snr[at])
    mag = magnitude_of(np.where(points.detected[at], flux, np.nan))
    u = points.draws[:, at].astype(np.float64)
    scatter = 0.6 / snr / 3600.0
    aperture = mag + 0.06 * (u[0] - 0.5)
    x, y = people.x[owner], people.y[owner]
    return {
        "ra": (people.ra[owner] + scatter * (u[1] - 0.5)) % 360.0,
        "dec": people.dec[owner] + scatter * (u[2] - 0.5),
        "xpos": x,
        "ypos": y,
        "mindtoedge": np.minimum(np.minimum(x, 3072.0 - x), np.minimum(y, 3080.0 - y)),
        "magpsf": mag,
        "sigmapsf": 1.0857 / snr,
        "magap": aperture,
        "sigmagap": 1.3 * 1.0857 / snr,
        "magdiff": aperture - mag,
        "magfromlim": points.sky.visits.limit_mag[people.visit[at]] - aperture,
        "magapbig": aperture - 0.02 * u[1],
        "sigmagapbig": 1.6 * 1.0857 / snr,
        "scorr": snr * (1.0 + 0.3 * u[2]),
        "isdiffpos": pa.DictionaryArray.from_arrays(pa.array((flux > 0.0).astype(np.int32)), pa.array(["f", "t"])),
    }


def _nearest(points: Points, around: Surroundings, at: Ints, unit: float) -> dict[str, Values]:
    """The nearest source of the reference image; its distance in units of so many arcseconds."""
    owner = points.owner[at]
    return {
        "distnr": around.separation[owner] / unit,
        "ranr": around.ra[owner],
        "decnr": around.dec[owner],
        "magnr": around.mag[owner, points.band[at]],
        "sigmagnr": 0.01 + 0.05 * points.draws[0, at],
        "chinr": around.chi[owner],
        "sharpnr": around.sharp[owner],
    }


def _solar_system(points: Points, at: Ints, missing: float) -> dict[str, Values]:
    """The nearest known solar-system object."""
    people = points.population
    number = np.nan_to_num(people.parameters["number"], nan=-1.0)[points.owner[at]]
    known = number >= 0.0
    name = pa.array(number.astype(np.int64)).cast(pa.string())
    mean = people.parameters["mean_mag"][points.owner[at]]
    return {
        "ssdistnr": np.where(known, 0.1 + 0.8 * points.draws[0, at], missing),
        "ssmagnr": np.where(known, np.round(mean + 0.2, 1), missing),
        "ssnamenr": pc.if_else(pa.array(known), name, None if np.isnan(missing) else "null"),
    }


def _neighbours(points: Points, at: Ints, seed: int) -> dict[str, Values]:
    """The three nearest sources of the deep catalogue (PS1) within 30 arcsec, and the nearest of Gaia."""
    people, owner = points.population, points.owner[at]
    n = len(people)
    u = np.random.default_rng([seed, 5]).random((16, n))
    host, star = people.parameters, of_kind(people, "star")
    there = np.nan_to_num(host["host_mag"], nan=99.0) < 22.5
    found: dict[str, Floats | Ints] = {}
    separation = np.zeros(n)
    for rank in range(3):
        v = u[4 * rank : 4 * rank + 4]
        own = there if rank == 0 else np.zeros(n, np.bool_)
        separation = np.where(own, host["host_separation"], separation + 1.0 + 9.0 * v[0])
        near = separation < 30.0
        r = np.where(own, host["host_mag"], 17.0 + 5.0 * np.sqrt(v[1]))
        colour = np.where(own, _g_minus_r(host["host_temperature"]), 0.3 + 0.9 * v[2])
        extended = np.where(own, ~star, v[3] < 0.3)
        score = np.where(extended, 0.25 * v[2] ** 2, 1.0 - 0.15 * v[2] ** 2)
        tag = str(rank + 1)
        mags = {"g": r + colour, "r": r, "i": r - 0.4 * colour, "z": r - 0.55 * colour}
        found |= {f"s{band}mag{tag}": np.where(near & (mag < 23.5), mag, _NONE) for band, mag in mags.items()}
        found[f"sgscore{tag}"] = np.where(near, score, _NONE)
        found[f"distpsnr{tag}"] = np.where(near, separation, _NONE)
        found[f"objectidps{tag}"] = (((people.dec + 90.0) * 1.2e15).astype(np.int64) + np.arange(n) * 10 + rank) * near
    found["nmtchps"] = (3 + 20 * u[12]).astype(np.int64)
    mine = there & star
    found["neargaia"] = np.where(mine, host["host_separation"] + 0.05, 2.0 + 40.0 * u[13])
    found["maggaia"] = np.where(mine, host["host_mag"] + 0.1, 16.0 + 4.5 * u[14])
    found["neargaiabright"] = np.where(mine & (host["host_mag"] < 13.9), found["neargaia"], 20.0 + 69.0 * u[15])
    found["maggaiabright"] = np.where(mine & (host["host_mag"] < 13.9), found["maggaia"], 9.0 + 5.0 * u[14])
    return {name: values[owner] for name, values in found.items()}


def _g_minus_r(temperature: Floats) -> Floats:
    """Colour of a black body [mag], 0.5 where the temperature is not known."""
    warm = np.nan_to_num(temperature, nan=5200.0)
    pair = [blackbody(np.full_like(warm, wavelength), warm) for wavelength in (4746.5, 6366.4)]
    return np.asarray(-2.5 * np.log10(pair[0] / pair[1]))


def _candidates(points: Points, names: Names, around: Surroundings, at: Ints) -> dict[str, Values]:
    """What a candidate and the earlier ones in a packet have in common."""
    n = len(at)
    return {
        **_image(points, names, at),
        **_photometry(points, at),
        **_shape(points, at),
        **_nearest(points, around, at, _PIXEL),
        "candid": names.candid[at],
        "tblid": names.table_row[at],
        "nid": names.pid[at] // 10**9,
        "pdiffimfilename": _file_names(points, at),
        "programpi": _constant("simulated", n),
        "rbversion": _constant("t17_f5_c3", n),
    }


def _own(points: Points, at: Ints, seed: int) -> dict[str, Values]:
    """What only the candidate of the alert itself has."""
    people, n = points.population, len(at)
    u = points.draws[:, at].astype(np.float64)
    real = is_real(people)[points.owner[at]]
    snr = np.abs(people.snr[at])
    first = tai_to_utc(points.first_mjd[at]) - 15.0 / 86400.0
    start = points.sky.visits.start[people.visit[at]]
    field = points.sky.fields.number[people.field[points.owner[at]]].astype(np.int64)
    return {
        "ndethist": points.count[at],
        "ncovhist": points.count[at] + (300.0 * u[1]).astype(np.int64),
        "jdstarthist": np.where(points.count[at] > 1, first, start) + MJD_OF_JD,
        "jdendhist": start + MJD_OF_JD,
        "tooflag": np.zeros(n, np.int64),
        "rfid": field * 10**6 + (points.band[at] + 1) * 10**5 + 20100 + people.detector[points.owner[at]],
        "jdstartref": np.full(n, 2458150.5),
        "jdendref": np.full(n, 2458300.5),
        "nframesref": 15 + (20.0 * u[2]).astype(np.int64),
        "dsnrms": snr * (0.7 + 0.3 * u[0]),
        "ssnrms": snr * (1.2 + 0.5 * u[1]),
        "dsdiff": snr * (-0.5 + 0.3 * u[0] - 0.5 * u[1]),
        "nmatches": 300 + (1000.0 * u[2]).astype(np.int64),
        "zpclrcov": -1e-6 * (1.0 + u[0]),
        "zpmed": 26.2 + 0.1 * u[1],
        "clrmed": 0.5 + 0.4 * u[0],
        "clrrms": 0.1 + 0.1 * u[1],
        "exptime": np.full(n, 30.0),
        "drb": np.where(real, 1.0 - 0.3 * u[2] ** 6, 0.7 * u[1] ** 2),
        "drbversion": _constant("d6_m7", n),
        **_neighbours(points, at, seed),
        **_solar_system(points, at, _NONE),
    }


def _forced(points: Points, names: Names, around: Surroundings, at: Ints) -> dict[str, Values]:
    """Forced photometry at the object's place, in counts of the image; one in fifty has none."""
    image = _image(points, names, at)
    counts = 10.0 ** ((_zero_point(points, at) - AB_ZERO) / 2.5)
    u = points.draws[:, at].astype(np.float64)
    failed = (u[1] < 0.02) & ~points.detected[at]
    people = points.population
    visits = points.sky.visits
    near = _nearest(points, around, at, 1.0)
    return image | {
        **{name: np.where(failed, _NO_FLUX, np.asarray(values)) for name, values in near.items()},
        "rfid": points.sky.fields.number[people.field[points.owner[at]]].astype(np.int64) * 10**6 + (points.band[at] + 1) * 10**5 + 20100,
        "sciinpseeing": visits.seeing[people.visit[at]] / _PIXEL,
        "scibckgnd": 150.0 + 150.0 * u[0],
        "scisigpix": 8.0 + 4.0 * u[0],
        "exptime": np.full(len(at), 30.0),
        "adpctdif1": 0.06 + 0.02 * u[1],
        "adpctdif2": 0.06 + 0.02 * u[2],
        "forcediffimflux": np.where(failed, _NO_FLUX, people.flux[at] * counts),
        "forcediffimfluxunc": np.where(failed, _NO_FLUX, people.flux_err[at] * counts),
        "procstatus": pa.DictionaryArray.from_arrays(pa.array(failed.astype(np.int32)), pa.array(["0", "61"])),
    }


_ALWAYS = {"jd", "fid", "pid", "diffmaglim", "programid", "rcid", "field", "nid", "pdiffimfilename", "programpi", "rbversion"} | {
    "magzpsci",
    "magzpsciunc",
    "magzpscirms",
    "clrcoeff",
    "clrcounc",
}
"""Fields that an upper limit among the earlier candidates has; the others are null."""


class ZtfForm:
    """ZTF's packets of one population; see `fink.simulator.night.Form`."""

    background = 180.0

    def __init__(self, points: Points, seed: int) -> None:
        self.points = points
        self.seed = seed
        self.names = names_of(points, seed)
        self.around = surroundings(points, seed)

    def alert_ids(self, alerts: Ints) -> Ints:
        """Number of each alert, (n,)."""
        return self.names.candid[alerts]

    def object_ids(self, alerts: Ints) -> pa.Array:
        """Name of each alert's object, (n,)."""
        return self.names.object_id.take(pa.array(self.points.owner[alerts]))

    def unit(self, alerts: Ints) -> Floats:
        """Counts of the image for a nJy, (n,)."""
        return np.asarray(10.0 ** ((_zero_point(self.points, alerts) - AB_ZERO) / 2.5))

    def records(self, alerts: Ints, *, history: bool, limit: Ints | None = None) -> Encodable:
        """Make the records of these alerts, without the stamps."""
        n, points = len(alerts), self.points
        candidate = _candidates(points, self.names, self.around, alerts) | _own(points, alerts, self.seed)
        values: dict[str, Values] = {
            "schemavsn": _constant("4.02", n),
            "publisher": _constant("Fink simulator", n),
            "objectId": self.object_ids(alerts),
            "candid": self.names.candid[alerts],
        } | {f"candidate.{name}": array for name, array in candidate.items()}
        if not history:
            return Encodable(n, values)
        offsets, at = points.before(alerts, np.ones(len(points.mjd), np.bool_))
        there, detected = np.diff(offsets) > 0, points.detected[at]
        previous = _candidates(points, self.names, self.around, at)
        values |= {f"prv_candidates[].{name}": array for name, array in previous.items()}
        values |= {f"fp_hists[].{name}": array for name, array in _forced(points, self.names, self.around, at).items()}
        nulls = {f"prv_candidates[].{name}": detected for name in previous if name not in _ALWAYS}
        return Encodable(
            n, values, dict.fromkeys(("prv_candidates", "fp_hists"), offsets), nulls | dict.fromkeys(("prv_candidates", "fp_hists"), there)
        )

    def with_stamps(self, alerts: Ints, stamps: Mapping[str, Ranges]) -> dict[str, Values]:
        """Give the fields that hold these stamps."""
        number = pa.array(self.names.candid[alerts]).cast(pa.string())
        image = pa.array(self.names.pid[alerts]).cast(pa.string())
        endings = {"science": "_targ_sci.fits.gz", "template": "_ref.fits.gz", "difference": "_targ_scimref.fits.gz"}
        values: dict[str, Values] = {}
        for which, ranges in stamps.items():
            name = pc.binary_join_element_wise("candid", number, "_pid", image, endings[which], "")
            values |= {f"cutout{which.title()}.fileName": name, f"cutout{which.title()}.stampData": ranges}
        return values
