"""ZTF, the Zwicky Transient Facility: packets of schema 1.x to 4.02.

What a packet says and what Fink makes of it:

- `jd` is the start of the exposure in UTC; `mjd` is its middle in TAI, half of `exptime` later (30 s where the packet has none).
- Fluxes come from AB magnitudes, signed by `isdiffpos`.
- The template has a value here if its nearest source lies within 1.5 pixels; elsewhere template_flux and total_flux are null.
- `flagged` is `nbad` > 0, bad pixels around the source. Widths, elongations and scores are measurements: cuts use them, not this.
- `first_mjd` is `jdstarthist`, taken as an exposure as long as the alert's own; else the earliest detection in the packet.
- -999 stands for missing, as do "null" and "" for the name of a solar-system object, and -99999 in forced photometry.
- Of earlier epochs those with a `candid` are detections, the others limits; forced photometry without a flux gives no point.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from fink.codecs.schemas import WriterSchema, parse_schema
from fink.columns import Column
from fink.errors import SchemaError
from fink.lightcurves import AB_ZERO, DETECTION, FORCED, LIMIT, Band, LightCurves
from fink.sky import MJD_OF_JD, calendar_date, utc_to_tai
from fink.surveys.fields import FieldTable, read_table
from fink.surveys.mapping import Fields, Integers, MappedSurvey, Plain, Values, own_columns, snake_case
from fink.surveys.points import first_detections, merge_points, points

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Bools = NDArray[np.bool_]

PIXEL = 1.01
"""Size of a pixel [arcsec]."""
TEMPLATE_RADIUS = 1.5
"""Farthest that the nearest template source may lie to be the source itself [pix]."""
STANDARD_EXPOSURE = 30.0
"""Length of an exposure where the packet does not say it [s]."""
MISSING, MISSING_FORCED = -999.0, -99999.0

_PLAIN = {
    "detector": "rcid",
    "ra": "ra",
    "dec": "dec",
    "limit_mag": "diffmaglim",
    "mag": "magpsf",
    "mag_err": "sigmapsf",
    "stellarity": "classtar",
    "elongation": "elong",
    "n_detections": "ndethist",
    "n_visits": "ncovhist",
    "sso_separation": "ssdistnr",
    "sso_mag": "ssmagnr",
    "gaia_separation": "neargaia",
    "gaia_mag": "maggaia",
    "gaia_bright_separation": "neargaiabright",
    "gaia_bright_mag": "maggaiabright",
}
"""Core columns that are a field of the candidate as it stands."""
_NEAREST_STAR = {
    "star_separation": ("distpsnr1",),
    "star_score": ("sgscore1", "sgscore"),
    "star_g": ("sgmag1", "sgmag"),
    "star_r": ("srmag1", "srmag"),
    "star_i": ("simag1", "simag"),
    "star_z": ("szmag1", "szmag"),
}
"""Core columns of the nearest PS1 source: its field, and that of schema 1.1 and 1.3."""
_PUBLIC = {
    "alert_id": "candid",
    "object_id": "objectId",
    "schema_version": "schemavsn",
    "sso_name": "ssnamenr",
    "band": "fid",
    "positive": "isdiffpos",
    "exposure_time": "exptime",
}
SNR_OF_LIMIT = 5.0
LN_PER_MAG = 0.4 * np.log(10.0)
"""A magnitude is this in the natural logarithm of the flux."""


def _table() -> FieldTable:
    return read_table("ztf")


def mid_exposure(jd: Floats, exposure_time: Floats | float) -> Floats:
    """MJD in TAI of the middle of an exposure that begins at ``jd`` (UTC) and lasts ``exposure_time`` [s]."""
    return utc_to_tai(jd - MJD_OF_JD) + np.asarray(exposure_time) / 2.0 / 86400.0


class ZTF(MappedSurvey):
    """The Zwicky Transient Facility."""

    name = "ztf"
    bands = (Band("g", "ztf", 4746.48), Band("r", "ztf", 6366.38), Band("i", "ztf", 7829.03))
    history_window = 30.0
    stamps = ("cutoutScience.stampData", "cutoutTemplate.stampData", "cutoutDifference.stampData")
    night_paths = frozenset({"candidate.jd"})

    @cached_property
    def columns(self) -> tuple[Column, ...]:  # type: ignore[override]  # computed when first asked for
        """The survey's own columns: ``ztf_<field>``."""
        table = _table()
        version = table.versions[-1]
        return own_columns("ztf_", (*table.fields("alert", version), *table.fields("candidate", version)))

    @cached_property
    def _own_paths(self) -> dict[str, str]:
        """Own columns by name, with the path of their field."""
        table = _table()
        places = [
            (f"{place}{field.name}", field)
            for place, record in (("", "alert"), ("candidate.", "candidate"))
            for field in table.records[record]
        ]
        declared = {column.name for column in self.columns}
        return {name: path for path, field in places if (name := "ztf_" + snake_case(field.name)) in declared and field.about}

    @cached_property
    def plain(self) -> tuple[Plain, ...]:  # type: ignore[override]  # computed when first asked for
        """Columns that are a field as it stands."""
        core = [(name, (path,)) for name, path in _PLAIN.items()] + list(_NEAREST_STAR.items())
        found = [Plain(name, tuple(f"candidate.{path}" for path in paths), (MISSING,)) for name, paths in core]
        return (*found, *(Plain(name, (path,), (MISSING,)) for name, path in self._own_paths.items()))

    @cached_property
    def paths(self) -> frozenset[str]:  # type: ignore[override]  # computed when first asked for
        """Every field that `map` asks for, beside those of plain columns."""
        candidate = (
            "jd",
            "fid",
            "candid",
            "isdiffpos",
            "magpsf",
            "sigmapsf",
            "diffmaglim",
            "rcid",
            "distnr",
            "magnr",
            "sigmagnr",
            "exptime",
        )
        forced = ("jd", "fid", "rcid", "exptime", "magzpsci", "forcediffimflux", "forcediffimfluxunc", "distnr", "magnr", "sigmagnr")
        alert = ("ssnamenr", "jdstarthist", "nbad", "fwhm", "rb", "drb")
        return frozenset(
            {"objectId", "candid", "schemavsn"}
            | {f"candidate.{name}" for name in (*candidate, *alert)}
            | {f"prv_candidates[].{name}" for name in (*candidate, *forced)}
            | {f"fp_hists[].{name}" for name in forced}
        )

    def recognises(self, schema: bytes) -> bool:
        """Say whether packets of this schema are ZTF's: by what the record holds, since brokers rename it, and no foreign namespace.

        Raises
        ------
        SchemaError
            If it claims to be ZTF's alert but lacks the fields that make one.
        """
        parsed = parse_schema(schema)
        fields = {item["name"]: item["type"] for item in parsed.fields()}
        held = {item["name"] for item in _record_fields(parsed, fields.get("candidate", "null"))}
        good = "candid" in fields and {"jd", "fid", "magpsf", "isdiffpos", "ra", "dec"} <= held
        space = parsed.namespace.split(".")[0]
        if parsed.fullname == "ztf.alert" and not good:
            raise SchemaError(f"a ztf.alert schema without candid and a candidate record; it has {', '.join(fields)}")
        # WINTER, DECam and others took over the record, under their own namespaces
        return good and (space == "ztf" or (space == "" and "objectId" in fields))

    def writer_schemas(self) -> list[bytes]:
        """Give Avro schemas, newest first, that packets without a header may have been written with.

        Packets 3.3 were written with null as the second branch of each union, and then as the first.
        """
        newest, older = (_table().schema(version, "ztf") for version in ((4, 2), (3, 3)))
        return [newest, older, orjson.dumps(_null_last(orjson.loads(older)))]

    def public_name(self, column: str) -> str:
        """Give the name under which ZTF's users know a column: ``i:`` and the packet's field, or ``d:`` for what Fink adds."""
        plain = _PUBLIC | _PLAIN | {name: fields[0] for name, fields in _NEAREST_STAR.items()}
        if column in plain:
            return f"i:{plain[column]}"
        own = self._own_paths.get(column)
        return f"i:{own.rpartition('.')[2]}" if own else f"d:{self.packet_name(column).field}"

    def night(self, fields: Fields) -> NDArray[np.int32]:
        """Give the UTC date at the start of the exposure."""
        return calendar_date(fields.number("candidate.jd") - MJD_OF_JD)

    def map(self, fields: Fields) -> tuple[dict[str, Values], LightCurves]:
        """Turn the fields of packets into columns and light curves."""
        own = _measured(fields, "candidate.", np.arange(fields.n + 1, dtype=np.int64), self.bands)
        previous = _measured(fields, "prv_candidates[].", fields.offsets("prv_candidates"), self.bands)
        lightcurves = merge_points([own, previous, *_forced(fields, self.bands)])
        values = self._identity(fields) | _times(fields, own, lightcurves) | _photometry(fields, own)
        return values, lightcurves

    def _identity(self, fields: Fields) -> dict[str, Values]:
        """What the alert is and where it was seen."""
        version = str(fields.schema.document.get("version", "unknown"))
        band = _bands(fields, "candidate.fid")
        names = pa.array([item.name for item in self.bands])
        return {
            "alert_id": fields.integer("candid"),
            "object_id": fields.text("objectId"),
            "sso_name": fields.text("candidate.ssnamenr", "null", ""),
            "schema_version": pc.fill_null(fields.text("schemavsn"), version),
            "night": Integers(night := self.night(fields).astype(np.int64), night > 0),
            "band": names.take(pa.array(band, mask=band < 0)),
        }


