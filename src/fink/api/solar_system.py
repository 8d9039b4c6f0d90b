"""Routes of solar-system objects: their alerts, all their light curves, and what is derived of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from fink.api.answers import Answer, PartsAnswer, TableAnswer
from fink.api.arguments import Argument
from fink.api.routes import COLUMNS, OUTPUT, TABLE, Question, Route
from fink.api.stamps import KIND_OF_STAMPS, WITH_STAMPS, stamps_beside
from fink.columns import COLUMNS as CORE
from fink.columns import Column
from fink.errors import RequestError
from fink.services import searches
from fink.services.designations import pack, unpack
from fink.services.names import designations_of
from fink.services.searches import NEEDED

_TEXT, _INT, _REAL, _WHOLE = pa.string(), pa.int32(), pa.float64(), pa.int64()


def alerts_of(question: Question) -> Answer:
    """Give the alerts of solar-system objects in order of time."""
    for name in ("withEphem", "withResiduals"):
        if question.values.get(name):
            raise RequestError(
                f"{name} = true is not possible: this server computes no ephemerides; leave it out, and ask Miriade (IMCCE) for them"
            )
    names = question.wanted(always=("sso_name",))
    found = {name: _designations(question, name) for name in question["n_or_d"]}
    unknown = [name for name, known in found.items() if not known and not _is_designation(name)]
    if unknown:
        raise RequestError(f"n_or_d = {', '.join(unknown)!r} cannot be resolved; write a number, a name or a designation, as 2004 RB55")
    designations = list(dict.fromkeys(each for known in found.values() for each in known))
    rows = searches.of_solar_system(question.archive, question.survey, designations, (*NEEDED, "sso_name"))
    if not rows.num_rows:
        question.warnings.append(f"the archive has no alert of {', '.join(question['n_or_d'])} from {question.survey}")
    return question.listed(rows, names, partial(_names_beside, question))


def _designations(question: Question, name: str) -> list[str]:
    return designations_of(name, question.archive, question.settings)


def _is_designation(name: str) -> bool:
    """Say whether a text is of the form of a number or a designation, seen or not."""
    comet = re.fullmatch(r"(?:\d+[PDI]|[PCDXAI]/.+)", name.strip())
    return pack(name) is not None or unpack(name) is not None or comet is not None


def _names_beside(question: Question, alerts: pa.Table) -> dict[str, tuple[pa.ChunkedArray, Column]]:
    """Give name and number of the object as the survey's users know them, and the stamps."""
    names = alerts["sso_name"] if "sso_name" in alerts.column_names else pa.chunked_array([pa.nulls(alerts.num_rows, _TEXT)])
    if question.survey == "lsst":
        return {"f:sso_name": (names, CORE["sso_name"])}
    numbers = pa.array([name if name and name.isdigit() else None for name in names.to_pylist()], _TEXT)
    number = Column("sso_number", _TEXT, "", "meta.id", "Number of the minor planet, where the survey names it by its number")
    found = {"sso_name": (names, CORE["sso_name"]), "sso_number": (pa.chunked_array([numbers]), number)}
    return found | stamps_beside(question, alerts)


_BULK = (
    Column("ssnamenr", _TEXT, "", "meta.id;meta.main", "Designation as ZTF writes it"),
    Column("cra", _REAL, "deg", "pos.eq.ra", "Right ascensions"),
    Column("cdec", _REAL, "deg", "pos.eq.dec", "Declinations"),
    Column("cmagpsf", pa.float32(), "mag", "phot.mag", "Magnitudes"),
    Column("csigmapsf", pa.float32(), "mag", "stat.error;phot.mag", "Their one-sigma errors"),
    Column("cfid", _INT, "", "instr.bandpass", "Bands: 1 for g, 2 for r, 3 for i"),
    Column("cjd", _REAL, "d", "time.start", "Starts of the exposures, JD in UTC"),
)
_BULK_VALUES = ("ra", "dec", "mag", "mag_err", "CASE band WHEN 'g' THEN 1 WHEN 'r' THEN 2 WHEN 'i' THEN 3 END", "ztf_jd")


def bulk(question: Question) -> Answer:
    """Give the light curves of all solar-system objects, a row each."""
    if question["output-format"] not in ("parquet", "json"):
        question.warnings.append(f"{question['output-format']} holds no lists: only names are given; ask for parquet or json")
    count = question.archive.sql(f"SELECT count(DISTINCT sso_name) AS n FROM alerts WHERE {_OF_ZTF}")["n"][0].as_py()
    schema = pa.schema([(_BULK[0].name, _TEXT), *((column.name, pa.list_(column.type)) for column in _BULK[1:])])
    archive = question.archive

    def parts() -> Iterator[pa.Table]:
        if not count:
            return
        lists = ", ".join(f"list({value} ORDER BY mjd, alert_id) AS {c.name}" for c, value in zip(_BULK[1:], _BULK_VALUES, strict=True))
        text = f"SELECT sso_name AS ssnamenr, {lists} FROM alerts WHERE {_OF_ZTF} GROUP BY sso_name ORDER BY sso_name"
        for part in archive.parts(text, 2000):
            yield pa.table([part[field.name].cast(field.type) for field in schema], schema=schema)

    return PartsAnswer(parts, schema, count, {column.name: column for column in _BULK})


