"""Routes that give stamps: as picture, FITS, or numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from fink.api.answers import Answer, FileAnswer
from fink.api.arguments import Argument
from fink.api.routes import Question, Route, public_word
from fink.codecs.cutouts import read_fits, unpack
from fink.columns import Column
from fink.errors import NotFoundError, PacketError, RequestError
from fink.services import searches
from fink.services.pictures import STRETCHES, Style, draw
from fink.tables import STAMPS

_KINDS = ("Science", "Template", "Difference", "All")
_ARRAY_NAMES = {"ztf": "b:cutout{}_stampData", "lsst": "b:cutout{}"}
_FORMATS = ("PNG", "FITS", "array")


def cutouts(question: Question) -> Answer:
    """Give a stamp of an alert, or all three as numbers."""
    alert_id = _alert_id(question)
    kinds = [name.capitalize() for name in STAMPS] if question["kind"] == "All" else [question["kind"]]
    if question["output-format"] == "array":
        return {_ARRAY_NAMES[question.survey].format(kind): _pixels(question, alert_id, kind) for kind in kinds}
    if len(kinds) > 1:
        raise RequestError("kind = 'All' is given as numbers only; add output-format=array, or ask for one kind")
    data = _bytes(question, alert_id, kinds[0])
    if question["output-format"] == "FITS":
        return FileAnswer(unpack(data), "application/fits", f"{alert_id}_{kinds[0]}.fits")
    style = Style(question["stretch"], question["colormap"], question["pmin"], question["pmax"], question["convolution_kernel"])
    return FileAnswer(draw(_image(data), style), "image/png", f"{alert_id}_{kinds[0]}.png")


def _alert_id(question: Question) -> int:
    """Give the alert asked for: by its number, or the last one of an object."""
    number = question[public_word(question.survey, "alert_id")]
    if number is not None:
        return int(number)
    name = question.values.get("objectId")
    if not name:
        raise RequestError(f"{public_word(question.survey, 'alert_id')} is missing; name an alert, or an object for its last one")
    rows = searches.of_objects(question.archive, question.survey, [name], ["alert_id"])
    if not rows.num_rows:
        raise NotFoundError(f"the archive has no object {name}")
    return int(rows["alert_id"][0].as_py())


def _bytes(question: Question, alert_id: int, kind: str) -> bytes:
    data = question.archive.stamp_bytes(question.survey, alert_id, kind.lower())
    if isinstance(data, str):
        raise NotFoundError(data)
    return data


def _image(data: bytes) -> Any:
    try:
        image = next((unit.image for unit in read_fits(data) if unit.image is not None), None)
    except PacketError as error:
        raise NotFoundError(error.reason) from error
    if image is None:
        raise NotFoundError("the stamp holds no image")
    return image


def _pixels(question: Question, alert_id: int, kind: str) -> list[list[float | None]]:
    """Give rows of pixels; those without a value are null."""
    image = _image(_bytes(question, alert_id, kind))
    return [[value if np.isfinite(value) else None for value in row] for row in image.tolist()]


KIND_OF_STAMPS = Argument("cutout-kind", "choice", "Which stamps are given beside alerts", default="All", choices=_KINDS)
WITH_STAMPS = Argument("withcutouts", "flag", "Whether stamps are given beside alerts, as numbers", default=False)
MOST_WITH_STAMPS = 1000
"""Alerts that are given with their stamps at most."""


def stamps_beside(question: Question, alerts: pa.Table) -> dict[str, tuple[pa.ChunkedArray, Column]]:
    """Give the stamps of alerts as columns of pixels, where they are asked for; null where one is not kept."""
    if not question["withcutouts"]:
        return {}
    if alerts.num_rows > MOST_WITH_STAMPS:
        raise RequestError(f"{alerts.num_rows} alerts have stamps; withcutouts gives {MOST_WITH_STAMPS} at once, so ask for fewer with n")
    kinds = [name.capitalize() for name in STAMPS] if question["cutout-kind"] == "All" else [question["cutout-kind"]]
    numbers, found = alerts["alert_id"].to_pylist(), {}
    for kind in kinds:
        images = pa.chunked_array([pa.array([_pixels_or_none(question, number, kind) for number in numbers], _IMAGE)])
        about = Column(f"cutout_{kind.lower()}", pa.float32(), "", "obs.image", f"Rows of pixels of the {kind.lower()} stamp")
        found[_ARRAY_NAMES[question.survey].format(kind)] = (images, about)
    return found


_IMAGE = pa.list_(pa.list_(pa.float32()))


def _pixels_or_none(question: Question, alert_id: int, kind: str) -> list[list[float | None]] | None:
    try:
        return _pixels(question, alert_id, kind)
    except NotFoundError:
        return None


def _routes() -> tuple[Route, ...]:
    style = (
        Argument("kind", "choice", "Which stamp", required=True, choices=_KINDS, example="Science"),
        Argument("output-format", "choice", "Picture, the survey's own FITS, or numbers", default="PNG", choices=_FORMATS),
        Argument("stretch", "choice", "How brightness is stretched", default="sigmoid", choices=tuple(STRETCHES)),
        Argument("colormap", "text", "Colour map, by matplotlib's name", default="gray", example="viridis"),
        Argument("pmin", "number", "Percentile of the pixels that becomes black [%]", default=0.5, least=0, most=100),
        Argument("pmax", "number", "Percentile of the pixels that becomes white [%]", default=99.5, least=0, most=100),
        Argument("convolution_kernel", "choice", "Smoothing over 3 by 3 pixels", choices=("gauss", "box")),
    )
    about = "Stamp of an alert as a picture, FITS or numbers"
    source = Argument("diaSourceId", "integer", "Number of the alert", required=True)
    candidate = Argument("candid", "integer", "Number of the alert; without it, the object's last one")
    of_object = Argument("objectId", "text", "Name of the object")
    return (
        Route("/cutouts", about, (source, *style), cutouts, ("lsst",)),
        Route("/cutouts", about, (of_object, candidate, *style), cutouts, ("ztf",)),
    )


ROUTES = _routes()
