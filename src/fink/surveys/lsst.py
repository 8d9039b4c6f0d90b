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
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.codecs.avro import Decoded, decode, reason
from fink.codecs.schemas import Program, WriterSchema, compile_program, parse_schema
from fink.columns import COLUMNS, CORE, Column
from fink.errors import SchemaError
from fink.lightcurves import DETECTION, FORCED, LIMIT, POINT_TYPES, Band, LightCurves, magnitude
from fink.sky import calendar_date, tai_to_utc
from fink.surveys import Refusal
from fink.surveys.fields import Field, Version, read_table, version_text
from fink.tables import STAMPS, AlertBatch, Cutouts, Packets, concatenate

BANDS = tuple(
    Band(name, "lsst", wavelength) for name, wavelength in zip("ugrizy", (3671.0, 4827.0, 6223.0, 7546.0, 8691.0, 9712.0), strict=True)
)
OLDEST: Version = (7, 0)

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
    "sso_name": ("ssSource.designation", "mpc_orbits.designation", "MPCORB.mpcDesignation"),
    "sso_mag": ("ssSource.ephVmag", "ssSource.predictedVMagnitude"),
    "sso_separation": ("ssSource.ephOffset",),
}
"""Fields that are core columns as they are; of several the first that the packet has."""

_COMPUTED = {
    "alert_id": "diaSourceId",
    "object_id": "diaObjectId",
    "snr": "snr",
    "n_detections": "nDiaSources",
    "first_mjd": "firstDiaSourceMjdTai",
}
"""Core columns that are computed, and the field whose public name they bear."""

_EXTRA = (
    "alertId",
    "diaSourceId",
    "lsst_schema_version",
    "diaSource.diaSourceId",
    "diaSource.diaObjectId",
    "diaSource.snr",
    "diaObject.nDiaSources",
    "diaObject.firstDiaSourceMjdTai",
    *(f"cutout{name.capitalize()}" for name in STAMPS),
    *(_SOURCE + flag for flag in FLAGS),
)

