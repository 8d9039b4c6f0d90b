"""Rubin LSST: alert packets of schemas 7.0 to 11.1, in containers or in the wire format, and their public names.

Fluxes are in nJy and times in MJD TAI already, so nearly every column is a field as it is. What is computed:

- ``night`` is the date of UTC - 12 h, which is one night in Chile;
- ``snr`` carries the sign of ``psfFlux``; ``positive`` says ``psfFlux > 0``, or not ``isNegative`` where there is no flux;
- ``limit_mag`` is the magnitude of five times ``psfFluxErr``;
- ``flagged`` is any of the flags that Fink's good-quality cut names;
- ``seeing`` and ``elongation`` follow from the second moments of the point-spread function and of the source.

Moving objects have the ``diaObjectId`` 0 or none, and a designation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.codecs.schemas import WriterSchema, parse_schema
from fink.columns import Column
from fink.errors import SchemaError
from fink.lightcurves import DETECTION, FORCED, LIMIT, Band, LightCurves, magnitude
from fink.sky import calendar_date, tai_to_utc
from fink.surveys.fields import Field, Version, read_table, version_text
from fink.surveys.mapping import Fields, Integers, MappedSurvey, Plain, Values
from fink.surveys.names import PublicName, is_of_catalogue, public_name
from fink.surveys.points import PointParts
from fink.surveys.ucds import ucd_of

BANDS = tuple(
    Band(name, "lsst", wavelength) for name, wavelength in zip("ugrizy", (3671.0, 4827.0, 6223.0, 7546.0, 8691.0, 9712.0), strict=True)
)
OLDEST: Version = (7, 0)
_LAST_DAY = 2_973_483.0  # MJD of 9999-12-31

FLAGS = (
    "isDipole",
    "pixelFlags",
    "pixelFlags_bad",
    "pixelFlags_saturated",
    "pixelFlags_streakCenter",
    "pixelFlags_interpolated",
    "pixelFlags_cr",
    "pixelFlags_nodata",
    "pixelFlags_streak",
    "pixelFlags_edge",
    "psfFlux_flag",
    "apFlux_flag",
    "forced_PsfFlux_flag",
    "forced_PsfFlux_flag_edge",
    "shape_flag",
    "centroid_flag",
)
"""Flags of a source any of which makes its measurement unreliable."""

_SOURCE = "diaSource."
_DIRECT: dict[str, tuple[str, ...]] = {
    "visit": (_SOURCE + "visit",),
    "detector": (_SOURCE + "detector",),
    "exposure_time": (_SOURCE + "exposureTime",),
    "ra": (_SOURCE + "ra",),
    "dec": (_SOURCE + "dec",),
    "mjd": (_SOURCE + "midpointMjdTai",),
    "band": (_SOURCE + "band",),
    "flux": (_SOURCE + "psfFlux",),
    "flux_err": (_SOURCE + "psfFluxErr",),
    "total_flux": (_SOURCE + "scienceFlux",),
    "total_flux_err": (_SOURCE + "scienceFluxErr",),
    "template_flux": (_SOURCE + "templateFlux",),
    "template_flux_err": (_SOURCE + "templateFluxErr",),
    "real_score": (_SOURCE + "reliability",),
    "is_dipole": (_SOURCE + "isDipole",),
    "trail_length": (_SOURCE + "trailLength",),
    "sso_mag": ("ssSource.ephVmag", "ssSource.predictedVMagnitude"),
    "sso_separation": ("ssSource.ephOffset",),
}
"""Fields that are core columns as they are; of several the first that the packet has."""

_DESIGNATIONS = ("mpc_orbits.packed_primary_provisional_designation", "ssSource.designation", "MPCORB.mpcDesignation")
"""Names of a moving object: packed ones, which all versions have, before what may be unpacked."""

_COMPUTED = {
    "alert_id": "diaSourceId",
    "object_id": "diaObjectId",
    "snr": "snr",
    "n_detections": "nDiaSources",
    "first_mjd": "firstDiaSourceMjdTai",
}
"""Core columns that are computed, and the field whose public name they bear."""

_NAMED_GROUPS = frozenset({"xm", "clf"})
"""Groups of added columns that are part of their public names; the others are not."""

_STAMPS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")

_NUMBERS = ("diaSourceId", "diaObjectId", "snr", "isNegative", "is_negative", "extendedness", "ixx", "iyy", "ixy", "ixxPSF", "iyyPSF")
_ALSO = (
    "lsst_schema_version",
    *_DESIGNATIONS,
    *(_SOURCE + name for name in (*_NUMBERS, *FLAGS)),
    "diaObject.nDiaSources",
    "diaObject.firstDiaSourceMjdTai",
)
"""Fields that columns are computed from, beside those that are columns as they are."""

_MEASURED = {"flux": "psfFlux", "flux_err": "psfFluxErr", "total_flux": "scienceFlux", "total_flux_err": "scienceFluxErr"}
_POINTS: dict[str, tuple[int, dict[str, str]]] = {
    "prvDiaSources": (DETECTION, {**_MEASURED, "point_id": "diaSourceId"}),
    "prvDiaForcedSources": (FORCED, {**_MEASURED, "point_id": "diaForcedSourceId"}),
    "prvDiaNondetectionLimits": (LIMIT, {"flux_err": "diaNoise"}),
}
"""Arrays of a packet that are points, their kind, and which of their fields is what."""

_PREFIXES = {
    "alert": ("", "lsst_"),
    "diaSource": (_SOURCE, "lsst_"),
    "diaObject": ("diaObject.", "lsst_object_"),
    "ssSource": ("ssSource.", "lsst_sso_"),
    "mpc_orbits": ("mpc_orbits.", "lsst_orbit_"),
}
_ARROW = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
}
_EDGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake(name: str) -> str:
    """Write a field's name in snake case: psfFluxErr becomes psf_flux_err."""
    return re.sub("__+", "_", _EDGE.sub("_", name)).lower()


