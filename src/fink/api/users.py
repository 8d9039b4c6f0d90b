"""Routes for what users keep: filters, watchlists and areas, created, tried, edited, switched and removed while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query
from pydantic import Field
from starlette.responses import Response

from fink.api.access import needs
from fink.api.answers import response_of
from fink.api.desk import UPLOAD, AtDesk, Body, Desk, Received, add, upload_named
from fink.filters.places import Area, PositionList
from fink.services.access import Asker
from fink.services.substreams import Substreams, Wanted
from fink.services.trials import Trial, report
from fink.services.uploads import ColumnNames, position_list, read_area, read_table

Writer = Annotated[Asker, Depends(needs("write", costly=True))]
Trier = Annotated[Asker, Depends(needs("read", costly=True))]

ANONYMOUS = "anonymous"
"""Whose the substreams are of askers without a token, where a server lets them keep any."""

_MOC = {
    "requestBody": {
        "required": True,
        "description": "A MOC of the sky, as FITS, JSON or text; send the file as it is",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "3/1-4 7 8 4/20"}},
    }
}

_NAME = "Name of the substream, which is that of its topic and feed"
Mine = Annotated[bool, Query(description="Only your own")]
ListName = Annotated[str, Query(description=_NAME, examples=["my_galaxies"])]
AreaName = Annotated[str, Query(description=_NAME, examples=["my_field"])]
Where = Annotated[str, Query(description="Only alerts that this condition takes too")]
About = Annotated[str, Query(description="What it holds, in one sentence")]
Surveys = Annotated[list[str] | None, Query(description="Only this survey; may be repeated")]
Most = Annotated[int | None, Query(description="Alerts that it may take in a night before it is paused")]
On = Annotated[bool, Query(description="Whether it selects from the next commit on")]
Radius = Annotated[float | None, Query(description="Radius of every position [arcsec]; without it each row's own", examples=[2.0])]
Column = Annotated[str, Query(description="Name of the column, where it does not say itself what it holds")]
Days = Annotated[int | None, Query(description="Days that are looked at, up to the newest night; all without it", ge=1, le=100_000)]


class NewFilter(Body):
    """A filter that is to be."""

    name: str = Field(description=_NAME, examples=["my_risers"])
    where: str = Field(description="Its condition", examples=["is_transient AND mag < 18"])
    about: str | None = Field(None, description="What it holds, in one sentence", examples=["Bright transients"])
    surveys: list[str] | None = Field(None, description="The surveys it applies to; none means all", examples=[["ztf"]])
    most_per_night: int | None = Field(None, description="Alerts that it may take in a night before it is paused", examples=[5000])
    on: bool = Field(True, description="Whether it selects from the next commit on", examples=[True])


class Change(Body):
    """What is to be another way; what is not said stays as it is."""

    where: str | None = Field(None, description="Its condition", examples=["is_transient AND mag < 17.5"])
    about: str | None = Field(None, description="What it holds, in one sentence")
    surveys: list[str] | None = Field(None, description="The surveys it applies to; an empty list means all")
    most_per_night: int | None = Field(None, description="Alerts that it may take in a night before it is paused")


class Test(Body):
    """A condition to be tried on what is archived."""

    where: str = Field(description="A condition, or the name of a substream", examples=["is_transient AND mag < 18"])
    days: int | None = Field(30, ge=1, le=100_000, description="Days up to the newest night; null looks at everything", examples=[30])
    night: int | None = Field(None, description="Only this night, as YYYYMMDD")
    survey: str | None = Field(None, description="Only this survey", examples=["ztf"])


@contextmanager
def _substreams(desk: Desk) -> Iterator[Substreams]:
    with desk.archive.reading() as reader:
        yield Substreams(reader, desk.settings.users)


def _owner(asker: Asker) -> str:
    return asker.owner or ANONYMOUS


def _owner_of(substreams: Substreams, name: str, asker: Asker) -> str:
    """Give in whose name a substream is changed: an admin acts for its owner."""
    return str(substreams.one(name)["owner"]) if "admin" in asker.scopes else _owner(asker)


def _told(substreams: Substreams, name: str, trial: Trial, status: int) -> Response:
    """Give a new version, and what it would have selected."""
    return response_of(substreams.one(name) | {"trial": report(trial, {})}, status=status)


def listed(desk: AtDesk, asker: Annotated[Asker, Depends(needs("read"))], mine: Mine = False) -> Response:
    """List every user's filters, watchlists and areas as they stand, or one's own only."""
    with _substreams(desk) as substreams:
        return response_of([each for each in substreams.listed() if not mine or each["owner"] == _owner(asker)])


def create_filter(asker: Writer, desk: AtDesk, wanted: NewFilter) -> Response:
    """Create a filter: it is tried on the last month, and selects from the stream from the next commit on."""
    asked = Wanted(wanted.about, wanted.where, wanted.surveys, wanted.most_per_night)
    with _substreams(desk) as substreams:
        _, trial = substreams.create(wanted.name, _owner(asker), asked, on=wanted.on)
        return _told(substreams, wanted.name, trial, 201)


def try_filter(asker: Trier, desk: AtDesk, wanted: Test) -> Response:
    """Say what a condition would have selected from the archive: how many a night, the newest alerts, and what it costs."""
    with _substreams(desk) as substreams:
        trial = substreams.try_out(wanted.where, days=wanted.days, night=wanted.night, survey=wanted.survey)
    return response_of(report(trial, {"where": wanted.where}))


def one(desk: AtDesk, name: str) -> Response:
    """Give a filter, watchlist or area as it stands."""
    with _substreams(desk) as substreams:
        return response_of(substreams.one(name))


def versions(desk: AtDesk, name: str) -> Response:
    """Give every version of a filter, watchlist or area."""
    with _substreams(desk) as substreams:
        return response_of(substreams.versions(name))


def edit(asker: Writer, desk: AtDesk, name: str, change: Change) -> Response:
    """Make the next version of a filter, watchlist or area: another condition, sentence, survey or limit."""
    wanted = Wanted(change.about, change.where, change.surveys, change.most_per_night)
    with _substreams(desk) as substreams:
        _, trial = substreams.edit(name, _owner_of(substreams, name, asker), wanted)
        return _told(substreams, name, trial, 200)


def switch_on(asker: Writer, desk: AtDesk, name: str) -> Response:
    """Switch on a filter, watchlist or area that is off or was paused."""
    return _switch(asker, desk, name, "on")


def switch_off(asker: Writer, desk: AtDesk, name: str) -> Response:
    """Switch off a filter, watchlist or area; what it selected stays in the archive."""
    return _switch(asker, desk, name, "off")


def remove(asker: Writer, desk: AtDesk, name: str) -> Response:
    """Remove a filter, watchlist or area; what it selected stays in the archive, and its name stays its owner's."""
    return _switch(asker, desk, name, "removed")