def _record_fields(schema: WriterSchema, kind: Any) -> list[dict[str, Any]]:
    """Give the fields of a record, or of the record that a union may hold."""
    branches = kind if isinstance(kind, list) else [kind]
    for branch in branches:
        found = schema.resolve(branch)
        if isinstance(found, dict) and "fields" in found:
            return list(found["fields"])
    return []


def _null_last(kind: Any) -> Any:
    """Copy a schema with the branches of each union turned round; a default of null goes with them."""
    if isinstance(kind, dict):
        return {key: _null_last(value) for key, value in kind.items() if key != "default"}
    if isinstance(kind, list) and "null" in kind:
        return [_null_last(branch) for branch in reversed(kind)]
    return [_null_last(part) for part in kind] if isinstance(kind, list) else kind


def _exposure_time(fields: Fields, path: str) -> Floats:
    """Length of the exposure [s]."""
    given = fields.number(path, MISSING)
    return np.where(np.isfinite(given), given, STANDARD_EXPOSURE)


def _bands(fields: Fields, path: str) -> NDArray[np.int8]:
    """Number of the band; -1 for a filter that ZTF does not have."""
    number = fields.integer(path).values
    return np.where((number >= 1) & (number <= 3), number - 1, -1).astype(np.int8)


def _signs(fields: Fields, path: str) -> Floats:
    """1 where the source is brighter than the template, -1 where it is fainter, NaN where the packet does not say."""
    if fields.kind(path) == "int":
        number = fields.integer(path)
        return np.where(number.valid, np.where(number.values > 0, 1.0, -1.0), np.nan)
    sign = np.full(256, np.nan)
    sign[[ord(letter) for letter in "t1"]], sign[[ord(letter) for letter in "f0"]] = 1.0, -1.0
    return np.asarray(sign[fields.initial(path)])


