"""What the present broker recorded for real alerts, beside what the same catalogues give here.

The differences are explained in docs/science/recorded-matches.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import polars as pl
import pytest

from fink import catalogs
from fink.catalogs.importing import import_catalogue
from fink.catalogs.store import CURRENT, InstalledCatalogue
from shared_data import shared_data

FILES: Mapping[str, tuple[str, ...]] = {
    "gcvs": ("gcvs.parquet",),
    "vsx": ("vsx_subset.parquet",),
    "spicy": ("spicy_subset.parquet",),
    "x3hsp": ("3hsp.csv.gz",),
    "x4lac": ("table-4LAC-DR3-h.fits.gz", "table-4LAC-DR3-l.fits.gz"),
    "mangrove": ("mangrove_subset.parquet",),
    "tns": ("tns_dump_16778.parquet",),
    "known_tde": ("known_tde_148.parquet",),
    "symbiotic_cv": ("symbiotic_and_cataclysmic.parquet",),
    "magnetic_cv": ("magnetic_cataclysmic_variables.csv",),
    "ngc": ("openngc_NGC.csv.gz",),
    "snad": ("snad_catalog.csv",),
    "oac": ("oac_transients_88k.parquet",),
}
ROWS = {"gcvs": 59099, "x3hsp": 2013, "x4lac": 3814, "tns": 16778, "known_tde": 148, "symbiotic_cv": 2857, "magnetic_cv": 245, "snad": 144}
NOTHING = {None, "Unknown", "nan", "", "None"}
PARQUET = ("dwarf_agn_1", "fink_filters_regular_20250614", "fink_mm_20240115_849_nocutout", "hostless_detection_72")
COLUMNS = {"gcvs": "type", "vsx": "type", "spicy": "class", "x3hsp": "name", "x4lac": "name", "mangrove": "luminosity_distance"}
EXPECTED = {
    "gcvs": {"same": 11, "only recorded": 1, "only here": 2},
    "vsx": {"same": 147, "only recorded": 5, "only here": 3},
    "spicy": {},
    "x3hsp": {},
    "x4lac": {"same": 1},
    "mangrove": {"same": 18, "only recorded": 4, "only here": 3},
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, InstalledCatalogue]:
    """Every catalogue whose rows are at hand, imported from its own format."""
    folder: Path = tmp_path_factory.mktemp("catalogs")
    for name, files in FILES.items():
        import_catalogue(catalogs.registry()[name], [str(shared_data("catalogs", file)) for file in files], folder)
    return {name: InstalledCatalogue.open(folder / name / CURRENT) for name in FILES}


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    """Places of alerts, and what was recorded; a key that a file does not have is absent."""
    rows = []
    with shared_data("fink_expected", "ztf_fink_2026-03-22_31alerts.avro").open("rb") as file:
        alerts: list[Any] = list(fastavro.reader(file))
    for name in (*PARQUET, "superluminous_test_alerts_nocutout"):
        alerts += pl.read_parquet(shared_data("ztf_parquet_fink", f"{name}.parquet")).to_dicts()
    for alert in alerts:
        seen = alert["candidate"]
        said = {"spicy": alert.get("spicy_class"), **{key: alert.get(key) for key in ("gcvs", "vsx", "x3hsp", "x4lac")}}
        if alert.get("mangrove") is not None:
            said["mangrove"] = alert["mangrove"]["lum_dist"]
        known = {key: value for key, value in said.items() if value is not None}
        rows.append({"ra": seen["ra"], "dec": seen["dec"], "mjd": seen["jd"] - 2400000.5, "object": alert["objectId"]} | known)
    for alert in pl.read_parquet(shared_data("rubin", "lsst_fink_transfer_2026-03-27.parquet"), columns=["diaSource", "xm"]).to_dicts():
        seen, xm = alert["diaSource"], alert["xm"]
        said = {"gcvs": xm["gcvs_type"], "vsx": xm["vsx_Type"], "spicy": xm["spicy_class"], "x3hsp": xm["x3hsp_type"]}
        said |= {"x4lac": xm["x4lac_type"], "mangrove": xm["mangrove_lum_dist"]}
        rows.append({"ra": seen["ra"], "dec": seen["dec"], "mjd": seen["midpointMjdTai"], "object": ""} | said)
    assert len(rows) == 790
    return rows


def test_every_catalogue_at_hand_is_imported_whole(installed: dict[str, InstalledCatalogue]) -> None:
    assert {name: len(installed[name]) for name in ROWS} == ROWS
    for name, catalogue in installed.items():
        assert catalogue.record.rows + catalogue.record.skipped >= ROWS.get(name, 1)
        everywhere = catalogue.index.positions
        found = catalogue.match(everywhere[:, 0], everywhere[:, 1])
        assert len(found) == len(catalogue)
        assert found.separation.max() <= catalogue.record.radius


@pytest.mark.parametrize("name", EXPECTED)
def test_matches_are_those_that_were_recorded_but_for_what_is_explained(
    name: str, installed: dict[str, InstalledCatalogue], recorded: list[dict[str, Any]]
) -> None:
    rows = [row for row in recorded if name in row and not str(row[name]).startswith("Fail")]
    ra, dec, mjd = (np.array([row[key] for row in rows]) for key in ("ra", "dec", "mjd"))
    catalogue = installed[name]
    found = catalogue.match(ra, dec, mjd)
    ours = dict(zip(found.position.tolist(), catalogue.take(f"{name}_{COLUMNS[name]}", found.source).to_pylist(), strict=True))
    counts: Counter[str] = Counter()
    for i, row in enumerate(rows):
        was, now = row[name] not in NOTHING, i in ours
        if was and now:
            counts["same" if same(row[name], ours[i]) else "another"] += 1
        elif was or now:
            counts["only recorded" if was else "only here"] += 1
    assert dict(counts) == EXPECTED[name]


def same(recorded: Any, ours: Any) -> bool:
    if isinstance(ours, float):
        return abs(float(recorded) - ours) < 1e-6 * ours
    return str(recorded).strip() == str(ours).strip()


def test_andromeda_holds_its_supernova(installed: dict[str, InstalledCatalogue]) -> None:
    """S And, of 1885, lies in the ellipse of NGC 224; a place beside the disc, as far away, does not."""
    galaxy = installed["ngc"]
    found = galaxy.match([10.6796, 11.2, 10.2], [41.2681, 41.75, 41.9])
    names = dict(zip(found.position.tolist(), galaxy.take("ngc_name", found.source).to_pylist(), strict=True))
    assert names[0] == "NGC0224"
    assert names[1] == "NGC0224"
    assert names.get(2) != "NGC0224"