def _switch(asker: Asker, desk: Desk, name: str, state: Literal["on", "off", "removed"]) -> Response:
    with _substreams(desk) as substreams:
        kept = substreams.switch(name, _owner_of(substreams, name, asker), state)
    return response_of({"name": name, "version": kept.substream.version, "state": kept.state})


def create_watchlist(
    asker: Writer,
    desk: AtDesk,
    body: Received,
    name: ListName,
    radius: Radius = None,
    where: Where = "TRUE",
    about: About = "",
    survey: Surveys = None,
    most_per_night: Most = None,
    on: On = True,
    ra: Column = "",
    dec: Column = "",
    entry: Column = "",
    radius_column: Column = "",
) -> Response:
    """Create a watchlist of the positions that are sent, up to a million: alerts within the radius of one of them."""
    with upload_named(body, desk.settings) as path:
        places = position_list(read_table(path), ColumnNames(ra, dec, entry, radius_column), radius)
    return _created(asker, desk, name, Wanted(about or None, where, survey, most_per_night, places), on=on)


def edit_watchlist(
    asker: Writer,
    desk: AtDesk,
    body: Received,
    name: str,
    radius: Radius = None,
    where: Where | None = None,
    ra: Column = "",
    dec: Column = "",
    entry: Column = "",
    radius_column: Column = "",
) -> Response:
    """Give a watchlist other positions: its next version."""
    with upload_named(body, desk.settings) as path:
        places = position_list(read_table(path), ColumnNames(ra, dec, entry, radius_column), radius)
    return _edited(asker, desk, name, where, places)