@dataclass(frozen=True)
class OwnColumn:
    """A column of the survey's own: its declaration, and the paths that may hold it, the newest first."""

    column: Column
    paths: tuple[str, ...]


def _own_columns() -> tuple[OwnColumn, ...]:
    """Give the survey's own columns, as the field table declares them."""
    table = read_table("lsst")
    found = []
    for record, (path, prefix) in _PREFIXES.items():
        newest: dict[str, Field] = {}
        abouts: dict[str, Field] = {}
        for field in table.records[record]:
            newest[field.name] = field
            if field.about:
                abouts[field.name] = field
        for name, field in abouts.items():
            own = prefix + snake(name)
            column = Column(own, _ARROW[newest[name].type], field.unit, field.ucd or ucd_of(own), field.about)
            older = [f"{path}{f.name}" for f in table.records[record] if f.renamed == name]
            if record == "mpc_orbits":
                older += [f"MPCORB.{f.name}" for f in table.records["MPCORB"] if f.renamed == name]
            found.append(OwnColumn(column, (path + name, *dict.fromkeys(older))))
    return tuple(found)


OWN = _own_columns()


_READ = ("mjd", "band", "flux", "flux_err")
"""Core columns that are fields as they are, but which more is computed from."""


def _plain() -> tuple[Plain, ...]:
    """Give the columns that are a field as it is."""
    core = (Plain(name, paths) for name, paths in _DIRECT.items() if name not in _READ)
    return (*core, *(Plain(own.column.name, own.paths) for own in OWN))


def _paths() -> frozenset[str]:
    """Give the paths of what columns are computed from and points are made of."""
    paths = {*_ALSO, *(path for name in _READ for path in _DIRECT[name])}
    for array, (_, names) in _POINTS.items():
        paths.update(f"{array}[].{name}" for name in (*names.values(), "midpointMjdTai", "band", "detector"))
    return frozenset(paths)


def schema_version(schema: WriterSchema) -> Version | None:
    """Give the version of an LSST schema; None if it is of another survey.

    Schemas that other software wrote have no version in their name; they are known by the fields of their source.

    Raises
    ------
    SchemaError
        If it is older than 7.0.
    """
    fields = {item["name"]: schema.resolve(item["type"]) for item in schema.fields()}
    source = fields.get("diaSource")
    source = next((b for b in map(schema.resolve, source) if isinstance(b, dict)), None) if isinstance(source, list) else source
    names = [item["name"] for item in source["fields"]] if isinstance(source, dict) and "fields" in source else []
    named = re.match(r"lsst(?:\.v(\d+)_(\d+))?\.alert\Z", schema.fullname)
    if named and named[1]:
        version = int(named[1]), int(named[2])
        if version < OLDEST:
            raise _too_old(version_text(version))
        return version
    if "midpointMjdTai" not in names:
        if named:
            raise _too_old("without a version")
        return None
    table = read_table("lsst")
    matches = [v for v in table.versions if {f.name for f in table.fields("diaSource", v)} == set(names)]
    return matches[-1] if matches else OLDEST


_BAND_OF_BYTE = np.full(256, -1, np.int8)
_BAND_OF_BYTE[[ord(band.name) for band in BANDS]] = np.arange(len(BANDS))


def _bands(fields: Fields, path: str) -> NDArray[np.int8]:
    """Give the number of a filter; -1 where it is missing or unknown."""
    return np.asarray(_BAND_OF_BYTE[fields.initial(path, longest=1)])