_POINTS: dict[str, tuple[int, dict[str, str]]] = {
    "prvDiaSources": (
        DETECTION,
        {
            "flux": "psfFlux",
            "flux_err": "psfFluxErr",
            "total_flux": "scienceFlux",
            "total_flux_err": "scienceFluxErr",
            "point_id": "diaSourceId",
            "detector": "detector",
        },
    ),
    "prvDiaForcedSources": (
        FORCED,
        {
            "flux": "psfFlux",
            "flux_err": "psfFluxErr",
            "total_flux": "scienceFlux",
            "total_flux_err": "scienceFluxErr",
            "point_id": "diaForcedSourceId",
            "detector": "detector",
        },
    ),
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


@cache
def own_columns() -> tuple[OwnColumn, ...]:
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
            column = Column(prefix + snake(name), _ARROW[newest[name].type], field.unit, "", field.about)
            older = [f"{path}{f.name}" for f in table.records[record] if f.renamed == name]
            if record == "mpc_orbits":
                older += [f"MPCORB.{f.name}" for f in table.records["MPCORB"] if f.renamed == name]
            found.append(OwnColumn(column, (path + name, *dict.fromkeys(older))))
    return tuple(found)


@cache
def _wanted() -> frozenset[str]:
    """Give the paths that columns, points and stamps are made of."""
    paths = set(_EXTRA)
    paths.update(path for candidates in _DIRECT.values() for path in candidates)
    paths.update(path for own in own_columns() for path in own.paths)
    for group, (_, points) in _POINTS.items():
        paths.update(f"{group}[].{name}" for name in (*points.values(), "midpointMjdTai", "band"))
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
            raise SchemaError(f"LSST schema {version_text(version)} is older than {version_text(OLDEST)}, which is the oldest that is read")
        return version
    if "midpointMjdTai" not in names:
        if named:
            raise SchemaError(f"the schema {schema.fullname} is of LSST before {version_text(OLDEST)}, which is the oldest that is read")
        return None
    table = read_table("lsst")
    matches = [v for v in table.versions if {f.name for f in table.fields("diaSource", v)} == set(names)]
    return matches[-1] if matches else OLDEST


@lru_cache(maxsize=64)
def _program(text: bytes) -> tuple[Program, Version]:
    """Compile the reading of one writer's schema."""
    schema = parse_schema(text)
    version = schema_version(schema)
    if version is None:
        raise SchemaError(f"the schema {schema.fullname} is not of LSST: it has no diaSource with a midpointMjdTai")
    return compile_program(schema, _wanted()), version


class _Part:
    """The packets of one writer's schema on their way to columns."""

    def __init__(self, decoded: Decoded, version: Version) -> None:
        self.decoded = decoded
        self.version = version
        self.n = decoded.n

    def first(self, paths: Sequence[str]) -> str | None:
        """Give the first of some paths that the packets have."""
        return next((path for path in paths if path in self.decoded), None)

    def floats(self, path: str, n: int | None = None) -> NDArray[np.float64]:
        """Give a number as float64, NaN where it is missing."""
        if path not in self.decoded:
            return np.full(self.n if n is None else n, np.nan)
        values = self.decoded.values(path)
        if values.dtype == np.float64:
            return values
        return np.where(self.decoded.valid(path), values, np.nan)

    def integers(self, path: str) -> NDArray[np.int64]:
        """Give an integer, 0 where it is missing."""
        return self.decoded.values(path).astype(np.int64) if path in self.decoded else np.zeros(self.n, np.int64)

    def arrow(self, paths: Sequence[str], kind: pa.DataType) -> pa.Array:
        """Give a field as an Arrow array; null where it is missing or NaN."""
        path = self.first(paths)
        if path is None or not (valid := self.decoded.valid(path)).any():
            return _nulls(self.n, kind)
        if kind == pa.string():
            return self.decoded.text(path)
        values = self.decoded.values(path)
        if pa.types.is_floating(kind):
            floats = values if values.dtype == np.float64 else np.where(valid, values, np.nan)
            return pa.array(floats.astype(kind.to_pandas_dtype(), copy=False), from_pandas=True)
        typed = values.astype(kind.to_pandas_dtype(), copy=False)
        return pa.array(typed) if valid.all() else pa.array(typed, mask=~valid)

    def bands(self, path: str) -> NDArray[np.int8]:
        """Give the number of a filter; -1 where it is missing or unknown."""
        starts, lengths, valid = self.decoded.ranges(path)
        codes = _BAND_OF_BYTE[self.decoded.buffer[np.where(valid, starts, 0)]]
        return np.where(valid & (lengths == 1), codes, np.int8(-1))


_BAND_OF_BYTE = np.full(256, -1, np.int8)
_BAND_OF_BYTE[[ord(band.name) for band in BANDS]] = np.arange(len(BANDS))


@lru_cache(maxsize=64)
def _nulls(n: int, kind: pa.DataType) -> pa.Array:
    """Give a column without values; many columns of a batch share one."""
    return pa.nulls(n, kind)


def _refusals(part: _Part) -> tuple[NDArray[np.bool_], dict[int, str]]:
    """Say which packets make an alert, and why the others do not."""
    status = part.decoded.status
    bad = {int(row): f"LSST {version_text(part.version)}: {reason(status[row])}" for row in np.flatnonzero(status)}
    good = status == 0
    position = np.isfinite(part.floats(_SOURCE + "ra")) & (np.abs(part.floats(_SOURCE + "dec")) <= 90)
    checks = {
        "diaSource.midpointMjdTai is missing": np.isfinite(part.floats(_SOURCE + "midpointMjdTai")),
        "diaSource.ra and dec are no position on the sky": position,
        f"diaSource.band is none of {', '.join(b.name for b in BANDS)}": part.bands(_SOURCE + "band") >= 0,
    }
    for text, holds in checks.items():
        for row in np.flatnonzero(good & ~holds):
            bad[int(row)] = f"LSST {version_text(part.version)}: {text}"
        good &= holds
    return good, bad


def _points_of(part: _Part, group: str) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]] | None:
    """Give the offsets and points of one array of the packets; None where the schema does not have it."""
    time = f"{group}[].midpointMjdTai"
    if time not in part.decoded:
        return None
    kind, fields = _POINTS[group]
    m = len(part.decoded.values(time))
    points: dict[str, NDArray[Any]] = {
        "mjd": part.floats(time),
        "band": part.bands(f"{group}[].band"),
        "kind": np.full(m, kind, np.int8),
        "point_id": np.zeros(m, np.int64),
        "detector": np.full(m, -1, np.int16),
    }
    for name, dtype in POINT_TYPES.items():
        path = f"{group}[].{fields[name]}" if name in fields else ""
        if np.issubdtype(dtype, np.floating) and name != "mjd":
            points[name] = part.floats(path, m).astype(np.float32)
        elif path in part.decoded:
            points[name] = part.decoded.values(path).astype(dtype)
    return part.decoded.offsets(group), points