_OF_ZTF = "survey = 'ztf' AND sso_name IS NOT NULL"

_ORBITS = ("a", "e", "i", "long. node", "arg. peric", "mean anomaly")


def _column(name: str, type_: pa.DataType, unit: str, ucd: str, about: str) -> tuple[str, Column]:
    """Give a public name, and what it means."""
    return name, Column(re.sub("[^a-z0-9]+", "_", name.lower()), type_, unit, ucd, about)


_CANDIDATES: dict[str, tuple[tuple[str, Column], ...]] = {
    "orbParams": (
        _column("ssoCandId", _TEXT, "", "meta.id;meta.main", "Candidate"),
        _column("trajectory_id", _INT, "", "meta.id", "Trajectory that its orbit is of"),
        _column("ref_epoch", _REAL, "d", "time.epoch", "Epoch of the elements, JD"),
        *(
            _column(name, _REAL, "AU" if name == "a" else "" if name == "e" else "deg", "src.orbital", f"Element {name}")
            for name in _ORBITS
        ),
        *(_column(f"rms_{name}", _REAL, "", "stat.error;src.orbital", f"Error of the element {name}") for name in _ORBITS),
        _column("chi_reduced", _REAL, "", "stat.fit.chi2", "Reduced chi squared of the orbit"),
    ),
    "lightcurves": (
        _column("ssoCandId", _TEXT, "", "meta.id;meta.main", "Candidate"),
        _column("objectId", _TEXT, "", "meta.id", "Object of the alert"),
        _column("candid", _WHOLE, "", "meta.id", "Number of the alert"),
        _column("ra", _REAL, "deg", "pos.eq.ra", "Right ascension"),
        _column("dec", _REAL, "deg", "pos.eq.dec", "Declination"),
        _column("jd", _REAL, "d", "time.start", "Start of the exposure, JD"),
        _column("fid", _INT, "", "instr.bandpass", "Band: 1 for g, 2 for r, 3 for i"),
        _column("magpsf", _REAL, "mag", "phot.mag", "Magnitude"),
        _column("sigmapsf", _REAL, "mag", "stat.error;phot.mag", "One-sigma error of the magnitude"),
    ),
}


def candidates(question: Question) -> Answer:
    """Give orbits or light curves of candidates that were linked over nights; there are none until something links them."""
    return nothing_yet(
        question, {f"d:{name}": column for name, column in _CANDIDATES[question["kind"]]}, "nothing links moving candidates yet"
    )


def nothing_yet(question: Question, columns: dict[str, Column], why: str) -> TableAnswer:
    """Give a table without rows and with the right columns, and say why it is empty."""
    question.warnings.append(f"the answer is empty: {why}")
    names = question.wanted(columns)
    return TableAnswer(pa.schema([(name, column.type) for name, column in names.items()]).empty_table(), names)


_MODELS = {"SHG1G2": ("H", "G1", "G2"), "HG1G2": ("H", "G1", "G2"), "HG": ("H", "G"), "SOCCA": ("H", "G1", "G2")}
_SPIN = {
    "SHG1G2": ("R", "alpha0", "delta0", "obliquity"),
    "SOCCA": ("period", "a_b", "a_c", "phi0", "alpha0", "delta0", "obliquity"),
}


def _parameters(flavor: str) -> dict[str, Column]:
    """Give the columns of the table of parameters of a model."""
    fitted = [*(f"{name}_{band}" for name in _MODELS[flavor] for band in (1, 2)), *_SPIN.get(flavor, ())]
    columns = [
        _column("ssnamenr", _TEXT, "", "meta.id;meta.main", "Designation as ZTF writes it"),
        _column("sso_name", _TEXT, "", "meta.id", "Name"),
        _column("sso_number", _WHOLE, "", "meta.id", "Number"),
        _column("last_jd", _REAL, "d", "time.end", "Last exposure that the fit is of, JD"),
        *(_column(name, _REAL, "", "src.phase", f"Parameter {name} of the model {flavor}") for name in fitted),
        *(_column(f"err_{name}", _REAL, "", "stat.error", f"One-sigma error of {name}") for name in fitted),
        *(_column(name, _REAL, "deg", "src.phase", about) for name, about in _PHASES),
        *(_column(name, _INT, "", "meta.number", about) for name, about in _COUNTS),
        _column("rms", _REAL, "mag", "stat.fit.residual", "Scatter around the model"),
        _column("chi2red", _REAL, "", "stat.fit.chi2", "Reduced chi squared"),
        _column("fit", _INT, "", "meta.code", "0 where the fit converged"),
        _column("status", _INT, "", "meta.code", "How the fit ended"),
        _column("flag", _INT, "", "meta.code.qual", "Quality of the fit"),
        _column("version", _TEXT, "", "meta.version", "Month of the table, YYYY.MM"),
    ]
    return dict(columns)


