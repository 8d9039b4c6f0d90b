"""The resolver over HTTP: transients, catalogued sources and solar-system objects, one way and the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.config import Settings
from fink.services.catalogues import Catalogues
from in_process import InProcess, answering


@pytest.fixture(scope="module")
def client(served_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """Answer with a catalogue of transients, one of them at an object of the archive, and one of galaxies."""
    folder = tmp_path_factory.mktemp("names")
    with EmbeddedArchive.reader(served_archive) as archive:
        alert = archive.object_alerts(archive.object_names("ZTF", "ztf", 1)[0]).to_pylist()[0]
    rows = {
        "name_prefix": ["SN", "AT"],
        "name": ["2024abc", "2024abd"],
        "ra": [alert["ra"], 10.0],
        "declination": [alert["dec"], 10.0],
        "type": ["SN Ia", None],
        "redshift": [0.03, None],
        "internal_names": ["ZTF24abcdefg", ""],
        "discoverydate": ["2024-01-01", "2024-01-02"],
    }
    pq.write_table(pa.table(rows), folder / "tns.parquet")
    pq.write_table(pa.table({"Name": ["NGC0224"], "ra": [10.68], "dec": [41.27], "Type": ["G"]}), folder / "ngc.parquet")
    for name in ("tns", "ngc"):
        Catalogues(folder).add(name, [str(folder / f"{name}.parquet")])
    with answering(Settings(archive=served_archive, artifacts=folder)) as asked:
        yield asked


@pytest.mark.parametrize("name", ["SN 2024abc", "2024abc", "ZTF24abcdefg"])
def test_transients_are_found_with_the_objects_of_the_survey(client: InProcess, name: str) -> None:
    (row,) = client.rows("/ztf/api/v1/resolver", resolver="tns", name=name)
    assert (row["d:fullname"], row["d:type"], row["d:internalname"]) == ("SN 2024abc", "SN Ia", "ZTF24abcdefg")
    assert row["d:objects"].startswith("ZTF")
    (row,) = client.rows("/lsst/api/v1/resolver", resolver="tns", name_or_id=name)
    assert row["f:fullname"] == "SN 2024abc"
    assert "ZTF" not in row["f:objects"]


def test_beginnings_and_the_number_of_rows(client: InProcess) -> None:
    assert len(client.rows("/ztf/api/v1/resolver", resolver="tns", name="2024ab")) == 2
    assert len(client.rows("/ztf/api/v1/resolver", resolver="tns", name="2024ab", nmax=1)) == 1


def test_catalogued_sources_are_found(client: InProcess) -> None:
    (row,) = client.rows("/ztf/api/v1/resolver", resolver="simbad", name="ngc 224")
    assert (row["oname"], row["catalogue"], row["jradeg"]) == ("NGC0224", "ngc", 10.68)
    answer = client.get("/ztf/api/v1/resolver", {"resolver": "simbad", "name": "Nowhere"})
    assert answer.json() == []
    assert "not installed" in answer.headers["X-Fink-Warning"]


def test_objects_say_what_they_are(client: InProcess, served_archive: Path) -> None:
    with EmbeddedArchive.reader(served_archive) as archive:
        name = archive.object_names("ZTF", "ztf", 1)[0]
    (row,) = client.rows("/ztf/api/v1/resolver", resolver="simbad", name=name, reverse=True)
    assert row["i:objectId"] == name


def test_solar_system_objects_are_found_as_the_survey_writes_them(client: InProcess, served_archive: Path) -> None:
    with EmbeddedArchive.reader(served_archive) as archive:
        name = archive.sql("SELECT min(sso_name) AS name FROM alerts WHERE survey = 'ztf' AND sso_name IS NOT NULL")["name"][0].as_py()
    (row,) = client.rows("/ztf/api/v1/resolver", resolver="ssodnet", name=name, reverse=True)
    assert row["i:ssnamenr"] == name
