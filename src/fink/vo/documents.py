"""What every service of this kind sends: VOTables that say how a question ended, and where more is to be had of each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
from starlette.responses import Response

from fink.codecs.votable import Dressing, Info, field_id, write_error, write_votable
from fink.columns import Column
from fink.errors import ArchiveError, BusyError, FinkError, NotFoundError
from fink.vo.tables import Table

VOTABLE = "application/x-votable+xml"
LINKS = "ivo://ivoa.net/std/DataLink#links-1.1"

_SYSTEMS = {
    "icrs": '<COOSYS ID="icrs" system="ICRS"/>',
    "tai": '<TIMESYS ID="tai" timeorigin="2400000.5" timescale="TAI" refposition="TOPOCENTER"/>',
}
_SYSTEM_OF = {"ra": "icrs", "dec": "icrs", "mjd": "tai", "first_mjd": "tai"}


def references(meanings: Mapping[str, Column]) -> dict[str, str]:
    """Say which columns are positions and times, by the ID of their system."""
    return {name: _SYSTEM_OF[column.name] for name, column in meanings.items() if column.name in _SYSTEM_OF}


def document(
    table: pa.Table,
    meanings: Mapping[str, Column],
    *,
    about: str,
    overflow: bool = False,
    binary: bool = False,
    infos: Iterable[Info] = (),
    behind: str = "",
) -> bytes:
    """Write the answer to a question.

    Parameters
    ----------
    meanings
        Declarations by the table's names.
    overflow
        Whether there would be more rows.
    infos
        Further remarks.
    behind
        Further resources.
    """
    last = [Info("QUERY_STATUS", "OVERFLOW", "there are more rows than were asked for or may be given; see MAXREC")] if overflow else []
    refs = references(meanings)
    remarks = (Info("QUERY_STATUS", "OK"), *infos)
    heading = "\n".join(text for name, text in _SYSTEMS.items() if name in refs.values())
    dressing = Dressing("1.4", binary, about, remarks, last, heading, behind, refs=refs)
    return write_votable(table, meanings, dressing)


def links_service(survey: str, kind: Literal["alert", "object"], column: str, base: str) -> str:
    """Describe the DataLink service of a column with alerts' or objects' ids, so that programs can follow each row.

    Parameters
    ----------
    column
        Name of the column in the table.
    base
        Address of the server, without a slash behind.
    """
    what = "Stamps and light curve of the alert" if kind == "alert" else "Light curve of the object, and stamps of its last alert"
    return (
        f'<RESOURCE type="meta" utype="adhoc:service" name="links_{kind}">\n<DESCRIPTION>{what}</DESCRIPTION>\n'
        f'<PARAM name="standardID" datatype="char" arraysize="*" value="{LINKS}"/>\n'
        f'<PARAM name="accessURL" datatype="char" arraysize="*" value={quoteattr(f"{base}/datalink/{survey}/{kind}")}/>\n'
        f'<GROUP name="inputParams">\n<PARAM name="ID" datatype="char" arraysize="*" value="" ref={quoteattr(field_id(column))}/>\n'
        "</GROUP>\n</RESOURCE>\n"
    )


def services_of(columns: Iterable[tuple[str, Column | None, Table | None]], base: str) -> str:
    """Describe the DataLink services of an answer's columns: name in the answer, column, table that it is of."""
    found: list[tuple[bool, int, str]] = []
    for name, column, table in columns:
        if column is not None and table is not None and table.has_sky and column.name in ("alert_id", "object_id"):
            kind: Literal["alert", "object"] = "alert" if column.name == "alert_id" else "object"
            # programs follow the first service: that of what a row is
            first = f"{kind}s" == table.kind
            found.append((not first, len(found), links_service(table.schema, kind, name, base)))
    return "".join(text for *_, text in sorted(found)[:2])


def problem(error: FinkError) -> Response:
    """Say as a VOTable what went wrong (DALI 1.1, section 4.2)."""
    status = status_of(error)
    headers = {"Retry-After": "5"} if status == 503 else {}
    return Response(write_error([Info("QUERY_STATUS", "ERROR", str(error))]), status, headers, media_type=VOTABLE)


def status_of(error: FinkError) -> int:
    """Give the HTTP status of an error: a wrong question unless it is one of ours."""
    return {NotFoundError: 404, BusyError: 503, ArchiveError: 500}.get(type(error), 400)


def xml(body: str, style: str = "") -> Response:
    """Send an XML document."""
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{style}{body}'.encode(), media_type="text/xml")


def element(name: str, text: str) -> str:
    """Write a simple element, nothing where there is no text."""
    return f"<{name}>{escape(text)}</{name}>" if text else ""
