"""Sky maps are read in every form, and their regions are those of other programs and of the papers."""

from __future__ import annotations

import base64
import gzip
import io

import cdshealpix
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from numpy.typing import NDArray

from fink.archive.keys import SKY_ORDER
from fink.errors import RequestError
from fink.services.skymaps import area, as_bytes, joined, read_skymap, ring_to_nested
from fink.sky import healpix
from shared_data import shared_data

ORDER = 4


def written(columns: list[fits.Column], **header: object) -> bytes:
    """Write a map as FITS."""
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update(header)
    sink = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(sink)
    return sink.getvalue()


def probabilities() -> NDArray[np.float64]:
    """Give probabilities of nested pixels that fall off from one of them."""
    random = np.random.default_rng(3)
    values = random.exponential(1, 12 * 4**ORDER) ** 4
    return np.asarray(values / values.sum())


def test_flat_maps_are_the_same_nested_ring_and_multi_order() -> None:
    values = probabilities()
    pixel = np.arange(len(values))
    ring = cdshealpix.to_ring(pixel.astype(np.uint64), ORDER).astype(np.int64)
    in_rings = np.empty_like(values)
    in_rings[ring] = values
    flat = {"NSIDE": 1 << ORDER, "DATE-OBS": "2019-08-14T21:10:39.013"}
    nested = read_skymap(written([fits.Column("PROB", "D", array=values)], ORDERING="NESTED", **flat))
    rings = read_skymap(gzip.compress(written([fits.Column("PROB", "D", array=in_rings)], ORDERING="RING", **flat)))
    density = values * 12 * 4**ORDER / (4 * np.pi)
    uniq = [fits.Column("UNIQ", "K", array=pixel + 4 * 4**ORDER), fits.Column("PROBDENSITY", "D", array=density)]
    multi = read_skymap(written(uniq, ORDERING="NUNIQ", **{"DATE-OBS": flat["DATE-OBS"]}))
    for level in (0.1, 0.5, 0.9, 0.99):
        regions = [each.region(level) for each in (nested, rings, multi)]
        assert all(np.array_equal(regions[0], region) for region in regions)
        assert area(regions[0]) < area(nested.region(1.0)) <= 41253.0
    assert nested.mjd == pytest.approx(Time(flat["DATE-OBS"], scale="utc").tai.mjd, abs=1e-9)


def test_a_region_holds_what_is_asked_and_no_pixel_more() -> None:
    values = probabilities()
    region = read_skymap(written([fits.Column("PROB", "D", array=values)], NSIDE=1 << ORDER, ORDERING="NESTED")).region(0.6)
    width = 4 ** (SKY_ORDER - ORDER)
    chosen = np.concatenate([np.arange(first // width, last // width) for first, last in region])
    assert values[chosen].sum() >= 0.6 > values[chosen].sum() - values[chosen].min()
    assert values[chosen].min() >= np.delete(values, chosen).max()


@pytest.mark.parametrize("order", [0, 1, 2, 6])
def test_rings_are_numbered_as_healpix_does(order: int) -> None:
    pixel = np.arange(12 * 4**order)
    assert np.array_equal(ring_to_nested(order, pixel), cdshealpix.from_ring(pixel.astype(np.uint64), order).astype(np.int64))


def test_the_kilonova_of_2017_lies_where_it_was_found() -> None:
    path = shared_data("multimessenger", "skymaps", "GW170817.multiorder.fits.gz")
    read = read_skymap(path.read_bytes())
    assert area(read.region(0.9)) == pytest.approx(31, abs=0.5)
    place = healpix(SKY_ORDER, np.array([197.450354]), np.array([-23.381484]))[0]

    def inside(level: float) -> bool:
        return any(first <= place < last for first, last in read.region(level))

    assert inside(0.6)
    assert not inside(0.5)


@pytest.mark.parametrize("form", [bytes, base64.b64encode, base64.urlsafe_b64encode, repr])
def test_bytes_are_read_in_every_form(form: object) -> None:
    data = bytes(range(256))
    sent = form(data)  # type: ignore[operator]
    assert as_bytes(sent.decode() if isinstance(sent, bytes) and form is not bytes else sent) == data


@pytest.mark.parametrize("text", ["__import__('os').system('true')", "b'' + b''", "no base64!", "b'\\x4'"])
def test_what_is_sent_is_never_evaluated(text: str) -> None:
    with pytest.raises(RequestError):
        read_skymap(as_bytes(text))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SIMPLE",
        b"\x1f\x8bbroken",
        written([fits.Column("PROB", "D", array=np.zeros(12))], NSIDE=1),
        written([fits.Column("PROB", "D", array=np.ones(12))], NSIDE=3),
        written([fits.Column("PROB", "D", array=np.ones(13))], NSIDE=1),
        written([fits.Column("UNIQ", "K", array=np.array([-4])), fits.Column("PROBDENSITY", "D", array=np.ones(1))]),
        written([fits.Column("PROB", "D", array=np.ones(12))]),
    ],
)
def test_what_is_no_map_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError):
        read_skymap(data)


def test_ranges_that_touch_are_joined() -> None:
    ranges = np.array([[8, 9], [1, 3], [3, 5], [4, 6]])
    assert joined(ranges).tolist() == [[1, 6], [8, 9]]
    assert joined(ranges[:0]).tolist() == []
