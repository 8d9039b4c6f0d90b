"""Routes for jobs: any question of a table, SQL, or a large cross-match, asked now and fetched later as Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from fastapi import Depends, FastAPI, Query
from pydantic import Field, model_validator
from starlette.responses import FileResponse, Response

from fink import factory
from fink.api.access import needs
from fink.api.answers import FORMATS, PartsAnswer, TableAnswer, response_of
from fink.api.arguments import Argument, read_arguments
from fink.api.desk import UPLOAD, AtDesk, Body, Desk, Received, add, upload_named
from fink.api.registry import route_at
from fink.api.routes import Question, Route
from fink.api.transfers import send_selection, write_selection
from fink.archive.embedded import EmbeddedArchive
from fink.archive.rows import declared_columns
from fink.config import Settings
from fink.errors import FinkError, RequestError
from fink.services.access import Asker
from fink.services.crossmatch import Each, Upload, crossmatch
from fink.services.jobs import Job, Jobs, parts_of
from fink.services.uploads import ColumnNames, positions_of, radii_of, read_table

Orderer = Annotated[Asker, Depends(needs("order", costly=True))]
Reader = Annotated[Asker, Depends(needs("read"))]

KINDS = ("question", "sql", "crossmatch")
"""What is listed as a job; transfers have a list of their own."""

MOST_ROWS = 1_000_000
"""What a route's own limit of rows becomes in a job; SQL and transfers have none."""
ROWS_AT_ONCE = 10_000
"""Rows that are matched while the asker waits; more are a job."""


class NewJob(Body):
    """What is asked: a route with its arguments, or SQL."""

    path: str | None = Field(None, description="A route that gives a table", examples=["/ztf/api/v1/alerts"])
    arguments: dict[str, Any] = Field(default={}, description="Its arguments; n may be up to a million", examples=[{"where": "mag < 18"}])
    sql: str | None = Field(None, description="A SELECT over the tables alerts and points, in place of a route", examples=[None])
    days: float | None = Field(None, gt=0, description="Days that the result is kept")

    @model_validator(mode="after")
    def _one_of_two(self) -> NewJob:
        if (self.path is None) == (self.sql is None):
            raise ValueError("give either path and arguments, or sql")
        return self


def submit(asker: Orderer, desk: AtDesk, wanted: NewJob) -> Response:
    """Submit a question whose answer is large: a route with its arguments, or SQL."""
    if wanted.sql is not None:
        with desk.archive.reading() as reader:
            # what cannot be answered is told now, and not by a job that failed
            reader.sql(f"DESCRIBE {wanted.sql}")
        job = desk.jobs.order(asker, "sql", {"sql": wanted.sql}, days=wanted.days)
    else:
        assert wanted.path is not None
        default = desk.settings.serve.survey
        read_arguments(_without_limits(route_at(wanted.path, default)[0]), wanted.arguments)
        job = desk.jobs.order(asker, "question", {"path": wanted.path, "arguments": wanted.arguments, "default": default}, days=wanted.days)
    return response_of(job.summary(), status=202)


def listed(asker: Reader, desk: AtDesk) -> Response:
    """List your jobs, the newest first."""
    return response_of([job.summary() for job in desk.jobs.listed(asker, KINDS)])


def one(asker: Reader, desk: AtDesk, name: str) -> Response:
    """Say how a job stands."""
    return response_of(desk.jobs.get(name, asker).summary())


def cancel(asker: Reader, desk: AtDesk, name: str) -> Response:
    """Stop a job, or take its result away before its time."""
    return response_of(desk.jobs.cancel(name, asker).summary())


def result(asker: Reader, desk: AtDesk, name: str) -> Response:
    """Give the result of a job as Parquet; a part of it where a header Range asks for one, so that a download can go on."""
    path = desk.jobs.result(name, asker)
    return FileResponse(path, media_type=FORMATS["parquet"][1], filename=path.name)


def match(
    asker: Annotated[Asker, Depends(needs("read", costly=True))],
    desk: AtDesk,
    body: Received,
    radius: Annotated[float | None, Query(description="Largest separation [arcsec]; without it each row's own", examples=[2.0])] = None,
    each: Annotated[Each, Query(description="row: every alert of each row; alert: each alert once, with its nearest row")] = "row",
    nearest: Annotated[bool, Query(description="Only the nearest alert of each row")] = False,
    survey: Annotated[Literal["ztf", "lsst"] | None, Query(description="Only this survey")] = None,
    start: Annotated[float | None, Query(description="Only alerts from this time on [MJD]", allow_inf_nan=False)] = None,
    stop: Annotated[float | None, Query(description="Only alerts up to this time [MJD]", allow_inf_nan=False)] = None,
    columns: Annotated[str, Query(description="More columns of the alerts, with commas between")] = "",
    ra: Annotated[str, Query(description="Column of the right ascension")] = "",
    dec: Annotated[str, Query(description="Column of the declination")] = "",
    radius_column: Annotated[str, Query(description="Column of each row's radius")] = "",
    output: Annotated[
        Literal["json", "csv", "votable", "parquet"], Query(alias="output-format", description="Format of the answer")
    ] = "json",
    later: Annotated[bool, Query(description="Make it a job, however few the rows are")] = False,
) -> Response:
    """Match a table of yours with every alert: the matches, or where it has more than 10,000 rows a job that will have them."""
    asked: dict[str, Any] = {"radius": radius, "each": each, "nearest": nearest, "survey": survey, "start": start, "stop": stop}
    asked |= {"columns": [name.strip() for name in columns.split(",") if name.strip()], "names": [ra, dec, radius_column]}
    with upload_named(body, desk.settings) as path:
        upload = _upload(path, asked)
        if later or len(upload.ra) > ROWS_AT_ONCE:
            return _ordered_match(asker, desk, path, asked)
        with desk.archive.reading() as reader:
            found = _matched(reader, upload, asked)
    return response_of(TableAnswer(found, desk.vocabulary), output)