def _measured(fields: Fields, place: str, offsets: NDArray[np.int64], bands: tuple[Band, ...]) -> LightCurves:
    """Points of the alert's own measurement (``candidate.``) or of the earlier epochs (``prv_candidates[].``).

    An epoch with a number is a detection; the others, where nothing was detected, are limits.
    """
    number = fields.integer(place + "candid")
    raw = [fields.number(place + name) for name in ("magpsf", "sigmapsf", "diffmaglim", "magnr", "sigmagnr", "distnr")]
    flux, flux_err, total, total_err = fluxes_of_magnitudes(_signs(fields, place + "isdiffpos"), number.valid, *raw)
    return points(
        offsets,
        bands,
        mjd=mid_exposure(fields.number(place + "jd"), _exposure_time(fields, place + "exptime")),
        band=_bands(fields, place + "fid"),
        kind=np.where(number.valid, DETECTION, LIMIT).astype(np.int8),
        flux=flux,
        flux_err=flux_err,
        total_flux=total,
        total_flux_err=total_err,
        point_id=number.values,
        detector=_detectors(fields, place + "rcid"),
    )


def _template(fields: Fields) -> tuple[Floats, Floats]:
    """Flux and error of the template where the alert lies [nJy]; NaN where its nearest source lies too far or is not known."""
    mag, error, separation = (fields.number(f"candidate.{name}", MISSING) for name in ("magnr", "sigmagnr", "distnr"))
    flux = np.exp((AB_ZERO - np.where(separation <= TEMPLATE_RADIUS, mag, np.nan)) * LN_PER_MAG)
    return flux, flux * error * LN_PER_MAG


