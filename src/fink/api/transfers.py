"""Routes for transfers: a past selection of alerts, estimated, ordered, followed, and fetched as Parquet or read from Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pyarrow as pa
from fastapi import Depends, FastAPI
from pydantic import Field
from starlette.responses import FileResponse, Response

from fink import factory
from fink.api.access import needs
from fink.api.answers import FORMATS, response_of
from fink.api.desk import AtDesk, Body, Desk, add
from fink.archive.embedded import EmbeddedArchive
from fink.config import Settings
from fink.errors import RequestError
from fink.services import selections
from fink.services.access import Asker
from fink.services.jobs import Job, Jobs
from fink.services.transfers import Job as Transfer
from fink.services.transfers import Selection

Orderer = Annotated[Asker, Depends(needs("order", costly=True))]
Estimator = Annotated[Asker, Depends(needs("read", costly=True))]
Reader = Annotated[Asker, Depends(needs("read"))]

KINDS = ("parquet transfer", "kafka transfer")
MOST_PLACES = 10_000
"""Objects or positions in one transfer."""

_Place = tuple[Annotated[float, Field(ge=0, le=360)], Annotated[float, Field(ge=-90, le=90)]]
_Night = Annotated[int, Field(ge=0, le=99_999_999)]


class NewTransfer(Body):
    """Which alerts are wanted, and what of them: the same selection as that of fink transfer."""

    survey: str = Field(description="Survey whose alerts are wanted", examples=["ztf"])
    start: _Night = Field(0, description="First night, as YYYYMMDD", examples=[20200101])
    stop: _Night = Field(99_999_999, description="Last night, as YYYYMMDD")
    substream: str = Field("", description="Only what this substream took", examples=[""])
    where: str = Field("", description="Only alerts for which this condition holds", examples=["mag < 19"])
    objects: list[str] = Field(default=[], max_length=MOST_PLACES, description="Only alerts of these objects", examples=[[]])
    positions: list[_Place] = Field(
        default=[], max_length=MOST_PLACES, description="Only alerts around these positions: [ra, dec], ICRS [deg]", examples=[[]]
    )
    radius: float = Field(2.0, ge=0, le=18000, description="How near to a position [arcsec]")
    columns: list[str] = Field(
        default=[],
        description="Columns by public name; none means all, and whole packets to Kafka",
        examples=[["i:magpsf", "i:ra", "i:dec"]],
    )
    limit: int = Field(0, ge=0, le=2**62, description="Alerts at most; 0 for all", examples=[1000])
    to: Literal["parquet", "kafka"] = Field("parquet", description="A file to fetch, or a Kafka topic of its own", examples=["parquet"])
    days: float | None = Field(None, gt=0, le=365, description="Days that the file, or the topic, is kept")

    def selection(self) -> Selection:
        """Give it as the services know it."""
        values = self.model_dump(exclude={"to", "days"})
        lists: dict[str, Any] = {name: tuple(values[name]) for name in ("objects", "columns", "positions")}
        return Selection(**{**values, **lists})


def estimate(asker: Estimator, desk: AtDesk, wanted: NewTransfer) -> Response:
    """Say about how many alerts and bytes a transfer would bring, before it is ordered."""
    with desk.archive.reading() as reader:
        return response_of(selections.estimate(wanted.selection(), reader))


def order(asker: Orderer, desk: AtDesk, wanted: NewTransfer) -> Response:
    """Order a transfer: to a Parquet file that is fetched with its result, or to a Kafka topic of its own."""
    selection = wanted.selection()
    request = wanted.model_dump()
    if wanted.to == "kafka":
        transfers = factory.transfers(desk.settings)
        with desk.archive.reading() as reader:
            name = transfers.order(selection, reader, wanted.days or desk.settings.kafka_out.retention_days).name
        job = desk.jobs.order(asker, "kafka transfer", request, name=name, days=wanted.days, more={"topics": []})
    else:
        with desk.archive.reading() as reader:
            selection.check()
            request["commit"] = reader.last_commit()
        job = desk.jobs.order(asker, "parquet transfer", request, days=wanted.days)
    return response_of(job.summary(), status=202)


def listed(asker: Reader, desk: AtDesk) -> Response:
    """List your transfers, the newest first."""
    return response_of([job.summary() for job in desk.jobs.listed(asker, KINDS)])


def one(asker: Reader, desk: AtDesk, name: str) -> Response:
    """Say how a transfer stands, and how far it is."""
    return response_of(_transfer(desk, name, asker).summary())


def cancel(asker: Reader, desk: AtDesk, name: str) -> Response:
    """Stop a transfer, and take what it brought away: the file, or the topics."""
    job = _transfer(desk, name, asker)
    cancelled = desk.jobs.cancel(name, asker)
    if job.kind == "kafka transfer" and job.state in ("ordered", "running", "failed"):
        factory.transfers(desk.settings).cancel(name)
    return response_of(cancelled.summary())


def result(asker: Reader, desk: AtDesk, name: str) -> Response:
    """Give a transfer's file; a part of it where a header Range asks for one, so that a download can go on."""
    job = _transfer(desk, name, asker)
    if job.kind == "kafka transfer":
        raise RequestError(f"the transfer {name} goes to Kafka; read its topics there: {', '.join((job.more or {}).get('topics', []))}")
    path = desk.jobs.result(name, asker)
    return FileResponse(path, media_type=FORMATS["parquet"][1], filename=path.name)


def _transfer(desk: Desk, name: str, asker: Asker) -> Job:
    return desk.jobs.get(name, asker)


def write_selection(jobs: Jobs, job: Job, archive: EmbeddedArchive, settings: Settings) -> Job:
    """Write a selection as Parquet."""
    values = {name: value for name, value in job.request.items() if name != "commit"}
    selection = NewTransfer(**values).selection()
    total = selections.estimate(selection, archive)["alerts"]
    parts: Iterator[pa.Table] = selections.tables(selection, archive, job.request["commit"])
    return jobs.write(job, parts, selections.meanings(selection), total)


def send_selection(jobs: Jobs, job: Job, archive: EmbeddedArchive, settings: Settings) -> Job:
    """Send a selection to Kafka."""

    def note(transfer: Transfer) -> None:
        jobs.progress(job, transfer.sent, transfer.total, {"topics": list(transfer.topics)})

    done = factory.transfers(settings).carry_out(job.name, archive, note)
    return jobs.progress(job, done.sent, done.total, {"topics": list(done.topics), "missing": done.missing, "note": done.message})


def mount(application: FastAPI) -> None:
    """Add the routes."""
    download = {"openapi_extra": {"responses": {"206": {"description": "The part that was asked for"}}}}
    for method, path, endpoint, more in (
        ("POST", "/transfers/estimate", estimate, {}),
        ("POST", "/transfers", order, {"status_code": 202}),
        ("GET", "/transfers", listed, {}),
        ("GET", "/transfers/{name}", one, {}),
        ("GET", "/transfers/{name}/result", result, download),
        ("DELETE", "/transfers/{name}", cancel, {}),
    ):
        add(application, method, path, endpoint, (endpoint.__doc__ or "").split("\n")[0], "transfers", **more)
    add(application, "HEAD", "/transfers/{name}/result", result, "Say how large a result is", "transfers", include_in_schema=False)