def _known_bands(fields: Fields) -> pa.Array:
    """Give the filter of each alert; null where it is missing or unknown."""
    bands = _bands(fields, _SOURCE + "band")
    return pa.array([band.name for band in BANDS]).take(pa.array(bands, mask=bands < 0))


def _light_curves(fields: Fields) -> LightCurves:
    """Join the arrays of the packets with their own detections, which come first: of copies they stand."""
    arrays = [array for array in _POINTS if fields.decoded.has_array(array) and fields.offsets(array)[-1]]
    parts = PointParts(np.arange(fields.n + 1), *(fields.offsets(array) for array in arrays))
    _fill(parts, 0, fields, _SOURCE, *_POINTS["prvDiaSources"])
    for number, array in enumerate(arrays, 1):
        _fill(parts, number, fields, f"{array}[].", *_POINTS[array])
    return parts.joined(BANDS)


def _fill(parts: PointParts, number: int, fields: Fields, place: str, kind: int, names: Mapping[str, str]) -> None:
    """Write the points of one record, or of one array."""
    known: dict[str, NDArray[Any]] = {what: fields.number(place + field) for what, field in names.items() if what != "point_id"}
    if "point_id" in names:
        known["point_id"] = fields.integer(place + names["point_id"]).values
    band, detector = _bands(fields, place + "band"), _detectors(fields, place + "detector")
    parts.fill(number, mjd=fields.number(place + "midpointMjdTai"), band=band, kind=kind, detector=detector, **known)


def _detectors(fields: Fields, path: str) -> NDArray[np.int64]:
    detectors = fields.integer(path)
    return np.where(detectors.valid, detectors.values, -1)


def _history(fields: Fields, mjd: NDArray[np.float64]) -> dict[str, Values]:
    """Give the number of detections and the time of the first: the object's own record, else what the packet holds."""
    offsets = fields.offsets("prvDiaSources")
    counts = np.diff(offsets)
    times = np.append(fields.number("prvDiaSources[].midpointMjdTai"), np.inf)
    earliest = np.where(counts > 0, np.fmin.reduceat(times, offsets[:-1]), np.inf) if len(mjd) else mjd
    told, first = fields.integer("diaObject.nDiaSources"), fields.number("diaObject.firstDiaSourceMjdTai")
    n_detections = np.where(told.valid & (told.values > 0), told.values, counts + 1)
    return {
        "n_detections": Integers(n_detections, np.ones(fields.n, np.bool_)),
        "first_mjd": np.fmin(np.where(np.isfinite(first), first, earliest), mjd),
    }


def _flagged(fields: Fields) -> Integers:
    """Say whether any flag is set; null where no flag is told."""
    told, flagged = np.zeros(fields.n, np.bool_), np.zeros(fields.n, np.bool_)
    for path in (_SOURCE + flag for flag in FLAGS):
        if path in fields.decoded:
            told |= fields.decoded.valid(path)
            flagged |= fields.decoded.values(path) != 0
    return Integers(flagged, told)


