"""The host is the galaxy that a Bayesian would choose: by hand on small skies, and on real supernovae with the redshift of their host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_batches import alert_batch, light_curves
from fink import catalogs, cosmology
from fink.catalogs.importing import import_catalogue
from fink.catalogs.store import InstalledCatalogue
from fink.engines.plan import ABSENT, RUN, build_plan
from fink.science.host import CATALOGUES, Galaxies, associate
from sample_catalogues import plain
from shared_data import shared_data

BY_NAME = {each.name: each for each in CATALOGUES}
ARCSEC = 1.0 / 3600.0
Installed = list[tuple[Galaxies, InstalledCatalogue]]


def install(folder: Path, **rows: list[dict[str, Any]]) -> Installed:
    """Install galaxies of some catalogues, each with the columns that matter."""
    made = []
    for name, galaxies in rows.items():
        declared = plain(catalogs.registry()[name])
        columns = {"ra": pa.float64(), "dec": pa.float64(), **{one.name: one.type for one in declared.fields}}
        columns |= {extra: pa.float64() for extra in ("own_radius", "axis_ratio", "position_angle") if getattr(declared, extra)}
        table = pa.table({column: pa.array([row.get(column) for row in galaxies], type_) for column, type_ in columns.items()})
        pq.write_table(table, folder / f"{name}.parquet")
        import_catalogue(declared, [str(folder / f"{name}.parquet")], folder / catalogs.FOLDER)
        made.append((BY_NAME[name], InstalledCatalogue.open(folder / catalogs.FOLDER / name / "current")))
    return made


def hosts(installed: Installed, ra: float, dec: float, mag: float = 19.0) -> dict[str, Any]:
    found = associate(np.array([ra]), np.array([dec]), np.array([mag]), installed)
    return {name: pa.array(values, from_pandas=True).to_pylist()[0] for name, values in found.items()}


GALAXY = {"ra": 180.0, "dec": 30.0, "name": "near", "redshift": 0.02, "size": 30.0, "axis_ratio": 0.5, "position_angle": 90.0}


def test_an_alert_inside_a_galaxy_is_in_it(tmp_path: Path) -> None:
    row = hosts(install(tmp_path, glade=[GALAXY]), 180.0, 30.0 + 5 * ARCSEC)
    planck = pytest.importorskip("astropy.cosmology").Planck18
    distance = planck.luminosity_distance(0.02).value
    assert (row["host_name"], row["host_catalogue"], row["n_host_candidates"]) == ("near", "glade", 1)
    assert row["host_probability"] > 0.99
    assert row["host_probability"] + row["no_host_probability"] == pytest.approx(1.0)
    assert row["host_separation"] == pytest.approx(5.0, abs=1e-3)
    # the major axis lies east and west, so that north the radius is that of the minor one
    assert row["host_distance_ratio"] == pytest.approx(5.0 / 15.0, rel=1e-3)
    assert row["host_offset"] == pytest.approx(5.0 * planck.kpc_proper_per_arcmin(0.02).value / 60.0, rel=1e-3)
    assert row["host_luminosity_distance"] == pytest.approx(distance, rel=1e-3)
    assert row["absolute_mag"] == pytest.approx(19.0 - 5.0 * np.log10(distance) - 25.0 + 2.5 * np.log10(1.02), abs=2e-3)


def test_the_ellipse_decides_between_two_galaxies(tmp_path: Path) -> None:
    beside = GALAXY | {"ra": 180.0, "dec": 30.0 + 40 * ARCSEC, "name": "edge on", "position_angle": 0.0, "axis_ratio": 0.2}
    round_one = GALAXY | {"name": "round", "axis_ratio": 1.0}
    installed = install(tmp_path, glade=[round_one, beside])
    for dec, expected in ((22.0, "edge on"), (5.0, "round")):
        row = hosts(installed, 180.0, 30.0 + dec * ARCSEC)
        assert (row["host_name"], row["n_host_candidates"]) == (expected, 2)


def test_far_from_every_galaxy_there_is_no_host(tmp_path: Path) -> None:
    row = hosts(install(tmp_path, glade=[GALAXY]), 181.0, 30.0)
    assert row["no_host_probability"] == 1.0
    assert row["n_host_candidates"] == 0
    assert {value for name, value in row.items() if name not in {"no_host_probability", "n_host_candidates"}} <= {None}


def test_one_galaxy_of_several_catalogues_is_one_candidate(tmp_path: Path) -> None:
    near = {"ra": 180.0, "dec": 30.0 + 1.5 * ARCSEC, "hyperleda_name": "the same", "luminosity_distance": 90.0, "angular_distance": 86.0}
    installed = install(tmp_path, glade=[GALAXY | {"redshift": None}], mangrove=[near])
    row = hosts(installed, 180.0, 30.0 + 5 * ARCSEC)
    assert (row["host_name"], row["n_host_candidates"]) == ("near", 1)
    assert row["host_luminosity_distance"] == pytest.approx(90.0)
    assert row["host_redshift"] == pytest.approx(float(cosmology.redshift_at(90.0)), rel=1e-5)


def test_stars_and_clusters_are_no_hosts(tmp_path: Path) -> None:
    star = {"ra": 180.0, "dec": 30.0, "redshift": 0.1, "star_probability": 0.9}
    cluster = {"ra": 180.0, "dec": 30.0, "name": "NGC 1", "type": "OCl", "redshift": 0.001, "own_radius": 300.0, "axis_ratio": 1.0}
    assert hosts(install(tmp_path, legacy=[star], ngc=[cluster]), 180.0, 30.0)["n_host_candidates"] == 0


def test_an_event_brighter_than_any_other_points_elsewhere(tmp_path: Path) -> None:
    far = {"ra": 180.0, "dec": 30.0 + 2 * ARCSEC, "redshift": 0.9, "redshift_err": 0.1, "star_probability": 0.0}
    installed = install(tmp_path, legacy=[far])
    assert hosts(installed, 180.0, 30.0, 18.0)["host_probability"] < hosts(installed, 180.0, 30.0, 22.0)["host_probability"]


@settings(max_examples=60, deadline=None)
@given(
    offset=st.floats(0.0, 99.0),
    angle=st.floats(0.0, 360.0),
    ra=st.sampled_from([0.0, 359.9999, 123.4]),
    dec=st.sampled_from([0.0, 89.99, -60.0]),
)
def test_probabilities_share_one(tmp_path_factory: pytest.TempPathFactory, offset: float, angle: float, ra: float, dec: float) -> None:
    installed = small_sky(tmp_path_factory)
    at_ra, at_dec = moved(ra, dec, offset, angle)
    row = hosts(installed, at_ra, at_dec)
    assert 0.0 < row["no_host_probability"] <= 1.0
    if row["n_host_candidates"]:
        assert 0.0 < row["host_probability"] <= 1.0 - row["no_host_probability"] + 1e-12
        assert row["host_separation"] <= 100.0


_SKIES: list[Installed] = []


def small_sky(folders: pytest.TempPathFactory) -> Installed:
    """Galaxies at the wrap, near the pole and elsewhere; installed once."""
    if not _SKIES:
        rng = np.random.default_rng(1)
        places = [
            moved(ra, dec, rng.uniform(0, 60), rng.uniform(0, 360)) for ra in (0.0, 123.4) for dec in (0.0, 89.99, -60.0) for _ in range(3)
        ]
        galaxies = [
            GALAXY | {"ra": ra, "dec": dec, "redshift": z} for (ra, dec), z in zip(places, rng.uniform(0.001, 0.1, 18), strict=True)
        ]
        _SKIES.append(install(folders.mktemp("sky"), glade=galaxies))
    return _SKIES[0]


def moved(ra: float, dec: float, arcsec: float, angle: float) -> tuple[float, float]:
    """Go some way from a place in a direction from north through east."""
    d, a, way = np.radians(dec), np.radians(angle), np.radians(arcsec * ARCSEC)
    there = np.arcsin(np.sin(d) * np.cos(way) + np.cos(d) * np.sin(way) * np.cos(a))
    turn = np.arctan2(np.sin(a) * np.sin(way) * np.cos(d), np.cos(way) - np.sin(d) * np.sin(there))
    return float((ra + np.degrees(turn)) % 360.0), float(np.degrees(there))


def test_it_runs_with_any_catalogue_and_not_without(tmp_path: Path) -> None:
    batch = alert_batch([{"ra": 180.0, "dec": 30.0, "mag": 19.0}], light_curves([[]]))
    alone, _ = build_plan(["host"], artifacts=tmp_path, filter_registry={}).run(batch)
    assert alone.alerts["host_status"].to_pylist() == [ABSENT]
    assert alone.alerts["no_host_probability"].to_pylist() == [None]
    install(tmp_path, mangrove=[{"ra": 180.0, "dec": 30.0, "luminosity_distance": 90.0, "angular_distance": 86.0}])
    found, _ = build_plan(["host"], artifacts=tmp_path, filter_registry={}).run(batch)
    assert found.alerts["host_status"].to_pylist() == [RUN]
    assert found.alerts["host_catalogue"].to_pylist() == ["mangrove"]


def test_real_transients_are_where_their_redshift_says(tmp_path: Path) -> None:
    """Classified transients of the TNS nearer than a redshift of 0.03, and the part of Mangrove that is at hand."""
    catalogue = import_catalogue(catalogs.registry()["mangrove"], [str(shared_data("catalogs", "mangrove_subset.parquet"))], tmp_path)
    assert len(catalogue.types) > 2
    installed = [(BY_NAME["mangrove"], InstalledCatalogue.open(tmp_path / "mangrove" / "current"))]
    table = pq.read_table(shared_data("catalogs", "tns_dump_16778.parquet"), columns=["ra", "declination", "redshift"])
    ra, dec, redshift = (np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64) for name in table.column_names)
    near = (redshift > 0.0) & (redshift < 0.03)
    found = associate(ra[near], dec[near], np.full(int(near.sum()), 18.0), installed)
    accepted = np.asarray(found["host_probability"]) > 0.9
    difference = np.abs(np.asarray(found["host_redshift"].to_numpy(zero_copy_only=False)) - redshift[near])[accepted]
    assert accepted.sum() > 250
    # a part of Mangrove's distances are photometric, so that some right hosts differ by 0.01
    assert (difference < 0.005).mean() > 0.85
    assert (difference < 0.015).mean() > 0.97
