"""Extinction against astropy's projection with scipy's interpolation, against the law of dust, and without maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from alert_batches import random_batch
from dust_maps import NAMES, write_dust_maps
from fink import science, surveys
from fink.engines.plan import ABSENT, build_plan
from fink.errors import ArtifactError
from fink.science.extinction import BANDS, COEFFICIENTS, DUST_MAPS, DustMaps, extinction

ALL_SKY = SkyCoord(
    np.random.default_rng(1).uniform(0.0, 360.0, 2000), np.degrees(np.arcsin(np.random.default_rng(2).uniform(-1.0, 1.0, 2000))), unit="deg"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dust_maps(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def maps(folder: Path) -> DustMaps:
    found = DUST_MAPS.open(folder)
    assert isinstance(found, DustMaps)
    return found


def by_astropy(folder: Path, position: SkyCoord) -> Any:
    """Project with astropy's zenithal equal-area projection, and interpolate with scipy."""
    plane, out = position.galactic, np.empty(len(position))
    for pole, name in NAMES.items():
        with fits.open(folder / "sfd" / name) as opened:
            values, world = np.array(opened[0].data, np.float64), WCS(opened[0].header)
        there = (plane.b.deg >= 0.0) == (pole == 1)
        x, y = world.world_to_pixel_values(plane.l.deg[there], plane.b.deg[there])
        out[there] = map_coordinates(values, [y, x], order=1, mode="nearest")
    return out


def test_reddening_is_that_of_astropy_and_scipy(folder: Path, maps: DustMaps) -> None:
    found = maps.reddening(ALL_SKY.ra.deg, ALL_SKY.dec.deg)
    assert np.ptp(found) > 0.3
    np.testing.assert_allclose(found, by_astropy(folder, ALL_SKY), atol=1e-6)


def test_poles_and_plane_and_unknown_places(folder: Path, maps: DustMaps) -> None:
    edges = SkyCoord(
        l=[0.0, 90.0, 0.0, 90.0, 123.0, 359.999], b=[90.0, -90.0, 1e-9, -1e-9, 0.01, -0.01], unit=units.deg, frame="galactic"
    ).icrs
    np.testing.assert_allclose(maps.reddening(edges.ra.deg, edges.dec.deg), by_astropy(folder, edges), atol=2e-6)
    assert np.isnan(maps.reddening(np.array([np.nan, 10.0, np.inf]), np.array([0.0, np.nan, 1.0]))).all()


def test_each_band_has_its_share_and_a_survey_has_its_bands(maps: DustMaps) -> None:
    names = ["lsst", "ztf", "elasticc", "lsst", "another", None]
    bands = ["y", "g", "r", None, "g", "g"]
    ra, dec = np.full(6, 30.0), np.full(6, -20.0)
    found = extinction.function(ra, dec, pa.array(names, pa.string()), pa.array(bands, pa.string()), maps)
    ebv = found["ebv"]
    assert (ebv > 0.0).all()
    wanted = [1.088, 3.29, 2.273, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(found["extinction"] / ebv, wanted)
    assert (found["extinction_u"][0] / ebv[0], found["extinction_i"][1] / ebv[1]) == pytest.approx((4.145, 1.58))
    assert [np.isfinite(found[f"extinction_{band}"]).tolist() for band in "uy"] == [[True, False, True, True, False, False]] * 2


def fitzpatrick(wavelength: float) -> float:
    """Give A / E(B-V) of the mean law of Fitzpatrick 1999 for R = 3.1 at an optical wavelength [Angstrom]: his table 3, splined."""
    nodes = 1e4 / np.array([np.inf, 26500.0, 12200.0, 6000.0, 5470.0, 4670.0, 4110.0, 2700.0, 2600.0])
    return float(CubicSpline(nodes, [0.0, 0.265, 0.829, 2.688, 3.055, 3.806, 4.315, 6.265, 6.591], bc_type="natural")(1e4 / wavelength))


def test_coefficients_follow_the_law_at_the_effective_wavelengths() -> None:
    """Schlafly and Finkbeiner's table is that law, with 0.78 times 1.32 mag at one micron."""
    scale = 0.78 * 1.32 / fitzpatrick(1e4)
    for survey, known in COEFFICIENTS.items():
        for band in surveys.registry()[survey].bands:
            assert known[band.name.lower()] == pytest.approx(scale * fitzpatrick(band.wavelength), rel=0.012), (survey, band.name)


def test_without_maps_it_does_not_run(tmp_path: Path) -> None:
    out, counts = build_plan(("extinction",), artifacts=tmp_path, filter_registry={}).run(random_batch(1, 9))
    assert counts["extinction"].run == 0
    assert out.alerts["ebv"].null_count == 9
    assert set(out.alerts["extinction_status"].to_pylist()) == {ABSENT}


def test_with_maps_the_version_of_the_plan_is_that_of_their_bytes(folder: Path, tmp_path: Path) -> None:
    plan = build_plan(("extinction",), artifacts=folder, filter_registry={})
    out, _ = plan.run(random_batch(1, 9))
    assert out.alerts["ebv"].null_count < 9
    other = build_plan(("extinction",), artifacts=write_dust_maps(tmp_path, 32), filter_registry={})
    assert plan.record.artifacts["dust_maps"] != other.record.artifacts["dust_maps"]


@pytest.mark.parametrize("content", [b"no fits", b""])
def test_what_is_no_map_is_refused(content: bytes, tmp_path: Path) -> None:
    write_dust_maps(tmp_path)
    (tmp_path / "sfd" / NAMES[1]).write_bytes(content)
    with pytest.raises(ArtifactError, match="fetch it again"):
        DUST_MAPS.open(tmp_path)


def test_an_image_that_is_no_polar_map_is_refused(tmp_path: Path) -> None:
    write_dust_maps(tmp_path)
    fits.PrimaryHDU(np.zeros((4, 4), np.float32)).writeto(tmp_path / "sfd" / NAMES[1], overwrite=True)
    with pytest.raises(ArtifactError, match="lacks CRPIX1, CRPIX2, LAM_NSGP, LAM_SCAL"):
        DUST_MAPS.open(tmp_path)


def test_it_gives_every_band_that_a_survey_may_have() -> None:
    declared = {column.name for column in science.registry()["extinction"].outputs}
    assert declared == {"ebv", "extinction"} | {f"extinction_{band}" for band in BANDS}