def _positive(fields: Fields, flux: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say whether the flux is positive; where there is none, whether the survey detected the source as positive."""
    negative = fields.integer(_SOURCE + ("isNegative" if _SOURCE + "isNegative" in fields.decoded else "is_negative"))
    return np.where(np.isnan(flux), negative.valid & (negative.values == 0), flux > 0)


def _shapes(fields: Fields) -> dict[str, Values]:
    """Compute what follows from second moments."""
    ixx, iyy, ixy, psf_x, psf_y = (fields.number(_SOURCE + name) for name in ("ixx", "iyy", "ixy", "ixxPSF", "iyyPSF"))
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, half = (ixx + iyy) / 2, np.hypot((ixx - iyy) / 2, ixy)
        return {
            "seeing": np.sqrt(8 * np.log(2) * (psf_x + psf_y) / 2),
            "elongation": np.sqrt((middle + half) / (middle - half)),
            "stellarity": 1 - fields.number(_SOURCE + "extendedness"),
        }


def _designation(fields: Fields) -> pa.Array:
    """Give the designation of the moving object; null for what does not move."""
    names = [fields.text(path) for path in _DESIGNATIONS if path in fields.decoded]
    filled = [pc.if_else(pc.equal(name, ""), pa.scalar(None, pa.string()), name) for name in names if name.null_count < fields.n]
    return pc.coalesce(*filled) if filled else pa.nulls(fields.n, pa.string())


def _identity(fields: Fields) -> dict[str, Values]:
    """Give the numbers and names of the alert, and its schema's version."""
    objects = fields.integer(_SOURCE + "diaObjectId")
    version = schema_version(fields.schema) or OLDEST
    versions = pa.repeat(pa.scalar(version_text(version)), fields.n)
    if "lsst_schema_version" in fields.decoded:
        told = pc.replace_substring(fields.decoded.text("lsst_schema_version"), "lsst.v", "")
        versions = pc.coalesce(pc.replace_substring(told, "_", "."), versions)
    return {
        "alert_id": fields.integer(_SOURCE + "diaSourceId"),
        "sso_name": _designation(fields),
        "object_id": pa.array(objects.values, mask=~objects.valid | (objects.values == 0)).cast(pa.string()),
        "schema_version": versions,
    }


class Lsst(MappedSurvey):
    """The Vera C. Rubin Observatory's Legacy Survey of Space and Time."""

    name = "lsst"
    columns = tuple(own.column for own in OWN)
    bands = BANDS
    history_window = 365.0
    pixel_scale = 0.2
    plain = _plain()
    paths = _paths()
    night_paths = frozenset({_SOURCE + "midpointMjdTai"})
    stamps = _STAMPS
    group = "misc"

    def recognises(self, schema: bytes) -> bool:
        """Say whether packets of this schema are LSST's.

        Raises
        ------
        SchemaError
            If they are, but of a version before 7.0.
        """
        return schema_version(parse_schema(schema)) is not None

    def writer_schemas(self) -> Sequence[bytes]:
        """Give the schemas of the versions that are known, newest first."""
        return [writer_schema(*version) for version in reversed(read_table("lsst").versions)]

    def schema_of_number(self, number: int) -> bytes | None:
        """Give the schema of a number in the wire format: 100 times the major plus the minor version; None if unknown.

        Raises
        ------
        SchemaError
            If the version is before 7.0.
        """
        version = divmod(number, 100)
        if (1, 0) <= version < OLDEST:
            raise _too_old(version_text(version))
        return writer_schema(*version) if version in read_table("lsst").versions else None

    def map(self, fields: Fields) -> tuple[dict[str, Values], LightCurves]:
        """Turn fields into columns and light curves."""
        flux, err = fields.number(_SOURCE + "psfFlux"), fields.number(_SOURCE + "psfFluxErr")
        mjd = _times(fields)
        values: dict[str, Values] = {"mjd": mjd, "flux": flux, "flux_err": err}
        values |= _identity(fields) | _history(fields, mjd) | _shapes(fields)
        nights = _nights(mjd)
        values["night"] = Integers(nights.astype(np.int64), nights != 0)
        values["positive"] = _positive(fields, flux)
        values["flagged"] = _flagged(fields)
        values["snr"] = np.copysign(fields.number(_SOURCE + "snr"), np.where(np.isnan(flux), 1.0, flux))
        values["limit_mag"] = magnitude(5 * err)
        values["band"] = _known_bands(fields)
        return values, _light_curves(fields)

    def night(self, fields: Fields) -> NDArray[np.int32]:
        """Give the night of each packet: the date of UTC - 12 h."""
        return _nights(_times(fields))

    def packet_name(self, column: str) -> PublicName:
        """Give the place of an added column: what catalogues say is under ``xm`` where it has no place of its own."""
        return public_name(self.name, column, "xm" if is_of_catalogue(column) else self.group)

    def public_name(self, column: str) -> str:
        """Give the public name of a column: ``r:`` and the survey's own name of the field, else ``f:`` and that of what Fink adds."""
        added = self.packet_name(column)
        prefix = f"{added.group}_" if added.group in _NAMED_GROUPS else ""
        return _public_names().get(column, f"f:{prefix}{added.field}")


def _times(fields: Fields) -> NDArray[np.float64]:
    """Give the time of each alert; NaN where there is none."""
    mjd = fields.number(_SOURCE + "midpointMjdTai")
    return np.where(np.isfinite(mjd), mjd, np.nan)


def _nights(mjd: NDArray[np.float64]) -> NDArray[np.int32]:
    """Give the date of UTC - 12 h, 0 without a time; a time beyond the year 9999, as in made-up packets, counts as its last day."""
    return calendar_date(np.clip(tai_to_utc(mjd) - 0.5, 0.0, _LAST_DAY))


@cache
def _public_names() -> Mapping[str, str]:
    """Give the public names of columns that are fields of the packet."""
    names = {name: paths[0].rpartition(".")[2] for name, paths in _DIRECT.items()} | _COMPUTED
    names |= {own.column.name: own.paths[0].rpartition(".")[2] for own in OWN}
    return {name: f"r:{field}" for name, field in names.items()}


def writer_schema(major: int, minor: int) -> bytes:
    """Give the schema that packets of a version are written with.

    Raises
    ------
    SchemaError
        If the version is not known.
    """
    return read_table("lsst").schema((major, minor), f"lsst.v{major}_{minor}")


def _too_old(version: str) -> SchemaError:
    return SchemaError(f"LSST schema {version} is older than {version_text(OLDEST)}, the oldest that can be read")


survey = Lsst()
