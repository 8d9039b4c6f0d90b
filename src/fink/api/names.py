"""The route that resolves names: of transients, of catalogued sources, of solar-system objects, one way or the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from fink import catalogs
from fink.api.answers import Answer, TableAnswer
from fink.api.arguments import Argument
from fink.api.routes import COLUMNS, OUTPUT, Question, Route
from fink.columns import Column
from fink.services.names import Found, designations_of, resolve

_TEXT, _NUMBER = pa.string(), pa.float64()
_PLACE = (
    Column("ra", _NUMBER, "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS"),
    Column("dec", _NUMBER, "deg", "pos.eq.dec;meta.main", "Declination, ICRS"),
)
_OBJECTS = Column("objects", _TEXT, "", "meta.id", "The archive's objects of this survey at this place, with commas between")


def resolver(question: Question) -> Answer:
    """Give what a name stands for, or with ``reverse`` the names of what a survey's id stands for."""
    text = str(question.values.get("name_or_id") or question.values.get("name") or "")
    kind = question["resolver"]
    if kind == "ssodnet":
        return _solar_system(question, text)
    origins = frozenset({"tns"}) if kind == "tns" else frozenset({"simbad", "sesame", *(catalogs.registry().keys() - {"tns"})})
    if question["reverse"] and kind == "simbad":
        return _reversed(question, text)
    found = resolve(text, question.archive, question.settings, origins=origins, limit=question["nmax"], beginnings=kind == "tns")
    if not found:
        question.warnings.append(_why_nothing(question, kind))
    return _of_tns(question, found) if kind == "tns" else _of_catalogues(question, found)


def _why_nothing(question: Question, kind: str) -> str:
    installed = (question.settings.artifacts / catalogs.FOLDER / kind / "current").exists()
    return "no table that is installed has this name" if installed else f"the catalogue {kind} is not installed on this server"


def _mine(question: Question, found: Found) -> str:
    return ",".join(each["object_id"] for each in found.objects if each["survey"] == question.survey)


def _of_tns(question: Question, found: list[Found]) -> Answer:
    prefix = "d:" if question.survey == "ztf" else "f:"
    columns: dict[str, tuple[Sequence[object], Column]] = {
        "declination": ([each.dec for each in found], _PLACE[1]),
        "fullname": ([each.name for each in found], Column("name", _TEXT, "", "meta.id;meta.main", "IAU name of the transient")),
        "internalname": ([",".join(each.aliases) for each in found], Column("alias", _TEXT, "", "meta.id", "Names that surveys gave it")),
        "ra": ([each.ra for each in found], _PLACE[0]),
        "type": ([each.type for each in found], Column("type", _TEXT, "", "src.class", "Spectral type; null where it has none")),
        "redshift": ([each.redshift for each in found], Column("redshift", _NUMBER, "", "src.redshift", "Redshift")),
        "objects": ([_mine(question, each) for each in found], _OBJECTS),
    }
    return _table(question, {prefix + name: values for name, values in columns.items()})


def _of_catalogues(question: Question, found: list[Found]) -> Answer:
    return _table(
        question,
        {
            "oname": ([each.name for each in found], Column("name", _TEXT, "", "meta.id;meta.main", "Name of the source in its catalogue")),
            "otype": ([each.type for each in found], Column("type", _TEXT, "", "src.class", "Type of the source")),
            "jradeg": ([each.ra for each in found], _PLACE[0]),
            "jdedeg": ([each.dec for each in found], _PLACE[1]),
            "z": ([each.redshift for each in found], Column("redshift", _NUMBER, "", "src.redshift", "Redshift")),
            "catalogue": ([each.origin for each in found], Column("origin", _TEXT, "", "meta.id", "Catalogue that has the name")),
            "objects": ([_mine(question, each) for each in found], _OBJECTS),
        },
    )


def _reversed(question: Question, text: str) -> Answer:
    """Give what SIMBAD says of an object of the survey."""
    names = ["object_id", "ra", "dec", "simbad_name", "simbad_type"]
    own = {name: column for name, column in question.public.items() if column.name in names}
    alerts = question.archive.object_alerts(text, question.survey)
    rows = question.archive.wide(alerts.slice(alerts.num_rows - 1), [*names, "survey", "night", "alert_id"]) if alerts.num_rows else alerts
    return question.table(rows, question.wanted(own))


def _solar_system(question: Question, text: str) -> Answer:
    """Give number, name and designation of solar-system objects, and how the survey writes them."""
    origins = frozenset({"solar system"})
    found = resolve(text, question.archive, question.settings, origins=origins, limit=question["nmax"]) if text else []
    rows: list[tuple[Found, str | None]] = []
    for each in found:
        rows += [(each, one["object_id"]) for one in each.objects] or [(each, None)]
    prefix = "i:" if question.survey == "ztf" else "r:"
    designation = "ssnamenr" if question.survey == "ztf" else "mpcDesignation"
    numbers = [next((alias for alias in (*each.aliases, each.name) if alias.isdigit()), None) for each, _ in rows]
    columns: dict[str, tuple[Sequence[object], Column]] = {
        "name": ([each.name for each, _ in rows], Column("name", _TEXT, "", "meta.id;meta.main", "Name or designation")),
        "number": (numbers, Column("number", _TEXT, "", "meta.id", "Number of the minor planet")),
        "source": ([each.origin for each, _ in rows], Column("origin", _TEXT, "", "meta.ref", "Who says so")),
        designation: ([name for _, name in rows], Column("designation", _TEXT, "", "meta.id", "As the survey writes it")),
    }
    if question["reverse"] and not designations_of(text, question.archive, question.settings):
        question.warnings.append(f"the archive has no alert of {text}")
    return _table(question, {prefix + name: values for name, values in columns.items()})


def _table(question: Question, columns: Mapping[str, tuple[Sequence[object], Column]]) -> TableAnswer:
    asked = question.wanted({name: column for name, (_, column) in columns.items()})
    table = pa.table({name: pa.array(columns[name][0], columns[name][1].type) for name in asked})
    return TableAnswer(table, asked)


def _routes() -> tuple[Route, ...]:
    kind = Argument("resolver", "choice", "Who is asked", required=True, choices=("simbad", "ssodnet", "tns"), example="tns")
    reverse = Argument("reverse", "flag", "Whether an id of the survey is given, and names are wanted", default=False)
    most = Argument("nmax", "integer", "Rows at most", default=10, least=1, most=10_000, example=10)
    about = "What a name stands for: a transient, a catalogued source, a solar-system object"
    name = Argument("name", "text", "Name, number, designation or id; its beginning is enough for tns", required=True, example="SN 2024")
    either = Argument("name_or_id", "text", name.about, required=True, example="SN 2024")
    rest = (reverse, most, COLUMNS, OUTPUT)
    return (
        Route("/resolver", about, (kind, name, *rest), resolver, ("ztf",)),
        Route("/resolver", about, (kind, either, *rest), resolver, ("lsst",)),
    )


ROUTES = _routes()
