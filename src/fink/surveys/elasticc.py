"""ELAsTiCC, the simulated LSST stream of the classification challenge: packets of schema 0.9 and 0.9.1.

What a packet says and what Fink makes of it:

- Fluxes are in nJy, or in SNANA's FLUXCAL (zero point 27.5 mag): the packet does not say which, so `Elasticc` is told.
- `midPointTai` is the middle of the exposure already; the night is the date of UTC - 12 h, as for LSST.
- `snr` is flux over error: the packets' own, kept as elasticc_snr, is one number for all alerts of the public sample.
- `limit_mag` is the magnitude of five times `psFluxErr`; n_detections and first_mjd are those of the packet's light curve.
- -9 stands for missing in redshifts and separations of hosts, 999 and -999 in their magnitudes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.codecs.schemas import parse_schema
from fink.columns import Column
from fink.config import SurveySettings
from fink.lightcurves import AB_ZERO, DETECTION, FORCED, LIMIT, Band, LightCurves, magnitude
from fink.sky import calendar_date, tai_to_utc
from fink.surveys.fields import FieldTable, read_table
from fink.surveys.mapping import Fields, Integers, MappedSurvey, Plain, Values, own_columns, snake_case
from fink.surveys.points import PointParts

FLUXCAL_ZERO = 27.5
"""Zero point of SNANA's FLUXCAL [mag]."""
_WAVELENGTHS = {"u": 3671.0, "g": 4827.0, "r": 6223.0, "i": 7546.0, "z": 8691.0, "y": 9712.0}
_RECORDS = (("", "alert"), ("diaSource.", "diaSource"), ("diaObject.", "diaObject"))
_PLAIN = {"alert_id": "diaSourceId", "ra": "ra", "dec": "decl", "visit": "ccdVisitId"}
_NO_REDSHIFT, _NO_MAGNITUDE = (-9.0,), (999.0, -999.0)
_SNR_OF_LIMIT = 5.0