def _own_points(part: _Part) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
    """Give each alert's own detection as a point."""
    points: dict[str, NDArray[Any]] = {
        "mjd": part.floats(_SOURCE + "midpointMjdTai"),
        "band": part.bands(_SOURCE + "band"),
        "kind": np.full(part.n, DETECTION, np.int8),
        "point_id": part.integers(_SOURCE + "diaSourceId"),
        "detector": part.integers(_SOURCE + "detector").astype(np.int16),
    }
    for name in ("flux", "flux_err", "total_flux", "total_flux_err"):
        points[name] = part.floats(_DIRECT[name][0]).astype(np.float32)
    return np.arange(part.n + 1, dtype=np.int64), points


def _light_curves(part: _Part) -> LightCurves:
    """Lay the arrays of the packets and their own detections side by side, in time order."""
    groups = [found for group in _POINTS if (found := _points_of(part, group)) is not None] + [_own_points(part)]
    offsets = np.sum([part_offsets for part_offsets, _ in groups], axis=0, dtype=np.int64)
    flat: dict[str, NDArray[Any]] = {name: np.empty(offsets[-1], dtype) for name, dtype in POINT_TYPES.items()}
    begin = offsets[:-1].copy()
    for part_offsets, points in groups:
        counts = np.diff(part_offsets)
        place = np.arange(part_offsets[-1]) + np.repeat(begin - part_offsets[:-1], counts)
        for name, values in points.items():
            flat[name][place] = values
        begin += counts
    curves = LightCurves(offsets=offsets, bands=BANDS, **flat)
    keep = np.isfinite(curves.mjd) & (curves.band >= 0) & ~_repeats(part, curves)
    return (curves if keep.all() else curves.select(keep)).sorted_by_time()


def _repeats(part: _Part, curves: LightCurves) -> NDArray[np.bool_]:
    """Say which points repeat the alert's own detection, which is the last that was laid down."""
    own = np.repeat(part.integers(_SOURCE + "diaSourceId"), np.diff(curves.offsets))
    repeats = (curves.point_id == own) & (curves.kind == DETECTION)
    last = curves.offsets[1:] - 1
    repeats[last] = False
    return repeats


def _history(part: _Part, curves: LightCurves) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give the number of detections and the time of the first: the object's own count, else what the packet holds."""
    detections = np.concatenate(([0], np.cumsum(curves.kind == DETECTION)))
    counted = np.diff(detections[curves.offsets])
    told = part.integers("diaObject.nDiaSources")
    mjd = part.floats(_SOURCE + "midpointMjdTai")
    times = np.where(curves.kind == DETECTION, curves.mjd, np.inf)
    earliest = np.minimum(np.minimum.reduceat(times, curves.offsets[:-1]), mjd) if len(mjd) else mjd
    first = part.floats("diaObject.firstDiaSourceMjdTai")
    return np.where(told > 0, told, counted), np.where(np.isfinite(first), np.minimum(first, mjd), earliest)


def _flagged(part: _Part) -> pa.Array:
    """Say whether any flag is set; null where no flag is told."""
    paths = [_SOURCE + flag for flag in FLAGS if _SOURCE + flag in part.decoded]
    told, flagged = np.zeros(part.n, np.bool_), np.zeros(part.n, np.bool_)
    for path in paths:
        told |= part.decoded.valid(path)
        flagged |= part.decoded.values(path) != 0
    return pa.array(flagged, mask=~told)