_PHASES = (("min_phase", "Smallest phase angle"), ("max_phase", "Largest phase angle"))
_COUNTS = (
    ("n_obs", "Observations"),
    ("n_obs_1", "Observations in g"),
    ("n_obs_2", "Observations in r"),
    ("n_days", "Days with observations"),
)


def parameters(question: Question) -> Answer:
    """Give phase and spin parameters of solar-system objects; there are none until something fits them."""
    if question["version"] and (not re.fullmatch(r"20\d\d\.(0[1-9]|1[0-2])", question["version"]) or question["version"] < "2023.07"):
        raise RequestError(f"version = {question['version']!r} is no month of the table; write it as 2023.07, which is the first")
    columns = _parameters(question["flavor"])
    if question["schema"]:
        return {name: {"type": str(c.type), "doc": c.about, "unit": c.unit} for name, c in columns.items()}
    return nothing_yet(question, columns, "no phase curves are fitted yet")


def tracklets(question: Question) -> Answer:
    """Give the alerts of tracklets of a night; there are none until something finds them."""
    name, date = question["id"], question["date"]
    if name and not re.fullmatch(r"TRCK_\d{8}_\d{6}_\d{2}", name):
        raise RequestError(f"id = {name!r} is no tracklet; they are called as TRCK_20231213_133612_00")
    if not name and date is None:
        raise RequestError("date and id are missing; name a night or a tracklet")
    tracklet = Column("tracklet", _TEXT, "", "meta.id", "Name of the tracklet")
    return nothing_yet(question, {**question.public, "d:tracklet": tracklet}, "nothing finds tracklets yet")


def _routes() -> tuple[Route, ...]:
    name = Argument("n_or_d", "list", "Number, name or designation, packed or not, or several", required=True, example="")
    ephemerides = Argument("withEphem", "flag", "Ephemerides beside each alert; this server gives none", default=False)
    residuals = Argument("withResiduals", "flag", "Residuals to the phase curve; this server gives none", default=False)
    of_ztf = (name, ephemerides, residuals, WITH_STAMPS, KIND_OF_STAMPS, *TABLE)
    in_bulk = Argument("output-format", "choice", OUTPUT.about, default="parquet", choices=OUTPUT.choices, example="parquet")
    what = Argument("kind", "choice", "Orbits or light curves", required=True, choices=("orbParams", "lightcurves"), example="orbParams")
    start, stop = (Argument(f"{end}_date", "time", about) for end, about in (("start", "From this time on"), ("stop", "Up to this time")))
    most = Argument("maxnumber", "integer", "Rows at most", default=10_000, least=1, most=1_000_000)
    linked = (what, Argument("ssoCandId", "text", "Only this candidate"), start, stop, most, *TABLE)
    fits = (
        Argument("sso_name", "text", "Only the object of this name"),
        Argument("sso_number", "text", "Only the object of this number"),
        Argument("schema", "flag", "Whether the columns are described, and no values given", default=False),
        Argument("flavor", "choice", "Model", default="SHG1G2", choices=tuple(_MODELS), example="SHG1G2"),
        Argument("version", "text", "Month of the table, YYYY.MM"),
        COLUMNS,
        in_bulk,
    )
    night = Argument("date", "time", "Night of the tracklet")
    identity = Argument("id", "text", "Name of the tracklet", example="TRCK_20231213_133612_00")
    return (
        Route(
            "/sso", "Every alert of solar-system objects, in order of time", (name, ephemerides, residuals, *TABLE), alerts_of, ("lsst",)
        ),
        Route("/sso", "Every alert of solar-system objects, in order of time", of_ztf, alerts_of, ("ztf",)),
        Route("/ssobulk", "Light curves of all solar-system objects, a row each", (in_bulk,), bulk, ("ztf",), bare=True),
        Route("/ssocand", "Candidates of unknown solar-system objects", linked, candidates, ("ztf",)),
        Route("/ssoft", "Phase and spin parameters of solar-system objects", fits, parameters, ("ztf",)),
        Route("/tracklet", "Alerts of tracklets: what moved fast through one night", (night, identity, *TABLE), tracklets, ("ztf",)),
    )


ROUTES = _routes()
