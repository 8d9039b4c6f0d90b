"""The vocabulary: every quantity has one name, one type, one unit and one meaning, declared here once.

The archive, the API, Avro schemas, the documentation, portal labels and VO metadata are all derived from these
declarations. Surveys add columns of their own in `fink.surveys`, science modules add theirs where they are computed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from fink.errors import PlanError, did_you_mean

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_TYPES = frozenset({pa.float32(), pa.float64(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_(), pa.string()})


@dataclass(frozen=True)
class Column:
    """One quantity of an alert.

    Parameters
    ----------
    name
        Snake-case name, the field's own term; units are in `unit`, never in the name.
    type
        Arrow type: float32, float64, int8 to int64, bool or string.
    unit
        VOUnit text, empty where the quantity has none.
    ucd
        IVOA Unified Content Descriptor.
    about
        One sentence on what it means.
    indexed
        Whether lists, cards and cones show it: then it is answered from the index in milliseconds, without the lake.
    nullable
        False only where every alert of every survey has a value.
    """

    name: str
    type: pa.DataType
    unit: str = ""
    ucd: str = ""
    about: str = ""
    indexed: bool = False
    nullable: bool = True

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise PlanError(f"column name {self.name!r} is not snake case; use lower-case letters, digits and _")
        if self.type not in _TYPES:
            raise PlanError(f"column {self.name} has the type {self.type}; use one of {sorted(map(str, _TYPES))}")
        if not self.about:
            raise PlanError(f"column {self.name} does not say what it means; fill in `about`")


def _c(name: str, type_: pa.DataType, unit: str, ucd: str, about: str, *, indexed: bool = False, nullable: bool = True) -> Column:
    return Column(name, type_, unit, ucd, about, indexed, nullable)


_F4, _F8, _I4, _I8, _B, _S = pa.float32(), pa.float64(), pa.int32(), pa.int64(), pa.bool_(), pa.string()

CORE: tuple[Column, ...] = (
    _c("alert_id", _I8, "", "meta.id;meta.main", "Number of the alert in its survey; may be negative", indexed=True, nullable=False),
    _c("object_id", _S, "", "meta.id.parent", "Name of the object in its survey; null for a moving object", indexed=True),
    _c(
        "sso_name",
        _S,
        "",
        "meta.id;src",
        "Designation of the known solar-system object at this place, as the survey gives it",
        indexed=True,
    ),
    _c("survey", _S, "", "meta.id;obs", "Survey that sent the alert", indexed=True, nullable=False),
    _c("schema_version", _S, "", "meta.version", "Version of the schema that the packet was written with", nullable=False),
    _c("night", _I4, "", "time.epoch;obs", "Night of the observation as YYYYMMDD", indexed=True, nullable=False),
    _c("mjd", _F8, "d", "time.epoch;meta.main", "Middle of the exposure, MJD in TAI", indexed=True, nullable=False),
    _c("visit", _I8, "", "meta.id;obs.exposure", "Number of the exposure in its survey"),
    _c("detector", _I4, "", "meta.id;instr.det", "Detector, or read-out channel, that saw the source"),
    _c("exposure_time", _F4, "s", "time.duration;obs.exposure", "Length of the exposure"),
    _c("ra", _F8, "deg", "pos.eq.ra;meta.main", "Right ascension of the source, ICRS", indexed=True, nullable=False),
    _c("dec", _F8, "deg", "pos.eq.dec;meta.main", "Declination of the source, ICRS", indexed=True, nullable=False),
    _c("band", _S, "", "instr.bandpass", "Filter of the exposure", indexed=True, nullable=False),
    _c("flux", _F4, "nJy", "phot.flux;arith.diff", "Difference flux (science minus template), signed", indexed=True),
    _c("flux_err", _F4, "nJy", "stat.error;phot.flux", "One-sigma error of flux", indexed=True),
    _c("mag", _F4, "mag", "phot.mag;arith.diff", "AB magnitude of the size of the difference flux", indexed=True),
    _c("mag_err", _F4, "mag", "stat.error;phot.mag", "One-sigma error of mag", indexed=True),
    _c("snr", _F4, "", "stat.snr;phot.flux", "Signal-to-noise ratio of the difference flux, signed"),
    _c("positive", _B, "", "meta.code;phot.flux", "Whether the source is brighter now than in the template", indexed=True, nullable=False),
    _c("limit_mag", _F4, "mag", "phot.mag;stat.max", "Five-sigma limiting AB magnitude of the difference image"),
    _c("total_flux", _F4, "nJy", "phot.flux", "Flux in the science image: the source with what stood there before", indexed=True),
    _c("total_flux_err", _F4, "nJy", "stat.error;phot.flux", "One-sigma error of total_flux"),
    _c("template_flux", _F4, "nJy", "phot.flux", "Flux at this place in the template"),
    _c("template_flux_err", _F4, "nJy", "stat.error;phot.flux", "One-sigma error of template_flux"),
    _c("real_score", _F4, "", "stat.probability", "The survey's own score that the source is real, from 0 to 1", indexed=True),
    _c("stellarity", _F4, "", "stat.probability;src.class.starGalaxy", "Star-likeness of the difference source's shape, from 0 to 1"),
    _c("flagged", _B, "", "meta.code.qual", "Whether the survey's own flags call the measurement unreliable", indexed=True),
    _c("is_dipole", _B, "", "meta.code.qual", "Whether the source is a pair of opposite residuals"),
    _c("seeing", _F4, "arcsec", "instr.obsty.seeing", "Full width at half maximum of the source or of the image"),
    _c("elongation", _F4, "", "phys.size.axisRatio", "Ratio of the major to the minor axis of the source"),
    _c("trail_length", _F4, "arcsec", "phys.angSize", "Length of the trail fitted to the source"),
    _c("n_detections", _I4, "", "meta.number;obs", "Detections at this place so far, this one included", indexed=True),
    _c("n_visits", _I4, "", "meta.number;obs.exposure", "Exposures that covered this place so far"),
    _c("first_mjd", _F8, "d", "time.start", "First detection at this place, MJD in TAI", indexed=True),
    _c("age", _F4, "d", "time.interval", "Days from the first detection to this one", indexed=True),
    _c("sso_separation", _F4, "arcsec", "pos.angDistance", "Distance to the known solar-system object of sso_name"),
    _c("sso_mag", _F4, "mag", "phot.mag;em.opt.V", "Predicted magnitude of the known solar-system object"),
    _c("reference_separation", _F4, "arcsec", "pos.angDistance", "Distance to the nearest source of the template"),
    _c("star_separation", _F4, "arcsec", "pos.angDistance", "Distance to the nearest source of the survey's deep catalogue"),
    _c("star_score", _F4, "", "src.class.starGalaxy", "Star-likeness of that catalogue source, from 0 (galaxy) to 1 (star)"),
    _c("star_g", _F4, "mag", "phot.mag;em.opt.B", "g magnitude of that catalogue source"),
    _c("star_r", _F4, "mag", "phot.mag;em.opt.R", "r magnitude of that catalogue source"),
    _c("star_i", _F4, "mag", "phot.mag;em.opt.I", "i magnitude of that catalogue source"),
    _c("star_z", _F4, "mag", "phot.mag;em.opt.I", "z magnitude of that catalogue source"),
    _c("gaia_separation", _F4, "arcsec", "pos.angDistance", "Distance to the nearest Gaia source, as the survey gives it"),
    _c("gaia_mag", _F4, "mag", "phot.mag;em.opt", "G magnitude of the nearest Gaia source"),
    _c("gaia_bright_separation", _F4, "arcsec", "pos.angDistance", "Distance to the nearest bright Gaia source (G < 14)"),
    _c("gaia_bright_mag", _F4, "mag", "phot.mag;em.opt", "G magnitude of the nearest bright Gaia source"),
)

COLUMNS: dict[str, Column] = {column.name: column for column in CORE}


def column_named(name: str, known: dict[str, Column]) -> Column:
    """Give the declaration of a column.

    Raises
    ------
    PlanError
        If there is no such column; the message offers the nearest name.
    """
    if name not in known:
        raise PlanError(f"no column {name}{did_you_mean(name, known)}")
    return known[name]


def merge_columns(*groups: Iterable[Column]) -> dict[str, Column]:
    """Join declarations from the core, surveys and modules into one vocabulary.

    Raises
    ------
    PlanError
        If one name is declared twice with different types, units or meanings.
    """
    merged: dict[str, Column] = {}
    for column in (c for group in groups for c in group):
        if merged.setdefault(column.name, column) != column:
            raise PlanError(f"column {column.name} is declared twice, and differently; give one of them another name")
    return merged