def try_watchlist(
    asker: Trier,
    desk: AtDesk,
    body: Received,
    radius: Radius = None,
    where: Where = "TRUE",
    days: Days = 30,
    ra: Column = "",
    dec: Column = "",
    entry: Column = "",
    radius_column: Column = "",
) -> Response:
    """Say what a watchlist would have selected from the archive, before it is one."""
    with upload_named(body, desk.settings) as path:
        places = position_list(read_table(path), ColumnNames(ra, dec, entry, radius_column), radius)
    return _tried(desk, where, days, places, {"entries": len(places)})


def create_area(
    asker: Writer,
    desk: AtDesk,
    body: Received,
    name: AreaName,
    where: Where = "TRUE",
    about: About = "",
    survey: Surveys = None,
    most_per_night: Most = None,
    on: On = True,
) -> Response:
    """Create an area, the MOC that is sent: alerts in a part of the sky."""
    wanted = Wanted(about or None, where, survey, most_per_night, _area(body, desk))
    return _created(asker, desk, name, wanted, on=on)


def edit_area(asker: Writer, desk: AtDesk, body: Received, name: str, where: Where | None = None) -> Response:
    """Give an area another part of the sky: its next version."""
    return _edited(asker, desk, name, where, _area(body, desk))


def try_area(asker: Trier, desk: AtDesk, body: Received, where: Where = "TRUE", days: Days = 30) -> Response:
    """Say what an area would have selected from the archive, before it is one."""
    area = _area(body, desk)
    return _tried(desk, where, days, area, {"square_degrees": area.square_degrees})


def _area(body: Any, desk: Desk) -> Area:
    with upload_named(body, desk.settings) as path:
        return read_area(path)


def _created(asker: Asker, desk: Desk, name: str, wanted: Wanted, *, on: bool) -> Response:
    with _substreams(desk) as substreams:
        _, trial = substreams.create(name, _owner(asker), wanted, on=on)
        return _told(substreams, name, trial, 201)


def _edited(asker: Asker, desk: Desk, name: str, where: str | None, places: PositionList | Area) -> Response:
    with _substreams(desk) as substreams:
        _, trial = substreams.edit(name, _owner_of(substreams, name, asker), Wanted(where=where, places=places))
        return _told(substreams, name, trial, 200)


def _tried(desk: Desk, where: str, days: int | None, places: PositionList | Area, what: dict[str, Any]) -> Response:
    with _substreams(desk) as substreams:
        trial = substreams.try_out(where, days=days, places=places)
    return response_of(report(trial, {"where": where} | what))


def mount(application: FastAPI) -> None:
    """Add the routes."""
    for method, path, endpoint, more in (
        ("GET", "/filters", listed, {}),
        ("POST", "/filters", create_filter, {"status_code": 201}),
        ("POST", "/filters/test", try_filter, {}),
        ("POST", "/watchlists", create_watchlist, {"status_code": 201, "openapi_extra": UPLOAD}),
        ("POST", "/watchlists/test", try_watchlist, {"openapi_extra": UPLOAD}),
        ("PUT", "/watchlists/{name}", edit_watchlist, {"openapi_extra": UPLOAD}),
        ("POST", "/areas", create_area, {"status_code": 201, "openapi_extra": _MOC}),
        ("POST", "/areas/test", try_area, {"openapi_extra": _MOC}),
        ("PUT", "/areas/{name}", edit_area, {"openapi_extra": _MOC}),
        ("GET", "/filters/{name}", one, {}),
        ("GET", "/filters/{name}/versions", versions, {}),
        ("PATCH", "/filters/{name}", edit, {}),
        ("POST", "/filters/{name}/off", switch_off, {}),
        ("POST", "/filters/{name}/on", switch_on, {}),
        ("DELETE", "/filters/{name}", remove, {}),
    ):
        add(application, method, path, endpoint, (endpoint.__doc__ or "").split("\n")[0], "filters, watchlists, areas", **more)