def _nullable(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Give floats as an Arrow array with null for what is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        typed = values.astype(kind.to_pandas_dtype())
    return pa.array(np.where(np.isfinite(typed), typed, np.nan), kind, from_pandas=True)


def _measured(part: _Part) -> dict[str, pa.Array]:
    """Compute the columns that follow from fluxes and moments."""
    flux, err = part.floats(_SOURCE + "psfFlux"), part.floats(_SOURCE + "psfFluxErr")
    negative = part.integers(_SOURCE + ("isNegative" if _SOURCE + "isNegative" in part.decoded else "is_negative")) != 0
    told = part.first((_SOURCE + "isNegative", _SOURCE + "is_negative"))
    known = part.decoded.valid(told) if told else np.zeros(part.n, np.bool_)
    ixx, iyy, ixy = (part.floats(f"{_SOURCE}{name}") for name in ("ixx", "iyy", "ixy"))
    with np.errstate(divide="ignore", invalid="ignore"):
        mag_err = 2.5 / np.log(10) * err / np.abs(flux)
        psf = part.floats(_SOURCE + "ixxPSF") + part.floats(_SOURCE + "iyyPSF")
        seeing = np.sqrt(8 * np.log(2) * psf / 2)
        middle, half = (ixx + iyy) / 2, np.hypot((ixx - iyy) / 2, ixy)
        elongation = np.sqrt((middle + half) / (middle - half))
        snr = np.copysign(part.floats(_SOURCE + "snr"), np.where(np.isnan(flux), 1.0, flux))
    floats = {
        "mag": magnitude(flux),
        "mag_err": mag_err,
        "snr": snr,
        "limit_mag": magnitude(5 * err),
        "seeing": seeing,
        "elongation": elongation,
        "stellarity": 1 - part.floats(_SOURCE + "extendedness"),
    }
    columns = {name: _nullable(values, pa.float32()) for name, values in floats.items()}
    columns["positive"] = pa.array(np.where(np.isnan(flux), known & ~negative, flux > 0))
    columns["flagged"] = _flagged(part)
    return columns


def _identity(part: _Part) -> dict[str, pa.Array]:
    """Give who and when: ids, night, schema version."""
    objects = part.decoded.values(_SOURCE + "diaObjectId")
    name = pa.array(objects, mask=objects == 0).cast(pa.string())
    mjd = part.floats(_SOURCE + "midpointMjdTai")
    version = pa.array([version_text(part.version)]).take(pa.array(np.zeros(part.n, np.int64)))
    if "lsst_schema_version" in part.decoded:
        told = pc.replace_substring(pc.replace_substring(part.decoded.text("lsst_schema_version"), "lsst.v", ""), "_", ".")
        version = pc.coalesce(told, version)
    return {
        "alert_id": pa.array(part.integers(_SOURCE + "diaSourceId")),
        "object_id": name,
        "survey": pa.array(["lsst"]).take(pa.array(np.zeros(part.n, np.int64))),
        "schema_version": version,
        "night": pa.array(calendar_date(tai_to_utc(mjd) - 0.5)),
    }


def _alerts(part: _Part, curves: LightCurves) -> pa.Table:
    """Give the columns of the alerts: the core vocabulary, then the survey's own."""
    n_detections, first = _history(part, curves)
    mjd = part.floats(_SOURCE + "midpointMjdTai")
    made = _identity(part) | _measured(part)
    made["n_detections"] = pa.array(n_detections.astype(np.int32))
    made["first_mjd"] = pa.array(first)
    made["age"] = pa.array((mjd - first).astype(np.float32))
    arrays = [made[c.name] if c.name in made else part.arrow(_DIRECT.get(c.name, ()), c.type) for c in CORE]
    own = own_columns()
    arrays += [part.arrow(o.paths, o.column.type) for o in own]
    return pa.Table.from_arrays(arrays, names=[c.name for c in CORE] + [o.column.name for o in own])


def _cutouts(part: _Part) -> Cutouts:
    """Say where the stamps lie."""
    found = Cutouts.none(part.n)
    for column, name in enumerate(STAMPS):
        path = f"cutout{name.capitalize()}"
        if path in part.decoded:
            starts, lengths, _ = part.decoded.ranges(path)
            found.start[:, column], found.length[:, column] = starts, lengths
    return found


def _decode_part(packets: Packets, text: bytes) -> tuple[AlertBatch, NDArray[np.bool_], dict[int, str]]:
    """Turn packets of one writer's schema into a batch of those that are good."""
    program, version = _program(text)
    part = _Part(decode(program, packets.buffer, packets.starts, packets.ends), version)
    good, bad = _refusals(part)
    if bad:
        kept = packets.take(np.flatnonzero(good))
        part = _Part(decode(program, kept.buffer, kept.starts, kept.ends), version)
        packets = kept
    curves = _light_curves(part)
    return AlertBatch("lsst", _alerts(part, curves), curves, packets, _cutouts(part)), good, bad


class Lsst:
    """The Vera C. Rubin Observatory's Legacy Survey of Space and Time."""

    name = "lsst"
    bands = BANDS
    history_window = 365.0

    @property
    def columns(self) -> tuple[Column, ...]:
        """The survey's own columns."""
        return tuple(own.column for own in own_columns())

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

    def decode(self, packets: Packets) -> tuple[AlertBatch, NDArray[np.int64], tuple[Refusal, ...]]:
        """Turn packets into columns and light curves; see `fink.surveys.Survey`."""
        parts, rows, refusals = [], [], []
        for index in np.unique(packets.schema):
            chosen = np.flatnonzero(packets.schema == index)
            try:
                batch, good, bad = _decode_part(packets.take(chosen), packets.schemas[index])
            except SchemaError as error:
                refusals += [Refusal(int(row), str(error)) for row in chosen]
                continue
            parts.append(batch)
            rows.append(chosen[good])
            refusals += [Refusal(int(chosen[row]), why) for row, why in bad.items()]
        if not parts:
            none = packets.take(np.zeros(0, np.int64))
            batch = AlertBatch("lsst", _no_alerts(), LightCurves.empty(0, BANDS), none, Cutouts.none(0))
            return batch, np.zeros(0, np.int64), tuple(sorted(refusals, key=lambda r: r.row))
        where = np.concatenate(rows)
        joined = concatenate(parts)
        order = np.argsort(where, kind="stable")
        if len(parts) > 1:
            joined = joined.take(order)
        return joined, where[order], tuple(sorted(refusals, key=lambda r: r.row))

    def nights(self, packets: Packets) -> tuple[NDArray[np.int32], tuple[Refusal, ...]]:
        """Give the night of each packet; 0 where it cannot be read."""
        nights = np.zeros(len(packets), np.int32)
        refusals = []
        for index in np.unique(packets.schema):
            chosen = np.flatnonzero(packets.schema == index)
            try:
                program, version = _program(packets.schemas[index])
            except SchemaError as error:
                refusals += [Refusal(int(row), str(error)) for row in chosen]
                continue
            time = compile_program(program.schema, frozenset({_SOURCE + "midpointMjdTai"}))
            decoded = decode(time, packets.buffer, packets.starts[chosen], packets.ends[chosen])
            mjd = decoded.values(_SOURCE + "midpointMjdTai")
            nights[chosen] = calendar_date(tai_to_utc(mjd) - 0.5)
            for row in np.flatnonzero(nights[chosen] == 0):
                why = reason(decoded.status[row]) if decoded.status[row] else "diaSource.midpointMjdTai is missing"
                refusals.append(Refusal(int(chosen[row]), f"LSST {version_text(version)}: {why}"))
        return nights, tuple(sorted(refusals, key=lambda r: r.row))

    def public_name(self, column: str) -> str:
        """Give the public name of a column: ``r:`` and the survey's own name of the field, else ``f:`` and ours."""
        return _public_names().get(column, f"f:{column}")


@cache
def _public_names() -> Mapping[str, str]:
    """Give the public names of columns that are fields of the packet."""
    names = {name: paths[0].rpartition(".")[2] for name, paths in _DIRECT.items()} | _COMPUTED
    names |= {own.column.name: own.paths[0].rpartition(".")[2] for own in own_columns()}
    return {name: f"r:{field}" for name, field in names.items()}


def _no_alerts() -> pa.Table:
    """Give the columns without a row."""
    fields = [(c.name, c.type) for c in CORE] + [(o.column.name, o.column.type) for o in own_columns()]
    return pa.schema(fields).empty_table()


def writer_schema(major: int, minor: int) -> bytes:
    """Give the schema that packets of a version are written with.

    Raises
    ------
    SchemaError
        If the version is not known.
    """
    return read_table("lsst").schema((major, minor), f"lsst.v{major}_{minor}")


def schema_of_number(number: int) -> bytes | None:
    """Give the schema of a number in the wire format, which is 100 times the major plus the minor version; None if unknown.

    Raises
    ------
    SchemaError
        If the version is older than 7.0.
    """
    version = divmod(number, 100)
    if (1, 0) <= version < OLDEST:
        raise SchemaError(f"LSST schema {version_text(version)} is older than {version_text(OLDEST)}, which is the oldest that is read")
    return writer_schema(*version) if version in read_table("lsst").versions else None


assert set(_DIRECT) | set(_COMPUTED) <= set(COLUMNS)

survey = Lsst()
