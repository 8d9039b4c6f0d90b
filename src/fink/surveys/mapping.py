"""From decoded packets to an alert batch: what every survey's mapping has in common.

A survey says which fields it wants and gives, for the fields of a batch, its columns as arrays and its light curves; everything else
happens here: packets of several schemas, packets that cannot be read, missing values, derived columns, the exact types of the table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import nan
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.codecs.avro import Decoded, decode, reason
from fink.codecs.fallback import decode_slowly
from fink.codecs.schemas import Program, WriterSchema, compile_program, parse_schema
from fink.columns import CORE, Column
from fink.config import SurveySettings
from fink.errors import SchemaError
from fink.lightcurves import Band, LightCurves, magnitude
from fink.surveys import Refusal
from fink.surveys.fields import Field
from fink.surveys.names import PublicName, public_name
from fink.surveys.packing import Stored, pack
from fink.tables import AlertBatch, Cutouts, Packets, concatenate

MAG_PER_RELATIVE_FLUX = 2.5 / np.log(10.0)
"""Error of a magnitude [mag] for a relative error of the flux."""

_STRING = pa.string().id
_REQUIRED = tuple(column.name for column in CORE if not column.nullable)
_TYPES = {
    "float": pa.float32(),
    "double": pa.float64(),
    "int": pa.int32(),
    "long": pa.int64(),
    "micros": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}


class Integers(NamedTuple):
    """Whole numbers or truth values, (n,), and which of them are there."""

    values: NDArray[np.int64] | NDArray[np.bool_]
    valid: NDArray[np.bool_]


Values: TypeAlias = "NDArray[Any] | Integers | Stored | pa.Array"
"""What a survey gives for a column: numbers (NaN is missing), whole numbers with their validity, numbers as decoded, or texts."""


@dataclass(frozen=True)
class Plain:
    """A column that is a field as it stands.

    Parameters
    ----------
    column
        Name of the column.
    paths
        The field; where a schema does not have it, the next one, under which older schemas kept it.
    missing
        Numbers that stand for missing, beside NaN.
    """

    column: str
    paths: tuple[str, ...]
    missing: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Fields:
    """The decoded fields of packets that one schema wrote; a field that the schema does not have is missing everywhere."""

    decoded: Decoded
    schema: WriterSchema

    @property
    def n(self) -> int:
        """Number of packets, unreadable ones included."""
        return self.decoded.n

    def rows(self, path: str) -> int:
        """Give how many values a path has: one for each packet, or one for each item of its array."""
        array, inside, _ = path.rpartition("[]")
        return int(self.offsets(array)[-1]) if inside else self.n

    def kind(self, path: str) -> str:
        """Give what a path holds (float, int, bool, string, bytes), empty where the schema does not have it."""
        return self.decoded.kind(path) if path in self.decoded else ""

    def offsets(self, array: str) -> NDArray[np.int64]:
        """Give ``(n + 1,)``: items ``offsets[i]`` to ``offsets[i + 1]`` of an array are those of packet ``i``."""
        return self.decoded.offsets(array) if self.decoded.has_array(array) else np.zeros(self.n + 1, np.int64)

    def number(self, path: str, *missing: float) -> NDArray[np.float64]:
        """Give a number, float64; NaN where it is null or one of the values that stand for missing."""
        if path not in self.decoded:
            return np.full(self.rows(path), np.nan)
        raw = self.decoded.values(path)
        values: NDArray[np.float64] = np.where(self.decoded.valid(path), raw, np.nan) if raw.dtype == np.int64 else raw.view(np.float64)
        for sentinel in missing:
            values = np.where(values == sentinel, np.nan, values)
        return values

    def integer(self, path: str, *missing: int) -> Integers:
        """Give a whole number and whether it is there."""
        if path not in self.decoded:
            return Integers(np.zeros(self.rows(path), np.int64), np.zeros(self.rows(path), np.bool_))
        values, valid = self.decoded.values(path), self.decoded.valid(path)
        for sentinel in missing:
            valid = valid & (values != sentinel)
        return Integers(values.astype(np.int64, copy=False), valid)

    def text(self, path: str, *missing: str) -> pa.Array:
        """Give a text; null where it is null or one of the texts that stand for missing."""
        if path not in self.decoded:
            return pa.nulls(self.rows(path), pa.string())
        values = self.decoded.text(path)
        if missing:
            values = pc.if_else(pc.is_in(values, value_set=pa.array(missing)), pa.scalar(None, pa.string()), values)
        return values

    def initial(self, path: str, longest: int = 1 << 30) -> NDArray[np.uint8]:
        """Give the first byte of a text, 0 where it is null, empty or longer than ``longest`` bytes: cheap for letters."""
        if path not in self.decoded:
            return np.zeros(self.rows(path), np.uint8)
        return self.decoded.first_bytes(path, longest)

    def plain(self, sources: Iterable[Plain]) -> dict[str, Values]:
        """Give the columns that are a field as it stands; those whose fields the schema does not have are left out."""
        found: dict[str, Values] = {}
        decoded = self.decoded
        for source in sources:
            path = next((path for path in source.paths if path in decoded), None)
            if path is None:
                continue
            kind = decoded.kind(path)
            if kind in ("string", "bytes"):
                found[source.column] = decoded.text(path)
            else:
                found[source.column] = Stored(*decoded.addresses(path), kind != "float", decoded, source.missing)
        return found

    def cutouts(self, paths: Sequence[str]) -> Cutouts:
        """Give where the science, template and difference stamps lie."""
        none = Cutouts.none(self.n)
        for i, path in enumerate(paths):
            if path in self.decoded:
                starts, lengths, valid = self.decoded.ranges(path)
                np.multiply(starts, valid, out=none.start[:, i])
                np.multiply(lengths, valid, out=none.length[:, i])
        return none


def read_fields(packets: Packets, paths: frozenset[str]) -> Iterable[tuple[NDArray[np.int64], Fields]]:
    """Decode packets schema by schema: the rows of each schema, and their fields.

    Raises
    ------
    SchemaError
        If a schema is not one.
    """
    for number in np.unique(packets.schema) if (packets.schema != packets.schema[:1]).any() else packets.schema[:1]:
        rows = np.flatnonzero(packets.schema == number)
        chosen = packets if len(rows) == len(packets) else packets.take(rows)
        schema = parse_schema(packets.schemas[number])
        spans = chosen.buffer, chosen.starts, chosen.ends
        program = _program(schema, paths)
        decoded = decode_slowly(schema, paths, *spans) if program is None else decode(program, *spans)
        yield rows, Fields(decoded, schema)


def _program(schema: WriterSchema, paths: frozenset[str]) -> Program | None:
    """Compile what is wanted of a schema, or give None where only the slow decoder reads it."""
    try:
        return compile_program(schema, paths)
    except SchemaError:
        return None


class MappedSurvey(ABC):
    """A survey whose packets become columns field by field; `fink.surveys.Survey` says what each part means."""

    name: str
    columns: tuple[Column, ...]
    bands: tuple[Band, ...]
    history_window: float
    pixel_scale: float = nan
    plain: tuple[Plain, ...] = ()
    """The columns that are a field as it stands; `map` need not give them."""
    paths: frozenset[str]
    """Every field that `map` asks for."""
    night_paths: frozenset[str]
    """The fields that `night` asks for."""
    stamps: tuple[str, str, str]
    """Fields that hold the science, template and difference stamp."""
    group: str = ""
    """Record that holds the added columns in the packets that Fink sends; empty puts them beside the survey's own fields."""

    @cached_property
    def _core_plain(self) -> tuple[Plain, ...]:
        """The core columns that are a field as it stands."""
        own = {column.name for column in self.columns}
        return tuple(source for source in self.plain if source.column not in own)

    @cached_property
    def _core_wanted(self) -> frozenset[str]:
        """Every field that the core vocabulary needs."""
        return self.paths | {*self.stamps} | {path for source in self._core_plain for path in source.paths}

    @cached_property
    def _wanted(self) -> frozenset[str]:
        """Every field that a batch needs."""
        return self._core_wanted | {path for source in self.plain for path in source.paths}

    @abstractmethod
    def recognises(self, schema: bytes) -> bool:
        """Say whether packets of this writer's schema are of this survey."""

    @abstractmethod
    def map(self, fields: Fields) -> tuple[dict[str, Values], LightCurves]:
        """Turn fields into columns by name, (n,) each, and ``n`` light curves; what is not named is null or derived."""

    @abstractmethod
    def night(self, fields: Fields) -> NDArray[np.int32]:
        """Give the night of each packet as YYYYMMDD, 0 where it has none."""

    @abstractmethod
    def public_name(self, column: str) -> str:
        """Give the name under which this survey's users know a column."""

    def packet_name(self, column: str) -> PublicName:
        """Give the place of an added column in the packets that Fink sends."""
        return public_name(self.name, column, self.group)

    def configured(self, settings: SurveySettings) -> MappedSurvey:
        """Give this survey as it is: no setting changes it."""
        return self

    def schema_of_number(self, number: int) -> bytes | None:
        """Give no schema: this survey's packets bring theirs."""
        return None

    def writer_schemas(self) -> Sequence[bytes]:
        """Give the schemas of packets that may come without one; none, unless the survey says otherwise."""
        return ()

    def decode(self, packets: Packets, *, own: bool = True) -> tuple[AlertBatch, NDArray[np.int64], tuple[Refusal, ...]]:
        """Turn packets of this survey into columns and light curves; without the survey's ``own`` columns if they are not wanted."""
        parts, origins, refusals = [], [], []
        for rows, fields in read_fields(packets, self._wanted if own else self._core_wanted):
            values, lightcurves = self.map(fields)
            values |= fields.plain(self.plain if own else self._core_plain)
            alerts = build_table(self.name, self.columns if own else (), values, fields.n)
            chosen = packets if len(rows) == len(packets) else packets.take(rows)
            batch = AlertBatch(self.name, alerts, lightcurves, chosen, fields.cutouts(self.stamps))
            bad, why = unusable(fields, alerts)
            refusals += [Refusal(int(rows[i]), text) for i, text in zip(bad, why, strict=True)]
            good = np.delete(np.arange(fields.n), bad) if len(bad) else slice(None)
            parts.append(batch if isinstance(good, slice) else batch.take(good))
            origins.append(rows[good])
        if not parts:
            return self.no_alerts(packets, own=own), np.zeros(0, np.int64), ()
        batch, order = concatenate(parts), np.concatenate(origins)
        if len(parts) > 1:
            sort = np.argsort(order)
            batch, order = batch.take(sort), order[sort]
        return batch, order, tuple(sorted(refusals, key=lambda refusal: refusal.row))

    def no_alerts(self, packets: Packets, *, own: bool = True) -> AlertBatch:
        """Make a batch without alerts, with all its columns."""
        alerts = build_table(self.name, self.columns if own else (), {}, 0)
        return AlertBatch(self.name, alerts, LightCurves.empty(0, self.bands), packets, Cutouts.none(0))

    def nights(self, packets: Packets) -> tuple[NDArray[np.int32], tuple[Refusal, ...]]:
        """Give the night of each packet, reading no more of it than that takes; 0 where it cannot be read."""
        nights = np.zeros(len(packets), np.int32)
        refusals = []
        for rows, fields in read_fields(packets, self.night_paths):
            nights[rows] = np.where(fields.decoded.status == 0, self.night(fields), 0)
            bad = np.flatnonzero(nights[rows] == 0)
            refusals += [Refusal(int(rows[i]), _why(fields, int(i), "the time of the observation is missing")) for i in bad]
        return nights, tuple(sorted(refusals, key=lambda refusal: refusal.row))


