"""Stamps show the source where it is and as bright as it is, over the noise that is said, in files that astropy reads."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from fink.simulator.night import derive
from fink.simulator.population import KINDS, make_sky, populate
from fink.simulator.sky import telescope_of
from fink.simulator.stamps import SIDES, Images, Scenes, borrowed, draw, gzipped_fits, lsst_fits, scenes_of, write_stamps

SCIENCE, TEMPLATE, DIFFERENCE = range(3)


def scenes(n: int = 20, **changes: Any) -> Scenes:
    """Give scenes of a source of 1,000 units in the middle of an empty image, with noise of 1 in a pixel."""
    plain = {"source": 1000.0, "noise": 1.0, "sigma": 1.5}
    zero = dict.fromkeys(("host", "host_x", "host_y", "host_size", "trail_x", "trail_y", "sky"), 0.0)
    arrays = {name: np.full(n, value) for name, value in (plain | zero).items()}
    return replace(Scenes(**arrays, artefact=np.zeros(n, np.int64), seed=np.arange(n)), **changes)


def central(images: Images, reach: int) -> Images:
    """Cut out the pixels around the middle."""
    middle = images.shape[-1] // 2
    return images[..., middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]


def centroid(image: Images) -> tuple[float, float]:
    y, x = np.indices(image.shape)
    middle = (image.shape[0] - 1) / 2.0
    bright = np.where(image > 8.0, image, 0.0)
    return float((bright * x).sum() / bright.sum() - middle), float((bright * y).sum() / bright.sum() - middle)


def test_the_flux_in_the_middle_of_the_difference_is_the_source_s() -> None:
    found = central(draw(scenes(200), 63)[:, DIFFERENCE], 7).sum(axis=(1, 2))
    # 15 pixels a side with a noise of 1.04 each
    assert abs(found.mean() - 1000.0) < 4.0 * 15.0 / np.sqrt(200)
    assert 10.0 < found.std() < 22.0


def test_a_fading_source_is_a_hole() -> None:
    images = draw(scenes(source=np.full(20, -1000.0)), 63)[:, DIFFERENCE]
    assert (images[:, 31, 31] < -60.0).all()


def test_the_noise_is_as_said_and_different_in_each_stamp() -> None:
    images = draw(scenes(2, source=np.zeros(2), noise=np.array([1.0, 5.0])), 63)[:, DIFFERENCE]
    np.testing.assert_allclose(images.std(axis=(1, 2)), np.hypot(1.0, 0.3) * np.array([1.0, 5.0]), rtol=0.05)
    assert abs(np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1]) < 0.06


def test_the_science_image_less_the_template_is_the_difference() -> None:
    images = draw(scenes(host=np.full(20, 5000.0), host_size=np.full(20, 3.0), sky=np.full(20, 180.0)), 63)
    left = images[:, SCIENCE] - images[:, TEMPLATE] - images[:, DIFFERENCE]
    # what is left is the template's own noise, drawn twice
    assert abs(left.mean()) < 0.02
    np.testing.assert_allclose(left.std(), 0.3 * np.sqrt(2.0), rtol=0.05)
    np.testing.assert_allclose(np.median(images[:, TEMPLATE]), 180.0, atol=1.0)


def test_a_host_lies_where_it_is_said_with_its_flux() -> None:
    still = scenes(50, source=np.zeros(50))
    host = replace(still, host=np.full(50, 5e4), host_x=np.full(50, 6.0), host_y=np.full(50, -4.0))
    added = (draw(host, 63) - draw(still, 63))[:, TEMPLATE]
    for image in added[:5]:
        np.testing.assert_allclose(centroid(image), (6.0, -4.0), atol=0.05)
    np.testing.assert_allclose(added.sum(axis=(1, 2)), 5e4, rtol=2e-3)
    wide = draw(replace(host, host_size=np.full(50, 4.0)), 63)[:, TEMPLATE]
    assert (wide[:, 27, 37] < 0.5 * draw(host, 63)[:, TEMPLATE][:, 27, 37]).all()


def test_a_moving_source_is_drawn_out_and_keeps_its_flux() -> None:
    still, moving = (draw(scenes(40, trail_x=np.full(40, x), noise=np.full(40, 0.1)), 63)[:, DIFFERENCE] for x in (0.0, 8.0))
    offset = np.arange(63) - 31.0
    rows = [images.mean(axis=(0, 1)).clip(0.05) - 0.05 for images in (still, moving)]
    widths = [np.sqrt(row @ offset**2 / row.sum()) for row in rows]
    assert widths[1] > 2.5 * widths[0]
    np.testing.assert_allclose(moving.sum(axis=(1, 2)).mean(), 1000.0, rtol=0.02)


def test_artefacts_look_like_none_of_the_sources() -> None:
    source, dipole, cosmic, streak = (draw(scenes(8, artefact=np.full(8, kind)), 63)[:, DIFFERENCE] for kind in range(4))
    assert (dipole.min(axis=(1, 2)) < -20.0).all()
    assert (source.min(axis=(1, 2)) > -8.0).all()
    # a cosmic ray is sharper than the point-spread function, a streak reaches the border
    assert (cosmic.max(axis=(1, 2)) > 1.5 * source.max(axis=(1, 2))).all()
    assert (np.concatenate([streak[:, :, 0], streak[:, :, -1]], axis=1).max(axis=1) > 8.0).all()
    assert (np.abs(source[:, :, 0]).max(axis=1) < 8.0).all()


def test_gzipped_stamps_are_read_by_astropy() -> None:
    images = draw(scenes(6), 63)[:, SCIENCE]
    ranges = gzipped_fits(images)
    for start, length, image in zip(ranges.starts.tolist(), ranges.lengths.tolist(), images, strict=True):
        packed = ranges.buffer[start : start + length].tobytes()
        assert packed[:2] == b"\x1f\x8b"
        with fits.open(io.BytesIO(gzip.decompress(packed))) as units:
            np.testing.assert_array_equal(units[0].data, image)


@pytest.mark.parametrize(("which", "side"), [("science", 57), ("template", 69), ("difference", 57)])
def test_lsst_stamps_carry_errors_and_a_point_spread_function(which: str, side: int) -> None:
    images, noise = draw(scenes(4), 30)[:, SCIENCE], np.array([1.0, 2.0, 3.0, 4.0])
    ranges = lsst_fits(images, which, noise)
    assert len(set(ranges.lengths.tolist())) == 1
    for row, start in enumerate(ranges.starts.tolist()):
        with fits.open(io.BytesIO(ranges.buffer[start : start + ranges.lengths[row]].tobytes())) as units:
            units.verify("exception")
            image, error, psf = (unit.data for unit in units)
            np.testing.assert_array_equal(image, images[row])
            assert (error == noise[row]).all()
            assert error.shape == (30, 30)
            assert psf.shape == (side, side)
            np.testing.assert_allclose(psf.sum(), 1.0, rtol=1e-4)


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_three_stamps_are_written_and_lent(survey: str) -> None:
    found = write_stamps(survey, scenes(3), np.array([2, 0, 2, 1]))
    own = write_stamps(survey, scenes(3))
    assert list(found) == ["science", "template", "difference"]
    for which, ranges in found.items():
        assert ranges.starts.tolist() == own[which].starts[[2, 0, 2, 1]].tolist()
        start, length = int(own[which].starts[1]), int(own[which].lengths[1])
        data = own[which].buffer[start : start + length].tobytes()
        with fits.open(io.BytesIO(gzip.decompress(data) if survey == "ztf" else data)) as units:
            assert units[0].data.shape == (SIDES[survey], SIDES[survey])


def test_alerts_borrow_the_stamps_of_their_own_kind_and_share_them_evenly() -> None:
    kind = np.random.default_rng(2).integers(0, 5, 300) * 3
    drawn, shows = borrowed(kind)
    assert (kind[drawn[shows]] == kind).all()
    assert np.bincount(kind[drawn])[::3].tolist() == [8] * 5
    assert np.ptp(np.bincount(shows)[kind[drawn] == 0]) <= 1
    assert (drawn[shows[drawn]] == drawn).all()


def test_scenes_say_what_the_population_is() -> None:
    telescope = telescope_of("ztf")
    sky = make_sky(telescope, np.array([60999]), 3, 0.0)
    population, alerts = populate(sky, 200, 3)
    points = derive(sky, population, 3)
    found = scenes_of(points, alerts, 2.0, 180.0)
    names = np.array([kind.name for kind in KINDS])[population.kind[points.owner[alerts]]]
    np.testing.assert_array_equal(found.source, 2.0 * population.flux[alerts])
    assert ((found.artefact > 0) == (names == "artefact")).all()
    assert set(found.artefact.tolist()) == {0, 1, 2, 3}
    moves = np.isin(names, ["asteroid", "near_earth_object"])
    assert ((np.hypot(found.trail_x, found.trail_y) > 0.0) == moves).all()
    assert ((found.host > 0.0) == ~(moves | (names == "artefact"))).all()
    # the noise of an optimally weighted source: the pixel's times the root of the effective area
    np.testing.assert_allclose(found.noise * np.sqrt(4.0 * np.pi) * found.sigma, 2.0 * population.flux_err[alerts])
    assert (found.sky == 180.0).all()