def _detectors(fields: Fields, path: str) -> NDArray[np.int16]:
    """Read-out channel; -1 where unknown."""
    channel = fields.integer(path)
    return np.where(channel.valid, channel.values, -1).astype(np.int16)


def _forced(fields: Fields, bands: tuple[Band, ...]) -> list[LightCurves]:
    """Forced photometry, which schema 4 keeps in an array of its own and 3.5 among the earlier epochs."""
    return [_forced_in(fields, array, bands) for array in ("fp_hists", "prv_candidates") if fields.kind(f"{array}[].forcediffimflux")]


def _forced_in(fields: Fields, array: str, bands: tuple[Band, ...]) -> LightCurves:
    """Forced photometry of one array."""
    place = array + "[]."
    names = ("magzpsci", "forcediffimflux", "forcediffimfluxunc", "magnr", "sigmagnr", "distnr")
    flux, flux_err, total, total_err = fluxes_of_counts(*[fields.number(place + name) for name in names])
    return points(
        fields.offsets(array),
        bands,
        mjd=mid_exposure(fields.number(place + "jd"), _exposure_time(fields, place + "exptime")),
        band=_bands(fields, place + "fid"),
        kind=FORCED,
        flux=flux,
        flux_err=flux_err,
        total_flux=total,
        total_flux_err=total_err,
        detector=_detectors(fields, place + "rcid"),
    )


@njit(cache=True, nogil=True)
def _flux(mag: float) -> float:
    """Flux of an AB magnitude [nJy]; NaN for either of the numbers that stand for missing."""
    return np.nan if mag in (MISSING, MISSING_FORCED) else np.exp((AB_ZERO - mag) * LN_PER_MAG)


@njit(cache=True, nogil=True)
def _total(flux: float, error: float, mag: float, mag_err: float, separation: float, radius: float) -> tuple[float, float]:
    """Flux in the science image and its error [nJy]: the difference and the template, where that has a source here."""
    if not (0.0 <= separation <= radius):
        return np.nan, np.nan
    before = _flux(mag)
    return before + flux, np.sqrt((before * mag_err * LN_PER_MAG) ** 2 + error * error)