def unusable(fields: Fields, alerts: pa.Table) -> tuple[NDArray[np.int64], list[str]]:
    """Find the alerts that cannot be used, and why: the packet is damaged, or lacks what every alert must have."""
    gaps = {
        f"the packet gives no {name}": alerts[name].is_null().to_numpy(zero_copy_only=False)
        for name in _REQUIRED
        if alerts[name].null_count
    }
    gaps["the declination is not between -90 and 90 degrees"] = np.abs(alerts["dec"].to_numpy()) > 90.0
    bad = np.flatnonzero(np.logical_or.reduce([fields.decoded.status != 0, *gaps.values()]))
    return bad, [_why(fields, i, next((why for why, gap in gaps.items() if gap[i]), "")) for i in bad.tolist()]


def _why(fields: Fields, row: int, lacking: str) -> str:
    """Give the decoder's reason for a packet that it could not read, else the given one."""
    status = int(fields.decoded.status[row])
    return reason(status) if status else lacking


def build_table(survey: str, own: tuple[Column, ...], values: Mapping[str, Values], n: int) -> pa.Table:
    """Make the table of a batch: every core column, then the survey's own, in their declared order and types.

    Raises
    ------
    SchemaError
        If a value is given for a column that nobody declares, or there are not ``n`` of them.
    """
    declared, schema = _declared(own)
    full = derived(values) | {"survey": pa.repeat(pa.scalar(survey), n)}
    if strangers := full.keys() - set(schema.names):
        raise SchemaError(f"the mapping of {survey} gives {', '.join(sorted(strangers))}, which no column declares")
    everywhere = np.ones(n, np.bool_)
    arrays: dict[str, pa.Array] = {}
    numbers: dict[str, Stored] = {}
    for column in declared:
        given = full.get(column.name)
        if given is None:
            arrays[column.name] = pa.nulls(n, column.type)
        elif isinstance(given, pa.Array) != (column.type.id == _STRING):
            raise SchemaError(f"the packets of {survey} have {'text' if isinstance(given, pa.Array) else 'numbers'} for {column.name}")
        elif isinstance(given, Stored):
            numbers[column.name] = given
        elif len(raw := given.values if isinstance(given, Integers) else given) != n:
            raise SchemaError(f"{column.name} has {len(raw)} values for {n} alerts")
        elif isinstance(given, pa.Array):
            arrays[column.name] = given
        else:
            numbers[column.name] = Stored.of(raw, given.valid if isinstance(given, Integers) else everywhere)
    types = [column.type for column in declared if column.name in numbers]
    arrays.update(zip(numbers, pack(list(numbers.values()), types, n), strict=True))
    return pa.Table.from_arrays([arrays[column.name] for column in declared], schema=schema)


