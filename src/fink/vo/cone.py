"""Simple Cone Search 1.03 (https://www.ivoa.net/documents/latest/ConeSearch.html): the objects of a survey around a position."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fink.archive.embedded import EmbeddedArchive
from fink.codecs.votable import Dressing, Info, write_error, write_votable
from fink.columns import Column
from fink.config import VoSettings
from fink.errors import RequestError
from fink.services.searches import around
from fink.vo.documents import links_service
from fink.vo.tables import Table

_ID = Column("id", pa.string(), "", "ID_MAIN", "Name of the object, or number of an alert that belongs to none")
_SEPARATION = Column("separation", pa.float64(), "arcsec", "pos.angDistance", "Distance from the position asked for")
_UCDS = {"id": "ID_MAIN", "ra": "POS_EQ_RA_MAIN", "dec": "POS_EQ_DEC_MAIN", "alert_id": "meta.id"}
"""UCDs of the standard, which is older than those of today."""
_FEW = ("ra", "dec", "separation", "alert_id", "object_id", "mjd", "band", "mag", "mag_err")


def cone_search(archive: EmbeddedArchive, table: Table, given: Mapping[str, Sequence[str]], settings: VoSettings, base: str) -> bytes:
    """Answer a cone search.

    Parameters
    ----------
    table
        The objects of a survey.
    given
        The arguments, names in capitals.
    base
        Address of the server.

    Raises
    ------
    RequestError
        If an argument is missing or has a value that it cannot have.
    """
    ra, dec, radius = _number(given, "RA", 0, 360), _number(given, "DEC", -90, 90), _number(given, "SR", 0, 180)
    if radius > settings.radius:
        raise RequestError(f"SR = {radius:g} deg is more than {settings.radius:g} deg, the largest radius here; ask in parts, or by TAP")
    verbosity = _whole(given, "VERB", 2, 1, 3)
    rows = min(_whole(given, "MAXREC", settings.rows, 0, 2**31), settings.most_rows)
    columns = _columns(table, verbosity)
    found = pa.table({"alert_id": pa.array([], pa.int64())})
    if radius > 0:
        found = around(archive, table.schema, ra, dec, radius * 3600.0, columns=[*columns][2:], limit=rows + 1)
    kept = _shaped(found.slice(0, rows), columns)
    last = [Info("QUERY_STATUS", "OVERFLOW", f"there are more than {rows} objects; MAXREC asks for more")] if found.num_rows > rows else []
    about = f"Objects of {table.schema.upper()}, the nearest first, each with what its last alert says; no rows where SR is 0"
    behind = links_service(table.schema, "object", "id", base) if kept.num_rows else ""
    return write_votable(kept, columns, Dressing("1.1", about=about, infos=[], last=[], behind=behind, ucds=_UCDS, heading=_written(last)))


def _written(infos: Sequence[Info]) -> str:
    # VOTable 1.1 has remarks before the table only
    return "".join(info.write() for info in infos)


def cone_error(error: Exception) -> bytes:
    """Say what went wrong, as the standard has it."""
    return write_error([Info("Error", str(error))], "1.1")


def _columns(table: Table, verbosity: int) -> dict[str, Column]:
    """Give the columns of an answer: few, those of lists and cards, or all."""
    known = {_ID.name: _ID, _SEPARATION.name: _SEPARATION, **{n: c for n, c in table.columns.items() if n != "n_alerts"}}
    chosen = {
        1: [name for name in _FEW if name in known],
        2: [name for name, column in known.items() if column.indexed or name in _FEW],
        3: list(known),
    }[verbosity]
    return {name: known[name] for name in dict.fromkeys(("id", "separation", *chosen))}


def _shaped(found: pa.Table, columns: Mapping[str, Column]) -> pa.Table:
    """Give exactly the columns wanted; in `id` the object's name or designation, or the alert's number."""
    if not found.num_rows:
        return pa.table({name: pa.array([], column.type) for name, column in columns.items()})
    found = found.append_column("id", pc.coalesce(found["object_id"], pc.cast(found["alert_id"], pa.string())))
    there = set(found.column_names)
    return pa.table({name: found[name].cast(c.type) if name in there else pa.nulls(found.num_rows, c.type) for name, c in columns.items()})


def _number(given: Mapping[str, Sequence[str]], name: str, least: float, most: float) -> float:
    text = (given.get(name) or [""])[0].strip()
    if not text:
        raise RequestError(f"{name} is missing; give RA, DEC and SR in degrees")
    try:
        value = float(text)
    except ValueError as error:
        raise RequestError(f"{name} = {text[:80]!r} is not a number; give it in degrees") from error
    if not (math.isfinite(value) and least <= value <= most):
        raise RequestError(f"{name} = {text[:80]} is not possible; it is from {least:g} to {most:g} deg")
    return value


def _whole(given: Mapping[str, Sequence[str]], name: str, default: int, least: int, most: int) -> int:
    text = (given.get(name) or [""])[0].strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19) or not least <= int(text) <= most:
        raise RequestError(f"{name} = {text[:80]!r} is not possible; it is a whole number from {least} to {most}")
    return int(text)