class Elasticc(MappedSurvey):
    """ELAsTiCC.

    Parameters
    ----------
    flux_unit
        Unit of the packets' fluxes.
    """

    name = "elasticc"
    bands = tuple(Band(name, "elasticc", wavelength) for name, wavelength in _WAVELENGTHS.items())
    history_window = 365.0
    stamps = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
    night_paths = frozenset({"diaSource.midPointTai"})
    paths = frozenset(
        {"diaSource.diaObjectId"}
        | {
            f"{place}.{name}"
            for place in ("diaSource", "prvDiaSources[]", "prvDiaForcedSources[]", "prvDiaNondetectionLimits[]")
            for name in (
                "diaSourceId",
                "diaForcedSourceId",
                "midPointTai",
                "filterName",
                "psFlux",
                "psFluxErr",
                "totFlux",
                "totFluxErr",
                "diaNoise",
            )
        }
    )

    def __init__(self, flux_unit: Literal["nJy", "FLUXCAL"] = "nJy") -> None:
        self.to_njy = 1.0 if flux_unit == "nJy" else 10.0 ** (0.4 * (AB_ZERO - FLUXCAL_ZERO))

    @cached_property
    def _table(self) -> FieldTable:
        return read_table("elasticc")

    @cached_property
    def columns(self) -> tuple[Column, ...]:  # type: ignore[override]  # computed when first asked for
        """The survey's own columns: ``elasticc_<field>``."""
        fields = [field for _, record in _RECORDS for field in self._table.records[record]]
        return own_columns("elasticc_", fields)

    @cached_property
    def plain(self) -> tuple[Plain, ...]:  # type: ignore[override]  # computed when first asked for
        """Columns that are a field as it stands."""
        found = [Plain(column, (f"diaSource.{name}",)) for column, name in _PLAIN.items()]
        for place, record in _RECORDS:
            fields = self._table.records[record]
            for field in fields:
                if field.about:
                    names = [field.name, *(older.name for older in fields if older.renamed == field.name)]
                    found.append(Plain("elasticc_" + snake_case(field.name), tuple(place + name for name in names), _missing(field.name)))
        return tuple(found)

    def configured(self, settings: SurveySettings) -> MappedSurvey:
        """Give the survey with the fluxes of its packets in the unit that the settings name."""
        return Elasticc(settings.elasticc_flux_unit)

    def recognises(self, schema: bytes) -> bool:
        """Say whether packets of this schema are ELAsTiCC's."""
        parsed = parse_schema(schema)
        return parsed.namespace.split(".")[0] == "elasticc" and {"diaSource", "diaObject"} <= {item["name"] for item in parsed.fields()}

    def public_name(self, column: str) -> str:
        """Give the name under which the challenge's users know a column: the packet's field, else Fink's own name."""
        by_name = {source.column: source.paths[0].rpartition(".")[2] for source in self.plain}
        return by_name.get(column, column)

    def night(self, fields: Fields) -> NDArray[np.int32]:
        """Give the date of UTC - 12 h, one night in Chile."""
        return calendar_date(tai_to_utc(fields.number("diaSource.midPointTai")) - 0.5)

    def map(self, fields: Fields) -> tuple[dict[str, Values], LightCurves]:
        """Turn the fields of packets into columns and light curves."""
        arrays = (("prvDiaSources", DETECTION), ("prvDiaForcedSources", FORCED), ("prvDiaNondetectionLimits", LIMIT))
        parts = PointParts(np.arange(fields.n + 1, dtype=np.int64), *(fields.offsets(array) for array, _ in arrays))
        self._fill(parts, 0, fields, "diaSource", DETECTION)
        for number, (array, kind) in enumerate(arrays, 1):
            self._fill(parts, number, fields, f"{array}[]", kind)
        lightcurves = parts.joined(self.bands)
        return self._columns_of(fields, parts.part(0), lightcurves), lightcurves

    def _fill(self, parts: PointParts, number: int, fields: Fields, place: str, kind: int) -> None:
        """Write the points of one record, or of one array."""
        noise = "diaNoise" if kind == LIMIT else "psFluxErr"
        parts.fill(
            number,
            mjd=fields.number(f"{place}.midPointTai"),
            band=_bands(fields, f"{place}.filterName"),
            kind=kind,
            flux=fields.number(f"{place}.psFlux") * self.to_njy,
            flux_err=fields.number(f"{place}.{noise}") * self.to_njy,
            total_flux=fields.number(f"{place}.totFlux") * self.to_njy,
            total_flux_err=fields.number(f"{place}.totFluxErr") * self.to_njy,
            point_id=fields.integer(f"{place}.{'diaSourceId' if kind == DETECTION else 'diaForcedSourceId'}").values,
        )

    def _columns_of(self, fields: Fields, own: Mapping[str, NDArray[Any]], lightcurves: LightCurves) -> dict[str, Values]:
        """Columns that are computed."""
        detected = lightcurves.select(lightcurves.kind == DETECTION)
        count = np.diff(detected.offsets)
        earliest = np.append(detected.mjd, np.nan)[np.where(count > 0, detected.offsets[:-1], -1)]
        objects = fields.integer("diaSource.diaObjectId", 0)
        night = self.night(fields).astype(np.int64)
        names = pa.array([band.name for band in self.bands])
        return {
            "object_id": pa.array(objects.values, mask=~objects.valid).cast(pa.string()),
            "schema_version": pa.repeat(pa.scalar(_version(fields.schema.namespace)), fields.n),
            "night": Integers(night, night > 0),
            "mjd": own["mjd"],
            "band": names.take(pa.array(own["band"], mask=own["band"] < 0)),
            "flux": own["flux"],
            "flux_err": own["flux_err"],
            "limit_mag": magnitude(_SNR_OF_LIMIT * own["flux_err"]),
            "n_detections": Integers(count, count > 0),
            "first_mjd": earliest,
        }


def _bands(fields: Fields, path: str) -> NDArray[np.int8]:
    """Number of the band, from its letter; -1 for a filter that LSST does not have. Packets write Y for y."""
    number = np.full(256, -1, np.int8)
    for i, name in enumerate(_WAVELENGTHS):
        number[[ord(name), ord(name.upper())]] = i
    return np.asarray(number[fields.initial(path)])


def _missing(field: str) -> tuple[float, ...]:
    """Numbers that stand for missing in a field of a host."""
    if not field.startswith("hostgal"):
        return ()
    return _NO_MAGNITUDE if "_mag" in field else _NO_REDSHIFT


def _version(namespace: str) -> str:
    """Version that a namespace names: 0.9 of ``elasticc.v0_9``."""
    return namespace.rpartition(".v")[2].replace("_", ".")


survey = Elasticc()
