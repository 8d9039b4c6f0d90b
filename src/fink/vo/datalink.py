"""DataLink 1.1 (https://www.ivoa.net/documents/DataLink/): what there is to an alert or an object, and light curves as VOTables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote, urlencode

import pyarrow as pa

from fink import surveys
from fink.archive.declarations import POINT_COLUMNS
from fink.archive.embedded import EmbeddedArchive
from fink.codecs.cutouts import unpack
from fink.codecs.votable import Dressing, Info, write_votable
from fink.columns import Column
from fink.errors import NotFoundError, RequestError
from fink.tables import STAMPS
from fink.vo.documents import LINKS, VOTABLE, document

MEDIA_TYPE = f"{VOTABLE};content=datalink"
MOST_IDS = 100
"""Alerts or objects in one question at most."""

_S, _L = pa.string(), pa.int64()
_COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        Column("id", _S, "", "meta.id;meta.main", "The alert or object that was asked for"),
        Column("access_url", _S, "", "meta.ref.url", "Where the data are"),
        Column("service_def", _S, "", "meta.ref", "Service that gives the data; none is used here"),
        Column("error_message", _S, "", "meta.code.error", "Why there are none"),
        Column("description", _S, "", "meta.note", "What they are"),
        Column("semantics", _S, "", "meta.code", "How they relate to what was asked for"),
        Column("content_type", _S, "", "meta.code.mime", "Kind of file"),
        Column("content_length", _L, "byte", "phys.size;meta.file", "Length of the file"),
        Column("content_qualifier", _S, "", "meta.code", "Kind of product"),
    )
}

Row = dict[str, Any]


def links(archive: EmbeddedArchive, survey: str, kind: Literal["alert", "object"], ids: Sequence[str], base: str) -> bytes:
    """Say what there is to alerts or objects.

    Parameters
    ----------
    ids
        Their numbers or names.
    base
        Address of the server.

    Raises
    ------
    RequestError
        If none, or too many, are asked for.
    """
    wanted = [text.strip() for text in ids if text.strip()]
    if not wanted:
        raise RequestError(f"ID is missing; give the {'number of an alert' if kind == 'alert' else 'name of an object'}")
    if len(wanted) > MOST_IDS:
        raise RequestError(f"{len(wanted)} IDs are more than {MOST_IDS}; ask in parts")
    of_one: Callable[[EmbeddedArchive, str, str, str], Iterator[Row]] = _of_alert if kind == "alert" else _of_object
    rows = [{"id": name, **row} for name in dict.fromkeys(wanted) for row in of_one(archive, survey, name, base)]
    table = pa.Table.from_pylist(rows, pa.schema([(name, column.type) for name, column in _COLUMNS.items()]))
    names = ["ID" if name == "id" else name for name in table.column_names]
    meanings = {"ID" if name == "id" else name: column for name, column in _COLUMNS.items()}
    infos = (Info("standardID", LINKS), Info("QUERY_STATUS", "OK"))
    return write_votable(table.rename_columns(names), meanings, Dressing(about="Links to data", infos=infos))


def light_curve(archive: EmbeddedArchive, survey: str, name: str) -> bytes:
    """Write every point known of an object, each once, in order of time.

    Raises
    ------
    NotFoundError
        If the archive has no such object.
    """
    points = archive.light_curve(name, survey)
    if not points.num_rows:
        raise NotFoundError(f"the archive has no {survey} object {name[:80]!r}")
    kept = points.select([column for column in points.column_names if column in POINT_COLUMNS and column != "commit"])
    about = f"Light curve of {name}: difference fluxes of detections and forced photometry, and upper limits"
    meanings = {column: POINT_COLUMNS[column] for column in kept.column_names}
    return document(kept, meanings, about=about, infos=[Info("object_id", name), Info("survey", survey)])


def _fault(text: str) -> Row:
    return {"error_message": f"NotFoundFault: {text}", "semantics": "#this"}


def _of_object(archive: EmbeddedArchive, survey: str, name: str, base: str) -> Iterator[Row]:
    alerts = archive.object_alerts(name, survey)
    if not alerts.num_rows:
        # a cone search names an alert that belongs to no object by its number
        found = list(_of_alert(archive, survey, name, base))
        yield from [_fault(f"the archive has no {survey} object {name[:80]!r}")] if "error_message" in found[0] else found
        return
    last = alerts.sort_by([("mjd", "descending"), ("alert_id", "descending")]).slice(0, 1).to_pylist()[0]
    yield _query_row(
        f"SELECT * FROM {survey}.objects WHERE object_id = '{_quoted(name)}'", "The object: every column of its last alert", base
    )
    yield from _of_light_curve(survey, name, base)
    yield from _stamps(archive, survey, int(last["alert_id"]), base)
    yield _page(survey, name, base)


def _of_alert(archive: EmbeddedArchive, survey: str, text: str, base: str) -> Iterator[Row]:
    # a number is asked for, whatever a program that reads it from a table adds to it
    number = int(text) if text.lstrip("-").isdigit() and text.isascii() and len(text) < 20 else None
    alert = archive.alert(survey, number) if number is not None and -(2**63) <= number < 2**63 else None
    if alert is None or number is None:
        yield _fault(f"the archive has no {survey} alert {text[:80]!r}")
        return
    name = alert["object_id"] or alert["sso_name"]
    if alert["object_id"]:
        query = f"SELECT * FROM {survey}.alerts WHERE object_id = '{_quoted(name)}' AND alert_id = {number}"
    else:
        query = f"SELECT * FROM {survey}.alerts WHERE night = {alert['night']} AND alert_id = {number}"
    yield _query_row(query, "The alert: every column", base)
    if name:
        yield from _of_light_curve(survey, name, base)
    yield from _stamps(archive, survey, number, base)
    if alert["object_id"]:
        yield _page(survey, name, base)


def _query_row(query: str, about: str, base: str) -> Row:
    url = f"{base}/tap/sync?{urlencode({'LANG': 'ADQL', 'QUERY': query})}"
    return {"access_url": url, "description": about, "semantics": "#this", "content_type": VOTABLE}


def _quoted(name: str) -> str:
    return name.replace("'", "''")


def _of_light_curve(survey: str, name: str, base: str) -> Iterator[Row]:
    yield {
        "access_url": f"{base}/datalink/{survey}/lightcurve?{urlencode({'ID': name})}",
        "description": "Light curve: detections, forced photometry and upper limits",
        "semantics": "#auxiliary",
        "content_type": VOTABLE,
        "content_qualifier": "#timeseries",
    }


def _stamps(archive: EmbeddedArchive, survey: str, alert_id: int, base: str) -> Iterator[Row]:
    """Give the stamps of an alert, as FITS and as picture, or why there are none."""
    argument = surveys.registry()[survey].public_name("alert_id").rpartition(":")[2]
    for stamp in STAMPS:
        data = archive.stamp_bytes(survey, alert_id, stamp)
        if isinstance(data, str):
            yield {"error_message": f"NotFoundFault: {data}", "semantics": "#cutout", "description": f"{stamp} stamp"}
            continue
        asked = {argument: alert_id, "kind": stamp.capitalize()}
        address = f"{base}/{survey}/api/v1/cutouts?"
        yield {
            "access_url": address + urlencode({**asked, "output-format": "FITS"}),
            "description": f"{stamp.capitalize()} stamp",
            "semantics": "#cutout",
            "content_type": "application/fits",
            "content_length": len(unpack(data)),
            "content_qualifier": "#image",
        }
        yield {
            "access_url": address + urlencode(asked),
            "description": f"{stamp.capitalize()} stamp as a picture",
            "semantics": "#preview-image",
            "content_type": "image/png",
        }


def _page(survey: str, name: str, base: str) -> Row:
    url = f"{base}/{survey}/object/{quote(name, safe='')}"
    return {"access_url": url, "description": "Page of the object", "semantics": "#documentation", "content_type": "text/html"}
