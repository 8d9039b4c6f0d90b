"""Stamps come as the survey's own FITS, as its numbers, and as a picture of them."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from unit.api.conftest import Served

_NUMBER = {"ztf": "candid", "lsst": "diaSourceId"}


def alert_of(served: Served, survey: str) -> int:
    """Give an alert."""
    name = served.archive.object_names("", survey, 1)[0]
    return int(served.archive.object_alerts(name, survey)["alert_id"][0].as_py())


def pixels_of(served: Served, survey: str, number: int, kind: str) -> np.ndarray:
    """Read the stamp out of the packet with astropy."""
    data = served.archive.stamp_bytes(survey, number, kind)
    assert isinstance(data, bytes)
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    with fits.open(io.BytesIO(data)) as units:
        return np.array(next(unit.data for unit in units if unit.data is not None), np.float32)


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_numbers_are_those_of_the_packet(served: Served, survey: str) -> None:
    number = alert_of(served, survey)
    answer = served.rows(f"/{survey}/api/v1/cutouts", **{_NUMBER[survey]: number}, kind="All", output_format="array")
    ending = "_stampData" if survey == "ztf" else ""
    for kind in ("Science", "Template", "Difference"):
        found = np.array(answer[f"b:cutout{kind}{ending}"], np.float32)  # type: ignore[call-overload]
        np.testing.assert_array_equal(found, pixels_of(served, survey, number, kind.lower()))


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_fits_is_read_by_astropy(served: Served, survey: str) -> None:
    number = alert_of(served, survey)
    answer = served.get(f"/{survey}/api/v1/cutouts", **{_NUMBER[survey]: number}, kind="science", output_format="FITS")
    assert answer.headers["content-type"] == "application/fits"
    with fits.open(io.BytesIO(answer.content)) as units:
        assert len(units) == (3 if survey == "lsst" else 1)


def test_a_picture_shows_the_brightest_pixel_where_it_is(served: Served) -> None:
    number = alert_of(served, "lsst")
    image = pixels_of(served, "lsst", number, "template")
    answer = served.get("/api/v1/cutouts", diaSourceId=number, kind="Template", stretch="linear", pmin=0, pmax=100)
    assert answer.headers["content-type"] == "image/png"
    picture = np.array(Image.open(io.BytesIO(answer.content)).convert("L"))[::-1]
    assert picture.shape == image.shape
    assert picture.flat[np.argmax(image)] == 255
    assert picture.flat[np.argmin(image)] == 0


def test_the_last_alert_of_an_object_is_shown_where_none_is_named(served: Served) -> None:
    name = served.archive.object_names("ZTF", "ztf", 1)[0]
    last = served.archive.object_alerts(name, "ztf").sort_by("mjd")["alert_id"].to_pylist()[-1]
    by_object = served.get("/ztf/api/v1/cutouts", objectId=name, kind="Science")
    assert by_object.content == served.get("/ztf/api/v1/cutouts", candid=last, kind="Science").content


def test_what_has_no_stamp_is_not_found(served: Served) -> None:
    answer = served.get("/api/v1/cutouts", diaSourceId=1, kind="Science")
    assert (answer.status_code, answer.json()["detail"]) == (404, "the archive has no alert 1 of lsst")
    number = alert_of(served, "ztf")
    for argument, value in (("colormap", "no such map"), ("pmin", 99.9)):
        answer = served.get("/ztf/api/v1/cutouts", candid=number, kind="Science", **{argument: value})
        assert answer.status_code == 400
