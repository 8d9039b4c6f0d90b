"""Stamps: equal to astropy's reading on every real one, and a reason for each that cannot be read."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

from fink.codecs.cutouts import LARGEST, Stamps, read_fits, write_fits
from fink.errors import PacketError
from fink.tables import STAMPS, Cutouts, Packets
from shared_data import shared_data

rng = np.random.default_rng(2918)


def stamps_of(*files: bytes) -> Stamps:
    """Put each file as the science stamp of one packet."""
    packets = Packets.from_bodies([b"head" + data + b"tail" for data in files], b"{}")
    start = np.zeros((len(files), 3), np.int64)
    length = np.zeros((len(files), 3), np.int64)
    start[:, 0] = packets.starts + 4
    length[:, 0] = [len(data) for data in files]
    return Stamps(packets, Cutouts(start, length))


def real_stamps() -> Iterator[tuple[str, bytes]]:
    """Give every stamp of the real alerts in containers."""
    for folder in ("ztf_alerts", "rubin"):
        for file in sorted(shared_data(folder).rglob("*.avro")):
            with file.open("rb") as stream:
                for record in fastavro.reader(stream):
                    yield from _stamps_in(file, record)


def _stamps_in(file: Path, record: Any) -> Iterator[tuple[str, bytes]]:
    for name in STAMPS:
        stamp = record.get(f"cutout{name.capitalize()}")
        data = stamp.get("stampData") if isinstance(stamp, dict) else stamp
        if data:
            yield file.name, data


@pytest.mark.filterwarnings("ignore")
def test_every_real_stamp_equals_astropy() -> None:
    n_images = n_others = 0
    for name, data in real_stamps():
        plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        if plain[:6] != b"SIMPLE":
            with pytest.raises(PacketError):
                read_fits(data)
            n_others += 1
            continue
        units = read_fits(data)
        with fits.open(io.BytesIO(plain)) as reference:
            assert len(units) == len(reference), name
            for unit, expected in zip(units, reference, strict=True):
                assert unit.image is not None
                np.testing.assert_array_equal(unit.image, expected.data.astype(np.float32), strict=True)
                assert {k: v for k, v in unit.cards.items() if k in ("NAXIS1", "EXTNAME", "CRVAL1", "BUNIT", "EXTEND")} == {
                    k: v for k, v in expected.header.items() if k in ("NAXIS1", "EXTNAME", "CRVAL1", "BUNIT", "EXTEND")
                }
                n_images += 1
    assert n_images > 500
    assert n_others < n_images


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("scaled", [False, True])
def test_every_type_of_pixel_equals_astropy(dtype: str, scaled: bool) -> None:
    pixels = rng.integers(0, 100, (5, 7)).astype(dtype)
    unit = fits.PrimaryHDU(pixels)
    if scaled:
        unit.header["BSCALE"] = 0.25
        unit.header["BZERO"] = -3.5
    if dtype[0] != "f":
        unit.header["BLANK"] = int(pixels[2, 3])
    stream = io.BytesIO()
    fits.HDUList([unit, fits.ImageHDU(name="UNCERT", data=np.ones((2, 2), ">f4"))]).writeto(stream)
    with fits.open(io.BytesIO(stream.getvalue())) as reference:
        expected = np.asarray(reference[0].data, np.float64)
    if dtype[0] != "f" and not scaled:
        expected[pixels == pixels[2, 3]] = np.nan  # astropy leaves blanks as they are in an unscaled image
    units = read_fits(stream.getvalue())
    assert units[0].image is not None
    assert units[0].image.shape == (5, 7)
    np.testing.assert_array_equal(units[0].image, expected.astype(np.float32))
    assert units[1].name == "UNCERT"


@pytest.mark.parametrize("gzipped", [False, True])
def test_what_is_written_reads_back_and_astropy_agrees(gzipped: bool) -> None:
    image, noise, psf = (rng.normal(size=shape).astype(np.float32) for shape in ((63, 63), (63, 63), (41, 40)))
    image[3, 4] = np.nan
    data = write_fits(image, uncertainty=noise, psf=psf, gzipped=gzipped)
    assert data == write_fits(image, uncertainty=noise, psf=psf, gzipped=gzipped)
    with fits.open(io.BytesIO(gzip.decompress(data) if gzipped else data)) as reference:
        reference.verify("exception")
        assert [unit.name for unit in reference] == ["PRIMARY", "UNCERT", "PSFIMAGE"]
        np.testing.assert_array_equal(reference["PSFIMAGE"].data, psf)
    stamps = stamps_of(data)
    _same(stamps.image(0, "science"), image)
    _same(stamps.image(0, "science", "uncertainty"), noise)
    _same(stamps.image(0, "science", "psf"), psf)


def _same(image: npt.NDArray[np.float32] | None, expected: npt.NDArray[np.float32]) -> None:
    assert image is not None
    np.testing.assert_array_equal(image, expected)


def test_batch_gives_images_and_nothing_where_there_is_none() -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    stamps = stamps_of(write_fits(image, gzipped=True), b"", write_fits(image + 1))
    found = stamps.images("science")
    assert [one is None for one in found] == [False, True, False]
    _same(stamps.images("science", [2])[0], image + 1)
    assert stamps.images("template") == [None, None, None]


def test_a_batch_that_remembers_unpacks_once() -> None:
    files = [write_fits(np.ones((9, 9)) * i, gzipped=True) for i in range(4)] + [b""]
    packets = Packets.from_bodies(files, b"{}")
    start = np.stack([packets.starts] * 3, axis=1)
    length = np.stack([packets.ends - packets.starts] * 3, axis=1)
    cutouts = Cutouts(start, length).remembering()
    first = Stamps(packets, cutouts).images("science")
    rows = np.array([3, 1, 4])
    again = Stamps(packets.take(rows), cutouts.take(rows))
    assert again.image(0, "science") is first[3]
    assert again.image(1, "science") is first[1]
    assert again.reason(2, "science") == "the packet carries no stamp"
    forgetful = Cutouts(start, length)
    assert Stamps(packets, forgetful).image(3, "science") is not Stamps(packets, forgetful).image(3, "science")


def test_a_batch_remembers_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fink.codecs.cutouts.MOST_KEPT", 2)
    packets = Packets.from_bodies([write_fits(np.full((9, 9), i)) for i in range(5)], b"{}")
    cutouts = Cutouts(np.stack([packets.starts] * 3, axis=1), np.stack([packets.ends - packets.starts] * 3, axis=1)).remembering()
    stamps = Stamps(packets, cutouts)
    for _ in range(2):
        for i, image in enumerate(stamps.images("science")):
            assert image is not None
            assert image[0, 0] == i
    assert cutouts.unpacked is not None
    assert len(cutouts.unpacked) == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the packet carries no stamp"),
        (b"\xff\xd8\xff\xe0 picture", "JPEG"),
        (b"hello", "not FITS: it begins with b'hello'"),
        (b"\x1f\x8b\x08\x00broken gzip stream", "gzip stream"),
        (write_fits(np.ones((9, 9)), gzipped=True)[:-30], "gzip stream ends early"),
        (write_fits(np.ones((9, 9)))[:300], "header has no end"),
        (write_fits(np.ones((63, 63)))[:9000], "needs 15876 bytes and has 6120"),
        (write_fits(np.full((9, 9), np.nan)), "no pixel of the stamp's image has a value"),
        (write_fits(np.ones((9, 9))).replace(b"-32", b"-33"), "BITPIX = -33"),
        (write_fits(np.ones((9, 9))).replace(b"NAXIS2", b"NAXIS4"), "NAXIS2 = None"),
        (write_fits(np.ones((9, 9))).replace(b"                   9", b"99999999999999999999"), "needs 3999"),
    ],
)
def test_what_cannot_be_read_has_a_reason(data: bytes, reason: str) -> None:
    stamps = stamps_of(data)
    assert stamps.image(0, "science") is None
    assert reason in stamps.reason(0, "science")


def test_missing_plane_has_a_reason() -> None:
    stamps = stamps_of(write_fits(np.ones((9, 9))))
    assert stamps.reason(0, "science") == ""
    assert stamps.reason(0, "science", "psf") == "the stamp has no psf"


def test_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(write_fits(np.ones((9, 9))) + bytes(2 * LARGEST))
    assert f"more than {LARGEST} bytes" in stamps_of(bomb).reason(0, "science")


def test_damaged_stamps_give_an_image_or_a_reason() -> None:
    whole = write_fits(rng.normal(size=(21, 21)), uncertainty=np.ones((21, 21), np.float32), psf=np.ones((5, 5), np.float32))
    packed = write_fits(rng.normal(size=(21, 21)), gzipped=True)
    n_images = n_reasons = 0
    for i in range(4000):
        data = bytearray(packed if i % 4 == 0 else whole)
        header = 2880 if i % 2 else len(data)
        for at in rng.integers(0, min(header, len(data)), rng.integers(1, 6)):
            data[at] = rng.integers(256)
        damaged = bytes(data[: rng.integers(len(data) + 1)]) if i % 3 == 0 else bytes(data)
        stamps = stamps_of(damaged)
        image, reason = stamps.image(0, "science"), stamps.reason(0, "science")
        assert (image is None) == bool(reason)
        if image is not None:
            assert image.dtype == np.float32
            assert image.ndim == 2
            assert image.size * 4 <= LARGEST
        n_images += image is not None
        n_reasons += image is None
    assert n_images > 500
    assert n_reasons > 500