@lru_cache(maxsize=64)
def _declared(own: tuple[Column, ...]) -> tuple[tuple[Column, ...], pa.Schema]:
    """Give the columns of a table, the core vocabulary's and then the survey's own, and its schema."""
    declared = (*CORE, *own)
    return declared, pa.schema([pa.field(column.name, column.type) for column in declared])


def derived(values: Mapping[str, Values]) -> dict[str, Values]:
    """Add what follows from the survey's values where it does not give it: mag, mag_err, snr, positive, age."""
    out = dict(values)
    flux, flux_err = out.get("flux"), out.get("flux_err")
    if isinstance(flux, np.ndarray) and isinstance(flux_err, np.ndarray):
        with np.errstate(divide="ignore", invalid="ignore"):
            out.setdefault("mag", magnitude(flux))
            out.setdefault("mag_err", MAG_PER_RELATIVE_FLUX * flux_err.astype(np.float64) / np.abs(flux.astype(np.float64)))
            out.setdefault("snr", flux.astype(np.float64) / flux_err)
        out.setdefault("positive", Integers((flux > 0).astype(np.int64), np.isfinite(flux)))
    mjd, first = out.get("mjd"), out.get("first_mjd")
    if isinstance(mjd, np.ndarray) and isinstance(first, np.ndarray):
        out.setdefault("age", mjd - first)
    return out


def own_columns(prefix: str, fields: Iterable[Field], indexed: Container[str] = ()) -> tuple[Column, ...]:
    """Declare a survey's own columns from the fields of its table that have a meaning there; some of them are indexed."""
    return tuple(
        Column(prefix + snake_case(field.name), _TYPES[field.type], field.unit, field.ucd, field.about, field.name in indexed)
        for field in fields
        if field.about and field.type in _TYPES and not field.array
    )


def snake_case(name: str) -> str:
    """Write a field's name with small letters: ``objectId`` as ``object_id``."""
    return "".join(f"_{c.lower()}" if c.isupper() and name[i - 1 : i].islower() else c.lower() for i, c in enumerate(name))
