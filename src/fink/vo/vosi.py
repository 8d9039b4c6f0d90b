"""What the TAP service says of itself (VOSI 1.1): its capabilities, its tables, whether it is there, and examples of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from starlette.responses import Response

from fink.codecs.votable import vo_type, vo_unit
from fink.columns import Column
from fink.config import VoSettings
from fink.errors import NotFoundError, did_you_mean
from fink.vo.documents import element, xml
from fink.vo.expressions import FUNCTIONS, GEOMETRIES
from fink.vo.tables import KEYS, SURVEYS, Table, is_indexed, shown_name
from fink.vo.tap import FORMATS

_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_FEATURES = "ivo://ivoa.net/std/TAPRegExt#features"
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "adql-string": ("LOWER", "UPPER", "ILIKE"),
    "adql-sets": ("UNION", "EXCEPT", "INTERSECT"),
    "adql-common-table": ("WITH",),
    "adql-type": ("CAST",),
    "adql-conditional": ("COALESCE",),
    "adql-offset": ("OFFSET",),
}
_ARGUMENTS = {"ivo_hashlist_has": "hashlist VARCHAR, item VARCHAR", "ivo_nocasematch": "value VARCHAR, pattern VARCHAR"}


def availability() -> Response:
    """Say that the service is there."""
    return xml(
        '<vosi:availability xmlns:vosi="http://www.ivoa.net/xml/VOSIAvailability/v1.0">\n'
        "<vosi:available>true</vosi:available>\n</vosi:availability>\n"
    )


def capabilities(base: str, settings: VoSettings) -> Response:
    """Say what the service can do.

    Parameters
    ----------
    base
        Address of the server.
    """
    spaces = " ".join(
        f'xmlns:{name}="http://www.ivoa.net/xml/{space}"'
        for name, space in (
            ("vosi", "VOSICapabilities/v1.0"),
            ("vr", "VOResource/v1.0"),
            ("vs", "VODataService/v1.1"),
            ("tr", "TAPRegExt/v1.0"),
        )
    )
    own = "\n".join(
        f'<capability standardID="ivo://ivoa.net/std/{standard}">\n{_interface(f"{base}/tap/{path}", "full")}</capability>'
        for standard, path in (("VOSI#capabilities", "capabilities"), ("VOSI#availability", "availability"), ("VOSI#tables-1.1", "tables"))
    )
    page = _interface(f"{base}/tap/examples", "full", "vr:WebBrowser")
    examples = f'<capability standardID="ivo://ivoa.net/std/DALI#examples">\n{page}</capability>'
    links = "\n".join(
        f'<capability standardID="ivo://ivoa.net/std/DataLink#links-1.1">\n{_interface(f"{base}/datalink/{s}/{kind}", "base")}</capability>'
        for s in SURVEYS
        for kind in ("alert", "object")
    )
    return xml(f"<vosi:capabilities {spaces} {_XSI}>\n{_tap(base, settings)}\n{own}\n{examples}\n{links}\n</vosi:capabilities>\n")


def _interface(url: str, use: str, kind: str = "vs:ParamHTTP") -> str:
    attributes = f'xsi:type="{kind}"' + (' role="std" version="1.1"' if kind == "vs:ParamHTTP" else "")
    return f'<interface {attributes}>\n<accessURL use="{use}">{escape(url)}</accessURL>\n</interface>\n'


def _tap(base: str, settings: VoSettings) -> str:
    geometry = _features(f"{_FEATURES}-adqlgeo", ((name, "") for name in GEOMETRIES))
    own = ((name, function) for name, function in FUNCTIONS.items() if function.about)
    functions = _features(f"{_FEATURES}-udf", ((f"{name}({_ARGUMENTS[name]}) -> INTEGER", function.about) for name, function in own))
    optional = "\n".join(_features(f"{_FEATURES}-{name}", ((word, "") for word in words)) for name, words in _OPTIONAL.items())
    versions = "\n".join(f'<version ivo-id="ivo://ivoa.net/std/ADQL#v{number}">{number}</version>' for number in ("2.0", "2.1"))
    formats = "\n".join(
        f"<outputFormat{_identity(form.identity)}>\n{element('mime', form.media_type)}\n{element('alias', form.names[0])}\n</outputFormat>"
        for form in FORMATS
    )
    return (
        f'<capability standardID="ivo://ivoa.net/std/TAP" xsi:type="tr:TableAccess">\n{_interface(f"{base}/tap", "base")}'
        f"<language>\n<name>ADQL</name>\n{versions}\n<description>ADQL, of which only SELECT</description>\n"
        f"{geometry}\n{functions}\n{optional}\n</language>\n{formats}\n"
        f"<executionDuration>\n<default>{settings.seconds:.0f}</default>\n<hard>{settings.seconds:.0f}</hard>\n</executionDuration>\n"
        f'<outputLimit>\n<default unit="row">{settings.rows}</default>\n<hard unit="row">{settings.most_rows}</hard>\n</outputLimit>\n'
        "</capability>"
    )


def _identity(identity: str) -> str:
    return f" ivo-id={quoteattr(identity)}" if identity else ""


def _features(kind: str, forms: Iterable[tuple[str, str]]) -> str:
    inside = "\n".join(f"<feature>{element('form', form)}{element('description', about)}</feature>" for form, about in forms)
    return f'<languageFeatures type="{kind}">\n{inside}\n</languageFeatures>'


def tableset(tables: Mapping[str, Table], *, name: str = "", brief: bool = False) -> Response:
    """Describe all tables, or one.

    Parameters
    ----------
    name
        The table's full name.
    brief
        Whether columns are left out.

    Raises
    ------
    NotFoundError
        If there is no such table.
    """
    spaces = f'xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0" xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" {_XSI}'
    if name:
        if name.lower() not in tables:
            raise NotFoundError(f"there is no table {name[:80]}{did_you_mean(name, tables)}")
        return xml(_table(tables[name.lower()], brief=False, tag="vosi:table", spaces=f"{spaces} "))
    schemas: dict[str, list[Table]] = {}
    for table in tables.values():
        schemas.setdefault(table.schema, []).append(table)
    inside = "".join(
        f"<schema>\n{element('name', schema)}\n{''.join(_table(table, brief=brief) for table in those)}</schema>\n"
        for schema, those in schemas.items()
    )
    return xml(f"<vosi:tableset {spaces}>\n{inside}</vosi:tableset>\n")


def _table(table: Table, *, brief: bool, tag: str = "table", spaces: str = "") -> str:
    columns = "" if brief else "".join(_column(table, column) for column in table.columns.values())
    keys = [key for key in KEYS if key.from_table == table.full_name and not brief]
    foreign = "".join(
        f"<foreignKey>{element('targetTable', key.target_table)}<fkColumn>{element('fromColumn', key.from_column)}"
        f"{element('targetColumn', key.target_column)}</fkColumn>{element('description', key.about)}</foreignKey>\n"
        for key in keys
    )
    kind = "view" if table.kind == "objects" else "table"
    about = f"{element('name', table.full_name)}{element('description', table.about)}"
    return f'<{tag} {spaces}type="{kind}">\n{about}\n{columns}{foreign}</{tag}>\n'


def _column(table: Table, column: Column) -> str:
    datatype, size = vo_type(column.type)
    array = f' arraysize="{size}"' if size else ""
    flags = ("<flag>indexed</flag>" if is_indexed(table, column) else "") + ("<flag>principal</flag>" if column.indexed else "")
    standard = ' std="true"' if table.kind == "metadata" else ""
    return (
        f"<column{standard}>{element('name', shown_name(column))}{element('description', column.about)}"
        f"{element('unit', vo_unit(column.unit))}{element('ucd', column.ucd)}"
        f'<dataType xsi:type="vs:VOTableType"{array}>{datatype}</dataType>{flags}</column>\n'
    )


@dataclass(frozen=True)
class Example:
    """A query to begin with."""

    name: str
    about: str
    query: str


EXAMPLES = (
    Example(
        "Objects around a position",
        "A cone search. Positions are found by the index, so it is quick whatever the archive holds.",
        "SELECT object_id, ra, dec, mjd, band, mag, n_alerts\nFROM lsst.objects\n"
        "WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 150.1, 2.2, 0.1))\nORDER BY mjd DESC",
    ),
    Example(
        "Alerts of one object",
        "What the survey and the science modules said of an object, alert by alert.",
        "SELECT mjd, band, mag, mag_err, mag_rate, fink_class\nFROM ztf.alerts\nWHERE object_id = 'ZTF18aaqjyon'\nORDER BY mjd",
    ),
    Example(
        "The brightest sources of a night",
        "All alerts of a night are read from the lake.",
        "SELECT TOP 20 object_id, ra, dec, band, mag\nFROM ztf.alerts\nWHERE night = 20251101 AND real_score > 0.5\nORDER BY mag",
    ),
    Example(
        "One source in both surveys",
        "Objects of LSST with one of ZTF within an arcsecond, in a small field.",
        "SELECT l.object_id AS lsst_id, z.object_id AS ztf_id, l.mag, z.mag\n"
        "FROM lsst.objects AS l JOIN ztf.objects AS z\n"
        "ON 1 = CONTAINS(POINT('ICRS', l.ra, l.dec), CIRCLE('ICRS', z.ra, z.dec, 1 / 3600.))\n"
        "WHERE 1 = CONTAINS(POINT('ICRS', l.ra, l.dec), CIRCLE('ICRS', 150.1, 2.2, 0.5))\n"
        "AND 1 = CONTAINS(POINT('ICRS', z.ra, z.dec), CIRCLE('ICRS', 150.1, 2.2, 0.5))",
    ),
    Example(
        "Columns about host galaxies",
        "TAP_SCHEMA says what columns there are, with units and meanings.",
        "SELECT column_name, unit, description\nFROM tap_schema.columns\nWHERE table_name = 'lsst.alerts' AND description LIKE '%galaxy%'",
    ),
)


def examples() -> Response:
    """Show examples, as DALI 1.1 has them: a page for people that programs can read."""
    inside = "\n".join(
        f'<div typeof="example" id="e{i}" resource="#e{i}">\n<h2 property="name">{escape(each.name)}</h2>\n'
        f'<p>{escape(each.about)}</p>\n<pre property="query">{escape(each.query)}</pre>\n</div>'
        for i, each in enumerate(EXAMPLES)
    )
    page = (
        '<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" lang="en">\n<head><title>Queries to begin with</title></head>\n'
        f'<body vocab="http://www.ivoa.net/rdf/examples#">\n<h1>Queries to begin with</h1>\n{inside}\n</body>\n</html>\n'
    )
    return Response(page.encode(), media_type="application/xhtml+xml; charset=utf-8")
