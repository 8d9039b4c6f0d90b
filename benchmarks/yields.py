"""What each substream selects from the real alerts at hand, with the catalogues at hand.

The folder of real alerts is that of ``FINK_TEST_DATA``, else ``../shared/data`` beside the checkout. Of SIMBAD and of Gaia's parallaxes
nothing is at hand but what the present broker recorded for some of these alerts: catalogues are made of that, so that a place
which it was not asked about counts as unknown here.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq

from benchmarks.result import Result, table_text
from fink import catalogs, factory, filters
from fink.catalogs.importing import import_catalogue
from fink.config import load_settings

DATA = Path(os.environ.get("FINK_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
ALERTS, FEW_ALERTS = ("ztf_alerts", "rubin"), ("ztf_alerts/fink_distributed_2023_2025.avro",)
FILES = {
    "gcvs": ("gcvs.parquet",),
    "vsx": ("vsx_subset.parquet",),
    "spicy": ("spicy_subset.parquet",),
    "mangrove": ("mangrove_subset.parquet",),
    "ngc": ("openngc_NGC.csv.gz",),
    "tns": ("tns_dump_16778.parquet",),
    "known_tde": ("known_tde_148.parquet",),
    "symbiotic_cv": ("symbiotic_and_cataclysmic.parquet",),
    "magnetic_cv": ("magnetic_cataclysmic_variables.csv",),
}
NOTHING = {None, "", "Unknown", "nan", "Gaia DR3"}
SIMBAD, GAIA = ("ra", "dec", "otype"), ("RA_ICRS", "DE_ICRS", "Source", "Plx", "e_Plx")


def recorded() -> Iterator[tuple[float, float, Any, Any, Any]]:
    """Give place, type in SIMBAD, and parallax with error in Gaia, as the present broker recorded them."""
    for name in ("fink_expected/ztf_fink_2026-03-22_31alerts.avro", "fink_expected/lsst_fink_2026_7alerts.avro"):
        with (DATA / name).open("rb") as file:
            for record in fastavro.reader(file):
                alert: Any = record
                seen = alert.get("candidate") or alert["diaSource"]
                if "xm" in alert:
                    said = [alert["xm"].get(key) for key in ("simbad_otype", "gaiadr3_Plx", "gaiadr3_e_Plx")]
                else:
                    said = [alert["cdsxmatch"], alert["Plx"], alert["e_Plx"]]
                yield seen["ra"], seen["dec"], *said
    table = pq.read_table(DATA / "fink_expected" / "ztf_fink_values_table.parquet", columns=["c_ra", "c_dec", "f_cdsxmatch"])
    for row in table.to_pylist():
        yield row["c_ra"], row["c_dec"], row["f_cdsxmatch"], None, None


def install(folder: Path) -> None:
    """Install the catalogues at hand, and what was recorded of the two that are not."""
    places = folder / catalogs.FOLDER
    for name, files in FILES.items():
        import_catalogue(catalogs.registry()[name], [str(DATA / "catalogs" / file) for file in files], places)
    rows = list(recorded())
    types = [(ra, dec, kind) for ra, dec, kind, *_ in rows if kind not in NOTHING and not str(kind).startswith("Fail")]
    stars = [(ra, dec, number, plx, error) for number, (ra, dec, _, plx, error) in enumerate(rows) if plx is not None]
    for name, header, lines in (("simbad", SIMBAD, types), ("gaiadr3", GAIA, stars)):
        file = folder / f"{name}.csv"
        with file.open("w", newline="") as out:
            csv.writer(out).writerows([header, *lines])
        import_catalogue(catalogs.registry()[name], [str(file)], places)


def selected(folder: Path, sources: tuple[str, ...]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Run every substream on every alert; give alerts by survey, and how many each substream took of each."""
    settings = load_settings(None, {"archive": folder / "archive", "artifacts": folder, "run.workers": 0})
    standing = tuple(sorted(filters.registry()))
    settings = settings.model_copy(update={"run": settings.run.model_copy(update={"substreams": standing})})
    with factory.open_archive(settings) as archive:
        factory.run(factory.files_source([DATA / name for name in sources], settings, archive), archive, settings)
        nights = archive.statistics()["nights"]
    alerts: Counter[str] = Counter()
    taken: Counter[tuple[str, str]] = Counter()
    for night in nights:
        alerts[night["survey"]] += night["archived"]
        taken.update({(name, night["survey"]): count for name, count in night["substreams"].items()})
    return alerts, taken


def measure(short: bool) -> Result:
    """Count the selections; a short run reads one file of alerts."""
    if not DATA.exists():
        return Result.of("yields", {}, {}, "Not measured: FINK_TEST_DATA names no folder of real alerts.")
    with tempfile.TemporaryDirectory(dir=os.environ.get("FINK_BENCH_FOLDER")) as name:
        install(Path(name))
        alerts, taken = selected(Path(name), FEW_ALERTS if short else ALERTS)
    surveys = sorted(alerts)
    rows = [[stream, *(taken.get((stream, survey), 0) for survey in surveys)] for stream in sorted(filters.registry())]
    figures: dict[str, float | str] = {f"alerts_{survey}": float(alerts[survey]) for survey in surveys}
    figures["substreams"] = float(len(rows))
    figures["substreams_with_alerts"] = float(sum(any(row[1:]) for row in rows))
    title = "Alerts of each substream, of " + ", ".join(f"{alerts[survey]:,} of {survey}" for survey in surveys)
    return Result.of("yields", figures, {}, table_text(title, ["substream", *surveys], rows))