@njit(cache=True, nogil=True)
def fluxes_of_magnitudes(
    sign: Floats, detected: Bools, mag: Floats, mag_err: Floats, limit: Floats, before: Floats, before_err: Floats, separation: Floats
) -> tuple[Singles, Singles, Singles, Singles]:
    """Difference flux, its error, total flux and its error [nJy], (m,) each.

    Parameters
    ----------
    sign
        1, -1, or NaN where it is not known.
    detected
        Whether the epoch is a detection; of a limit the error is a fifth of the limiting flux, and the rest is NaN.
    limit
        Five-sigma limiting magnitude.
    before, before_err, separation
        Magnitude of the nearest template source, its error and distance [pix].
    """
    m = len(sign)
    out = np.full((4, m), np.nan, np.float32)
    for i in range(m):
        if detected[i]:
            size = _flux(mag[i])
            error = size * mag_err[i] * LN_PER_MAG if mag_err[i] >= 0.0 else np.nan
            total, total_err = _total(sign[i] * size, error, before[i], before_err[i], separation[i], TEMPLATE_RADIUS)
            out[0, i], out[1, i], out[2, i], out[3, i] = sign[i] * size, error, total, total_err
        else:
            out[1, i] = _flux(limit[i]) / SNR_OF_LIMIT
    return out[0], out[1], out[2], out[3]


@njit(cache=True, nogil=True)
def fluxes_of_counts(
    zero: Floats, counts: Floats, counts_err: Floats, before: Floats, before_err: Floats, separation: Floats
) -> tuple[Singles, Singles, Singles, Singles]:
    """Difference flux, its error, total flux and its error [nJy] from data numbers and their zero point [mag], (m,) each.

    The distance of the template source is in arcsec here.
    """
    m = len(zero)
    out = np.full((4, m), np.nan, np.float32)
    for i in range(m):
        if counts[i] == MISSING_FORCED:
            continue
        unit = _flux(zero[i])
        flux = counts[i] * unit
        error = np.nan if counts_err[i] == MISSING_FORCED else counts_err[i] * unit
        total, total_err = _total(flux, error, before[i], before_err[i], separation[i], TEMPLATE_RADIUS * PIXEL)
        out[0, i], out[1, i], out[2, i], out[3, i] = flux, error, total, total_err
    return out[0], out[1], out[2], out[3]


def _times(fields: Fields, own: LightCurves, lightcurves: LightCurves) -> dict[str, Values]:
    """When the alert was seen, and when first."""
    exposure_time = _exposure_time(fields, "candidate.exptime")
    start = fields.number("candidate.jd") - MJD_OF_JD
    first = mid_exposure(fields.number("candidate.jdstarthist", MISSING), exposure_time)
    earliest = first_detections(lightcurves.offsets, lightcurves.mjd, lightcurves.kind)
    seconds = np.round(np.nan_to_num(start) * 86400.0).astype(np.int64)
    return {
        "mjd": own.mjd,
        "visit": Integers(seconds, np.isfinite(start)),
        "exposure_time": exposure_time,
        "first_mjd": np.where(np.isfinite(first), first, earliest),
    }


def _photometry(fields: Fields, own: LightCurves) -> dict[str, Values]:
    """How bright the source is, and how much it looks like one."""
    sign = _signs(fields, "candidate.isdiffpos")
    score, older_score = fields.number("candidate.drb", MISSING), fields.number("candidate.rb", MISSING)
    bad_pixels = fields.integer("candidate.nbad", int(MISSING))
    before, before_error = _template(fields)
    return {
        "flux": own.flux,
        "flux_err": own.flux_err,
        "positive": Integers((sign > 0).astype(np.int64), np.isfinite(sign)),
        "total_flux": own.total_flux,
        "total_flux_err": own.total_flux_err,
        "template_flux": before,
        "template_flux_err": before_error,
        "real_score": np.where(np.isfinite(score), score, older_score),
        "flagged": Integers((bad_pixels.values > 0).astype(np.int64), bad_pixels.valid),
        "seeing": fields.number("candidate.fwhm", MISSING) * PIXEL,
        "reference_separation": fields.number("candidate.distnr", MISSING) * PIXEL,
    }


survey = ZTF()