def _ordered_match(asker: Asker, desk: Desk, path: Path, asked: Mapping[str, Any]) -> Response:
    desk.access.allow(asker, "order")
    return response_of(desk.jobs.order(asker, "crossmatch", asked, upload=path).summary(), status=202)


def _upload(path: Path, asked: Mapping[str, Any]) -> Upload:
    ra, dec, radius = asked["names"]
    names = ColumnNames(ra, dec, radius=radius)
    table = read_table(path)
    return Upload(table, *positions_of(table, names), radii_of(table, names, asked["radius"]))


def _matched(archive: EmbeddedArchive, upload: Upload, asked: Mapping[str, Any]) -> pa.Table:
    limits = {name: asked[name] for name in ("each", "nearest", "survey", "start", "stop", "columns")}
    return crossmatch(archive, upload, **limits)


def carry_out(settings: Settings, name: str) -> None:
    """Carry out a job and write down how it ended; the runner calls it in a process of its own."""
    jobs = Jobs(settings.archive, settings.serve, factory.access(settings))
    job = jobs.get(name)
    try:
        with factory.read_archive(settings) as archive:
            job = _WORK[job.kind](jobs, job, archive, settings)
        jobs.finish(job, "done")
    except FinkError as error:
        jobs.finish(jobs.get(name), "failed", str(error))


def _question(jobs: Jobs, job: Job, archive: EmbeddedArchive, settings: Settings) -> Job:
    """Answer a route's question."""
    route, survey = route_at(job.request["path"], job.request["default"])
    values, warnings = read_arguments(_without_limits(route), job.request["arguments"], tai=survey == "lsst")
    answer = route.answer(Question(archive, survey, declared_columns(), values, warnings, settings))
    if isinstance(answer, PartsAnswer):
        return jobs.write(job, chain((answer.schema.empty_table(),), answer.parts()), answer.meanings, answer.rows)
    if not isinstance(answer, TableAnswer):
        raise RequestError(f"{job.request['path']} gives no table; ask it without a job")
    return jobs.write(job, parts_of(answer.table), answer.meanings, answer.table.num_rows)


def _without_limits(route: Route) -> tuple[Argument, ...]:
    """Give the arguments of a route with the number of rows that a job may have."""
    return tuple(replace(argument, most=MOST_ROWS) if argument.name == "n" else argument for argument in route.arguments)


def _sql(jobs: Jobs, job: Job, archive: EmbeddedArchive, settings: Settings) -> Job:
    """Answer SQL."""
    return jobs.write(job, _with_a_part(archive, job.request["sql"]), declared_columns())


def _with_a_part(archive: EmbeddedArchive, text: str) -> Iterator[pa.Table]:
    any_part = False
    for part in archive.parts(text):
        any_part = True
        yield part
    if not any_part:
        yield archive.sql(f"SELECT * FROM ({text.rstrip().rstrip(';')}) LIMIT 0")


def _match(jobs: Jobs, job: Job, archive: EmbeddedArchive, settings: Settings) -> Job:
    """Match a table with the archive."""
    found = _matched(archive, _upload(jobs.folder / job.upload, job.request), job.request)
    return jobs.write(job, parts_of(found), declared_columns(), found.num_rows)


Work = Callable[[Jobs, Job, EmbeddedArchive, Settings], Job]

_WORK: Mapping[str, Work] = {
    "question": _question,
    "sql": _sql,
    "crossmatch": _match,
    "parquet transfer": write_selection,
    "kafka transfer": send_selection,
}
"""How each kind of job is carried out."""


def mount(application: FastAPI) -> None:
    """Add the routes."""
    table: dict[str, Any] = {"content": {media: {} for _, media in FORMATS.values()}}
    download = {"openapi_extra": {"responses": {"206": {"description": "The part that was asked for"}}}}
    for method, path, endpoint, more in (
        ("POST", "/jobs", submit, {"status_code": 202}),
        ("GET", "/jobs", listed, {}),
        ("GET", "/jobs/{name}", one, {}),
        ("GET", "/jobs/{name}/result", result, download),
        ("DELETE", "/jobs/{name}", cancel, {}),
        (
            "POST",
            "/crossmatch",
            match,
            {"openapi_extra": UPLOAD, "responses": {200: table, 202: {"description": "A job that was ordered"}}},
        ),
    ):
        add(application, method, path, endpoint, (endpoint.__doc__ or "").split("\n")[0], "jobs", **more)
    add(application, "HEAD", "/jobs/{name}/result", result, "Say how large a result is", "jobs", include_in_schema=False)
