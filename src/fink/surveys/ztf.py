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

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.codecs.schemas import WriterSchema, parse_schema
from fink.columns import Column
from fink.errors import SchemaError
from fink.lightcurves import AB_ZERO, Band, LightCurves
from fink.sky import MJD_OF_JD, calendar_date, utc_to_tai
from fink.surveys.fields import FieldTable, read_table
from fink.surveys.mapping import Fields, Integers, MappedSurvey, Plain, Values, own_columns, snake_case
from fink.surveys.points import first_detections
from fink.surveys.ztf_points import LN_PER_MAG, MISSING, PATHS, PIXEL, STANDARD_EXPOSURE, TEMPLATE_RADIUS, light_curves, signs

Array = NDArray[Any]
Floats = NDArray[np.float64]

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


def _table() -> FieldTable:
    return read_table("ztf")


class ZTF(MappedSurvey):
    """The Zwicky Transient Facility."""

    name = "ztf"
    bands = (Band("g", "ztf", 4746.48), Band("r", "ztf", 6366.38), Band("i", "ztf", 7829.03))
    history_window = 30.0
    pixel_scale = PIXEL
    stamps = ("cutoutScience.stampData", "cutoutTemplate.stampData", "cutoutDifference.stampData")
    night_paths = frozenset({"candidate.jd"})

    @cached_property
    def columns(self) -> tuple[Column, ...]:  # type: ignore[override]  # computed when first asked for
        """The survey's own columns: ``ztf_<field>``."""
        table = _table()
        version = table.versions[-1]
        # the time that ZTF's users know, which every list of alerts gives
        return own_columns("ztf_", (*table.fields("alert", version), *table.fields("candidate", version)), indexed={"jd"})

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
        alert = ("ssnamenr", "jdstarthist", "nbad", "fwhm", "rb", "drb")
        return PATHS | {"objectId", "candid", "schemavsn"} | {f"candidate.{name}" for name in alert}

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
        own, lightcurves = light_curves(fields, self.bands)
        values = self._identity(fields, own) | _times(fields, own, lightcurves) | _photometry(fields, own)
        return values, lightcurves

    def _identity(self, fields: Fields, own: Mapping[str, Array]) -> dict[str, Values]:
        """What the alert is and where it was seen."""
        version = str(fields.schema.document.get("version", "unknown"))
        names = pa.array([item.name for item in self.bands])
        return {
            "alert_id": fields.integer("candid"),
            "object_id": fields.text("objectId"),
            "sso_name": fields.text("candidate.ssnamenr", "null", ""),
            "schema_version": pc.fill_null(fields.text("schemavsn"), version),
            "night": Integers(night := self.night(fields).astype(np.int64), night > 0),
            "band": names.take(pa.array(own["band"], mask=own["band"] < 0)),
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


def _times(fields: Fields, own: Mapping[str, Array], lightcurves: LightCurves) -> dict[str, Values]:
    """When the alert was seen, and when first."""
    exposure_time = fields.number("candidate.exptime", MISSING)
    exposure_time = np.where(np.isnan(exposure_time), STANDARD_EXPOSURE, exposure_time)
    start, first = (fields.number(f"candidate.{name}", MISSING) - MJD_OF_JD for name in ("jd", "jdstarthist"))
    first = utc_to_tai(first + exposure_time / 2.0 / 86400.0)
    earliest = first_detections(lightcurves.offsets, lightcurves.mjd, lightcurves.kind)
    known = np.isfinite(start)
    return {
        "mjd": own["mjd"],
        "visit": Integers(np.round(np.where(known, start, 0.0) * 86400.0).astype(np.int64), known),
        "exposure_time": exposure_time,
        "first_mjd": np.where(np.isfinite(first), first, earliest),
    }


def _photometry(fields: Fields, own: Mapping[str, Array]) -> dict[str, Values]:
    """How bright the source is, and how much it looks like one."""
    sign = signs(fields, "candidate.isdiffpos")
    score, older_score = fields.number("candidate.drb", MISSING), fields.number("candidate.rb", MISSING)
    bad_pixels = fields.integer("candidate.nbad", int(MISSING))
    separation = fields.number("candidate.distnr", MISSING)
    before, before_error = _template(fields, separation)
    return {
        **{name: own[name] for name in ("flux", "flux_err", "total_flux", "total_flux_err")},
        "positive": Integers(sign > 0, np.isfinite(sign)),
        "template_flux": before,
        "template_flux_err": before_error,
        "real_score": np.where(np.isfinite(score), score, older_score),
        "flagged": Integers(bad_pixels.values > 0, bad_pixels.valid),
        "seeing": fields.number("candidate.fwhm", MISSING) * PIXEL,
        "reference_separation": separation * PIXEL,
    }


def _template(fields: Fields, separation: Floats) -> tuple[Floats, Floats]:
    """Flux and error of the template where the alert lies [nJy]; NaN where its nearest source lies too far or is not known."""
    mag, error = (fields.number(f"candidate.{name}", MISSING) for name in ("magnr", "sigmagnr"))
    flux = np.exp((AB_ZERO - np.where(separation <= TEMPLATE_RADIUS, mag, np.nan)) * LN_PER_MAG)
    return flux, flux * error * LN_PER_MAG


survey = ZTF()
