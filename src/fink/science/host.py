"""Host: the galaxy that an alert most likely lies in, how likely, and how far away and luminous that makes the alert.

Every galaxy near an alert, of every catalogue of galaxies that is installed, is a candidate. How much more likely an alert is to
lie here if it belongs to this galaxy than if the galaxy is there by chance is the ratio of two densities on the sky (Sutherland
and Saunders 1992, doi:10.1093/mnras/259.3.413):

*Of its own events.* They follow the galaxy's light, an exponential disc; one in five follows one that is three times wider. Where
the catalogue has the ellipse of the isophote of 25 mag / arcsec^2 the scale is a third of its radius (Freeman 1970,
doi:10.1086/150474), and the separation over the radius in the direction of the alert is the normalised distance (directional
light radius: Sullivan et al. 2006, doi:10.1086/506137). Else the scale is 2.5 kpc at the galaxy's distance. No scale is smaller
than an arcsec.

*Of strangers.* As many galaxies as lie nearer than this one, at one in a hundred cubic Mpc, and never more than the catalogue holds.

With the share of events whose host each catalogue holds, the ratios give the probability of each candidate, and that none of them
is the host: the catalogues' side of being hostless. One galaxy in several catalogues is one candidate, with the ellipse of the
first and the redshift of the first that has one. A galaxy in which the alert would be brighter than -24 mag counts a hundredth.

Distances are those of `fink.cosmology`; where the catalogue gives a luminosity distance, that is taken. The absolute magnitude is
that of the difference flux, without the Milky Way's dust where its map is installed; of the spectrum it knows 2.5 log10(1 + z).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from fink import cosmology
from fink.catalogs.store import InstalledCatalogue
from fink.columns import Column
from fink.science import Columns, installed_catalogue, science_module

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GALAXIES_PER_MPC3 = 0.01
"""Galaxies as luminous as hosts are, in a cubic Mpc."""

SCALE_OF_ISOPHOTE, TYPICAL_SCALE, LEAST_SCALE = 1.0 / 3.0, 2.5, 1.0
"""Scale of a disc over the radius of its isophote; scale where no size is known [kpc]; least scale [arcsec]."""

WIDE, WIDE_SHARE = 3.0, 0.2
BRIGHTEST, TOO_BRIGHT = -24.0, 0.01
"""Absolute magnitude beyond which an event is hardly believed, and how much such a galaxy still counts."""

_SKY = 4.0 * np.pi * (180.0 / np.pi * 3600.0) ** 2
_ONE_GALAXY = 3.0
"""Least separation of two galaxies [arcsec]."""

_F4 = pa.float32()


@dataclass(frozen=True)
class Galaxies:
    """How a catalogue of galaxies is read.

    Parameters
    ----------
    name
        The catalogue.
    share
        Share of all events whose host it holds.
    reach
        How far from an alert its galaxies are looked for [arcsec]; where they have ellipses of their own they are looked for
        inside them.
    columns
        What its columns are, without its name: name, redshift, redshift_err, distance, size, axis_ratio, position_angle.
    only
        A column and values that galaxies have in it.
    no_star
        Column with the probability of being a star; empty where there is none.
    """

    name: str
    share: float
    reach: float
    columns: Mapping[str, str]
    only: tuple[str, tuple[str, ...]] | None = None
    no_star: str = ""


_SHAPE = {"size": "size", "axis_ratio": "axis_ratio", "position_angle": "position_angle"}
CATALOGUES = (
    Galaxies("ngc", 0.02, 0.0, {"name": "name", "redshift": "redshift"}, ("type", ("G", "GPair", "GTrpl", "GGroup"))),
    Galaxies("glade", 0.25, 100.0, {"name": "name", "redshift": "redshift", "distance": "luminosity_distance", **_SHAPE}),
    Galaxies("mangrove", 0.10, 100.0, {"name": "hyperleda_name", "distance": "luminosity_distance"}),
    Galaxies("legacy", 0.60, 20.0, {"redshift": "redshift", "redshift_err": "redshift_err"}, no_star="star_probability"),
)
"""Catalogues of galaxies, those with the better shapes first."""

_NUMBERS = ("redshift", "redshift_err", "distance", "size", "axis_ratio", "position_angle")


@science_module(
    version="1.0",
    outputs=(
        Column("host_name", pa.string(), "", "meta.id.parent", "Name of the likeliest host; null where its catalogue names none"),
        Column("host_catalogue", pa.string(), "", "meta.id", "Catalogue that the likeliest host is from"),
        Column("host_probability", _F4, "", "stat.probability", "Probability that this galaxy is the host", indexed=True),
        Column("no_host_probability", _F4, "", "stat.probability", "Probability that the host is in no catalogue that was asked"),
        Column("n_host_candidates", pa.int32(), "", "meta.number", "Galaxies that were compared"),
        Column("host_separation", _F4, "arcsec", "pos.angDistance", "Distance to the centre of the likeliest host"),
        Column("host_distance_ratio", _F4, "", "pos.angDistance;arith.ratio", "That distance over the host's radius in this direction"),
        Column("host_offset", _F4, "kpc", "pos.distance;pos.projection", "Projected distance to the centre of the likeliest host"),
        Column("host_redshift", _F4, "", "src.redshift", "Redshift of the likeliest host", indexed=True),
        Column("host_redshift_err", _F4, "", "stat.error;src.redshift", "One-sigma error of host_redshift, where it is photometric"),
        Column("host_luminosity_distance", _F4, "Mpc", "pos.distance", "Luminosity distance of the likeliest host"),
        Column("absolute_mag", _F4, "mag", "phys.magAbs", "Absolute magnitude of the alert at the likeliest host", indexed=True),
    ),
    where="NOT is_known_sso",
    reference="doi:10.1093/mnras/259.3.413",
    artifacts=tuple(installed_catalogue(each.name, optional=True) for each in CATALOGUES),
)
def host(
    ra: Floats,
    dec: Floats,
    mag: Floats,
    extinction: Floats,
    ngc: InstalledCatalogue | None,
    glade: InstalledCatalogue | None,
    mangrove: InstalledCatalogue | None,
    legacy: InstalledCatalogue | None,
) -> Columns:
    """Weigh the galaxies near each alert; all (n,)."""
    found = {"ngc": ngc, "glade": glade, "mangrove": mangrove, "legacy": legacy}
    asked = [(each, found[each.name]) for each in CATALOGUES]
    return associate(ra, dec, mag - np.nan_to_num(extinction), [(each, opened) for each, opened in asked if opened is not None])


def associate(ra: Floats, dec: Floats, mag: Floats, catalogues: list[tuple[Galaxies, InstalledCatalogue]]) -> Columns:
    """Find the likeliest host of each position among the galaxies of some catalogues.

    Parameters
    ----------
    ra, dec, mag
        (n,) places [deg] and magnitudes of the alerts; NaN where unknown.
    catalogues
        Those to look in, the ones with the better shapes first.
    """
    parts = [_candidates(rank, each, opened, ra, dec) for rank, (each, opened) in enumerate(catalogues)]
    joined = {name: np.concatenate([numbers[name] for numbers, _ in parts]) for name in parts[0][0]}
    order = np.lexsort((joined["separation"], joined["rank"], joined["alert"]))
    found = {name: values[order] for name, values in joined.items()}
    names = pa.concat_arrays([of_galaxies for _, of_galaxies in parts]).take(pa.array(order))
    edges = np.searchsorted(found["alert"], np.arange(len(ra) + 1))
    single = merge(edges, found["place"], found["size"], found["redshift"], found["redshift_err"], found["distance"])
    measures = _measured(found, mag)
    ratios = np.where(single, measures.pop("ratio"), 0.0)
    unseen = max(1.0 - sum(each.share for each, _ in catalogues), 0.05)
    best, probability, none, count = choose(edges, ratios, unseen)
    chosen = pa.array(best, mask=best < 0)
    return {
        "host_name": names.take(chosen),
        "host_catalogue": pa.array([each.name for each, _ in catalogues]).take(pa.array(found["rank"], pa.int64()).take(chosen)),
        "host_probability": probability,
        "no_host_probability": none,
        "n_host_candidates": count,
        **{name: pa.array(values, pa.float64(), from_pandas=True).take(chosen) for name, values in measures.items()},
    }


def _candidates(rank: int, each: Galaxies, opened: InstalledCatalogue, ra: Floats, dec: Floats) -> tuple[dict[str, Any], pa.Array]:
    """Give the galaxies of one catalogue near the positions: numbers (m,) each, and names."""
    radius = None if len(opened.index.shape) else each.reach
    pairs = opened.index.match(ra, dec, radius=radius, nearest=False)
    kept = _are_galaxies(each, opened, pairs.source)
    alert, source = pairs.position[kept], pairs.source[kept]
    columns = {name: f"{each.name}_{column}" for name, column in each.columns.items()}
    there = {name: column for name, column in columns.items() if column in opened.columns}
    numbers: dict[str, Any] = {name: _numbers(opened, there.get(name), source) for name in _NUMBERS}
    if len(opened.index.shape):
        numbers |= dict(zip(("size", "axis_ratio", "position_angle"), opened.index.shape[source].astype(np.float64).T, strict=True))
    place = opened.index.positions[source]
    numbers |= _seen_from(place, ra[alert], dec[alert])
    numbers |= {"alert": alert, "rank": np.full(len(alert), rank), "separation": pairs.separation[kept]}
    numbers |= {"chance": np.full(len(alert), len(opened) / _SKY), "share": np.full(len(alert), each.share)}
    names = opened.take(there["name"], source) if "name" in there else pa.nulls(len(source), pa.string())
    return numbers, names


def _are_galaxies(each: Galaxies, opened: InstalledCatalogue, source: Ints) -> NDArray[np.bool_]:
    kept = np.ones(len(source), np.bool_)
    if each.only is not None and (kind := f"{each.name}_{each.only[0]}") in opened.columns:
        kept &= pc.is_in(opened.take(kind, source), pa.array(each.only[1])).to_numpy(zero_copy_only=False)
    if each.no_star and (column := f"{each.name}_{each.no_star}") in opened.columns:
        kept &= ~(_numbers(opened, column, source) > 0.5)
    return kept


def _numbers(opened: InstalledCatalogue, column: str | None, source: Ints) -> Floats:
    if column is None:
        return np.full(len(source), np.nan)
    return np.asarray(opened.take(column, source).cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _seen_from(place: Floats, ra: Floats, dec: Floats) -> dict[str, Any]:
    """Give where galaxies are, as unit vectors (m, 3), and the angle from north through east at which each has its alert (m,)."""
    ra0, dec0, ra, dec = (np.radians(x) for x in (place[:, 0], place[:, 1], ra, dec))
    east = np.cos(dec) * np.sin(ra - ra0)
    north = np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra - ra0)
    vectors = np.column_stack([np.cos(dec0) * np.cos(ra0), np.cos(dec0) * np.sin(ra0), np.sin(dec0)])
    return {"place": vectors, "direction": np.arctan2(east, north)}


def _measured(found: dict[str, Any], mag: Floats) -> dict[str, Floats]:
    """Give what alerts are as events of their galaxies, (m,) each, with the ratio of the two densities."""
    given = found["redshift"]
    # galaxies whose velocity is towards us are near: their distance is known another way or not at all
    z = np.where(given > 0.0, given, cosmology.redshift_at(found["distance"]))
    distance = np.where(found["distance"] > 0.0, found["distance"], cosmology.luminosity_distance(z))
    z = np.nan_to_num(z)
    kpc = cosmology.KPC_OF_ARCSEC * distance / (1.0 + z) ** 2
    along, scale, ratio = _discs(found, kpc)
    luminous = mag[found["alert"]] - cosmology.distance_modulus(distance) + 2.5 * np.log10(1.0 + z)
    with np.errstate(invalid="ignore", over="ignore"):
        strangers = np.fmin(GALAXIES_PER_MPC3 * 4.0 / 3.0 * np.pi * (distance / (1.0 + z)) ** 3 / _SKY, found["chance"])
        r = found["separation"] / along * scale / SCALE_OF_ISOPHOTE
        own = (1.0 - WIDE_SHARE) * np.exp(-r / scale) + WIDE_SHARE * np.exp(-r / (WIDE * scale)) / WIDE**2
        own /= 2.0 * np.pi * scale**2 * ratio
        weight = found["share"] * own / strangers * np.where(luminous < BRIGHTEST, TOO_BRIGHT, 1.0)
    return {
        "ratio": np.nan_to_num(weight, posinf=0.0),
        "host_separation": found["separation"],
        "host_distance_ratio": found["separation"] / along,
        "host_offset": found["separation"] * kpc,
        "host_redshift": np.where(np.isnan(given), np.where(z > 0.0, z, np.nan), given),
        "host_redshift_err": found["redshift_err"],
        "host_luminosity_distance": distance,
        "absolute_mag": luminous,
    }


def _discs(found: dict[str, Any], kpc: Floats) -> tuple[Floats, Floats, Floats]:
    """Give the isophote's radius in the direction of the alert [arcsec], the disc's scale [arcsec] and axis ratio; each (m,)."""
    sized = found["size"] > 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        major = np.where(sized, found["size"], TYPICAL_SCALE / SCALE_OF_ISOPHOTE / kpc)
    major = np.maximum(major, LEAST_SCALE / SCALE_OF_ISOPHOTE)
    ratio = np.where(sized & (found["axis_ratio"] > 0.0), np.clip(found["axis_ratio"], 0.1, 1.0), 1.0)
    from_axis = found["direction"] - np.radians(np.nan_to_num(found["position_angle"]))
    along = major * ratio / np.hypot(ratio * np.cos(from_axis), np.sin(from_axis))
    return along, major * SCALE_OF_ISOPHOTE, ratio


@njit(cache=True, nogil=True)
def merge(edges: Ints, place: Floats, size: Floats, z: Floats, z_err: Floats, distance: Floats) -> NDArray[np.bool_]:
    """Join the entries of one galaxy in several catalogues: the first stands, with a distance from the others if it has none.

    Returns
    -------
    single
        (m,) whether an entry stands.
    """
    single = np.ones(len(z), np.bool_)
    for i in range(len(edges) - 1):
        for k in range(edges[i], edges[i + 1]):
            for j in range(edges[i], k):
                if not single[j]:
                    continue
                apart = 0.0
                for axis in range(3):
                    apart += (place[j, axis] - place[k, axis]) ** 2
                # the centres of large galaxies are less certain, and what lies within their inner parts is a part of them
                inner = 0.2 * size[j] if size[j] > 0.0 else 0.0
                if np.sqrt(apart) * 206264.806 > max(_ONE_GALAXY, inner):
                    continue
                single[k] = False
                if np.isnan(z[j]) and np.isnan(distance[j]):
                    z[j], z_err[j], distance[j] = z[k], z_err[k], distance[k]
                break
    return single


@njit(cache=True, nogil=True)
def choose(edges: Ints, ratios: Floats, unseen: float) -> Any:
    """Give each alert's likeliest candidate (-1 for none), its probability, that of no candidate, and how many there were; (n,)."""
    n = len(edges) - 1
    best, count = np.full(n, -1, np.int64), np.zeros(n, np.int64)
    probability, none = np.full(n, np.nan), np.ones(n)
    for i in range(n):
        total, largest = unseen, 0.0
        for k in range(edges[i], edges[i + 1]):
            if ratios[k] > 0.0:
                total += ratios[k]
                count[i] += 1
                if ratios[k] > largest:
                    best[i], largest = k, ratios[k]
        none[i] = unseen / total
        if best[i] >= 0:
            probability[i] = largest / total
    return best, probability, none, count
