"""Finder charts: offsets and stamps lie where astropy puts them; sources and objects are those that are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from fink import catalogs
from fink.archive.embedded import EmbeddedArchive
from fink.catalogs.store import CURRENT, InstalledCatalogue
from fink.services.finders import catalogue_sources, directions, finder, offsets, stamp_affine
from sample_catalogues import install_sample_catalogues

CARDS = {
    "CRPIX1": 15.6,
    "CRPIX2": 15.9,
    "PC1_1": -4.17e-05,
    "PC1_2": 3.67e-05,
    "PC2_1": 3.67e-05,
    "PC2_2": 4.17e-05,
    "CRVAL1": 63.249,
    "CRVAL2": -46.9014,
}


def test_offsets_are_those_of_the_tangent_plane() -> None:
    centre, places = SkyCoord(63.249, -46.9014, unit="deg"), SkyCoord([63.26, 63.249], [-46.9, -46.91], unit="deg")
    east, north = offsets(63.249, -46.9014, places.ra.deg, places.dec.deg)
    expected = centre.spherical_offsets_to(places)
    assert east == pytest.approx(expected[0].arcsec, abs=0.01)
    assert north == pytest.approx(expected[1].arcsec, abs=0.01)


def test_a_stamp_lies_as_its_header_says() -> None:
    affine = stamp_affine("lsst", CARDS, (30, 30), 63.2495, -46.9011)
    assert affine is not None
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix, wcs.wcs.crval = (CARDS["CRPIX1"], CARDS["CRPIX2"]), (CARDS["CRVAL1"], CARDS["CRVAL2"])
    wcs.wcs.pc, wcs.wcs.cdelt = [[CARDS["PC1_1"], CARDS["PC1_2"]], [CARDS["PC2_1"], CARDS["PC2_2"]]], (1.0, 1.0)
    a, b, c, d, e, f = affine
    for column, row in ((0, 0), (29, 0), (7, 21)):
        place = wcs.pixel_to_world(column, row)
        east, north = offsets(63.2495, -46.9011, np.array([place.ra.deg]), np.array([place.dec.deg]))
        # the picture is turned upside down: its first line is the last row
        u, v = column + 0.5, 30 - row - 0.5
        assert (-(a * u + c * v + e), -(b * u + d * v + f)) == pytest.approx((east[0], north[0]), abs=0.02)


def test_north_and_east_point_where_the_sky_does() -> None:
    affine = stamp_affine("ztf", {}, (63, 63), 10.0, 20.0)
    assert affine is not None
    assert directions(affine) == ([0.0, 1.0], [-1.0, 0.0], True)
    turned = stamp_affine("lsst", CARDS, (30, 30), 63.249, -46.9014)
    assert turned is not None
    north, east, mirrored = directions(turned)
    assert not mirrored
    assert np.hypot(north[0], north[1]) == pytest.approx(1.0, abs=0.02)
    assert np.dot(north, east) == pytest.approx(0.0, abs=0.02)


def test_where_nothing_says_how_a_stamp_lies_none_is_drawn() -> None:
    assert stamp_affine("elasticc", {}, (30, 30), 10.0, 20.0) is None


def test_catalogued_sources_are_those_within_the_radius(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ra, dec = 150.0 + rng.uniform(-0.02, 0.02, 400), 2.0 + rng.uniform(-0.02, 0.02, 400)
    install_sample_catalogues(tmp_path, ra, dec)
    found, asked = catalogue_sources(tmp_path, 150.0, 2.0, 30.0)
    assert "gcvs" in asked
    opened = InstalledCatalogue.open(tmp_path / catalogs.FOLDER / "gcvs" / CURRENT)
    place = opened.index.positions
    apart = SkyCoord(150.0, 2.0, unit="deg").separation(SkyCoord(place[:, 0], place[:, 1], unit="deg")).arcsec
    mine = [source["separation"] for source in catalogue_sources(tmp_path, 150.0, 2.0, 10.0)[0] if source["catalogue"] == "gcvs"]
    assert mine == pytest.approx(np.sort(apart[apart <= 10.0]), abs=0.01)
    assert [source["separation"] for source in found] == sorted(source["separation"] for source in found)
    assert catalogue_sources(None, 150.0, 2.0, 30.0) == ([], [])


def test_other_objects_are_shown_and_the_object_itself_is_not(archive: EmbeddedArchive) -> None:
    row = archive.sql("SELECT object_id, ra, dec FROM alerts LIMIT 1").to_pylist()[0]
    # seen from four arcsec beside it
    beside = finder(archive, "ztf", "another", row["ra"], row["dec"] + 4.0 / 3600.0, None)["objects"]
    assert [(each["object_id"], each["north"]) for each in beside if each["object_id"] == row["object_id"]] == [
        (row["object_id"], pytest.approx(-4.0, abs=0.3))
    ]
    assert row["object_id"] not in [
        each["object_id"] for each in finder(archive, "ztf", row["object_id"], row["ra"], row["dec"], None)["objects"]
    ]
