"""Names are found in the archive and the installed catalogues, the network is asked only where it is configured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.config import NetworkSettings, Settings
from fink.services.catalogues import Catalogues
from fink.services.name_tables import SOLAR_SYSTEM
from fink.services.names import designations_of, resolve


@pytest.fixture
def settings(archive: EmbeddedArchive, tmp_path: Path) -> Settings:
    """Catalogues of transients and of NGC objects, the first of each beside an object of the archive."""
    artifacts = tmp_path / "artifacts"
    alert = archive.object_alerts(archive.object_names("ZTF", "ztf", 1)[0]).to_pylist()[0]
    transients = {
        "name_prefix": ["SN", "AT", "SN"],
        "name": ["2024abc", "2024abcd", "2023xyz"],
        "ra": [alert["ra"], 10.0, 20.0],
        "declination": [alert["dec"], 10.0, 20.0],
        "type": ["SN Ia", None, "SN II"],
        "redshift": [0.03, None, 0.1],
        "internal_names": ["ZTF24abcdefg, ATLAS24abc", "", "PS23xyz"],
        "discoverydate": ["2024-01-01", "2024-01-02", "2023-12-31"],
    }
    pq.write_table(pa.table(transients), tmp_path / "tns.parquet")
    ngc = {"Name": ["NGC0224", "NGC1068"], "ra": [10.6847, 40.6696], "dec": [41.269, -0.0133], "Type": ["G", "G"]}
    pq.write_table(pa.table(ngc), tmp_path / "ngc.parquet")
    for name in ("tns", "ngc"):
        Catalogues(artifacts).add(name, [str(tmp_path / f"{name}.parquet")])
    return Settings(archive=archive.folder, artifacts=artifacts)


def test_positions_come_first(archive: EmbeddedArchive, settings: Settings) -> None:
    (found,) = resolve("10h20m30s -10d20m30s 5'", archive, settings)
    assert (found.kind, found.radius) == ("position", 300)
    assert (found.ra, found.dec) == pytest.approx((155.125, -10.341666667))


def test_objects_are_found_by_their_id_and_its_beginning(archive: EmbeddedArchive, settings: Settings) -> None:
    names = archive.object_names("ZTF", "ztf", 1000)
    (found,) = resolve(names[3].lower(), archive, settings)
    assert (found.kind, found.origin, found.name, found.exact) == ("object", "ztf", names[3], True)
    row = archive.object_alerts(names[3]).to_pylist()[-1]
    assert (found.ra, found.dec) == (row["ra"], row["dec"])
    begun = resolve(names[3][:-2], archive, settings, limit=3)
    assert 0 < len(begun) <= 3
    assert all(each.name.startswith(names[3][:-2]) and not each.exact for each in begun)
    assert resolve(names[3], archive, settings, survey="lsst") == []
    assert resolve(names[3][:-2], archive, settings, beginnings=False) == []


def test_alerts_are_found_by_their_number(archive: EmbeddedArchive, settings: Settings) -> None:
    row = archive.sql("SELECT alert_id, object_id FROM alerts WHERE object_id IS NOT NULL LIMIT 1").to_pylist()[0]
    (found,) = resolve(str(row["alert_id"]), archive, settings)
    assert (found.kind, dict(found.objects[0])) == ("alert", {"survey": "ztf", "object_id": row["object_id"]})


@pytest.mark.parametrize("text", ["SN 2024abc", "sn2024abc", "2024abc", "AT 2024abc", "ZTF24abcdefg", "ATLAS24abc"])
def test_transients_are_found_by_any_of_their_names_with_the_archives_objects(
    archive: EmbeddedArchive, settings: Settings, text: str
) -> None:
    (found,) = resolve(text, archive, settings)
    assert (found.kind, found.origin, found.name, found.type) == ("transient", "tns", "SN 2024abc", "SN Ia")
    assert found.redshift == pytest.approx(0.03)
    assert found.aliases == ("ZTF24abcdefg", "ATLAS24abc")
    assert {"survey": "ztf", "object_id": archive.object_names("ZTF", "ztf", 1)[0]} in [dict(each) for each in found.objects]


def test_beginnings_of_names_are_offered_where_nothing_matches_whole(archive: EmbeddedArchive, settings: Settings) -> None:
    assert [each.name for each in resolve("2024ab", archive, settings)] == ["SN 2024abc", "AT 2024abcd"]
    assert resolve("2024ab", archive, settings, beginnings=False) == []
    assert resolve("2024ab", archive, settings, limit=1)[0].name == "SN 2024abc"


@pytest.mark.parametrize("text", ["NGC 224", "ngc0224", "NGC  224"])
def test_leading_zeros_and_blanks_do_not_matter(archive: EmbeddedArchive, settings: Settings, text: str) -> None:
    assert [each.name for each in resolve(text, archive, settings)] == ["NGC0224"]


def test_solar_system_objects_are_found_in_every_spelling(archive: EmbeddedArchive, settings: Settings, tmp_path: Path) -> None:
    name = archive.sql("SELECT sso_name FROM alerts WHERE is_known_sso LIMIT 1")["sso_name"][0].as_py()
    found = resolve(name, archive, settings)[-1]
    assert found.kind == "solar system"
    assert [each["object_id"] for each in found.objects] == [name]
    assert designations_of(name, archive, settings) == [name]
    (tmp_path / "artifacts" / SOLAR_SYSTEM).write_text(f"number,name,designation\n,Cerberus,{name}\n2,Pallas,1802 AA\n")
    assert designations_of("cerberus", archive, settings) == [name]
    (pallas,) = resolve("Pallas", archive, settings)
    assert (pallas.kind, pallas.aliases, pallas.objects) == ("solar system", ("2", "1802 AA"), ())
    assert name in archive.designations(name[:2], 1000)


def test_nothing_is_found_for_nonsense(archive: EmbeddedArchive, settings: Settings) -> None:
    assert resolve("no such thing", archive, settings) == []
    assert resolve("  ", archive, settings) == []


SESAME = b"""<?xml version="1.0"?><Sesame><Target><Resolver name="S=Simbad"><oname>M  31</oname><otype>AGN</otype>
<jradeg>10.684708</jradeg><jdedeg>41.268750</jdedeg></Resolver></Target></Sesame>"""
QUAERO = b'{"total": 1, "data": [{"name": "Ceres", "type": "Dwarf Planet", "aliases": ["1", "1899 OF"]}]}'


@contextmanager
def answering(asked: list[str]) -> Iterator[str]:
    """Serve what both services say, and note what they are asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = SESAME if "sesame" in self.path else QUAERO
            self.send_response(200 if "Andromeda" in self.path or "Ceres" in self.path else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_network_is_asked_only_where_configured_and_only_for_what_is_not_known(archive: EmbeddedArchive, settings: Settings) -> None:
    asked: list[str] = []
    with answering(asked) as address:
        assert resolve("Andromeda", archive, settings) == []
        network = NetworkSettings(sesame=f"{address}/sesame", quaero=f"{address}/quaero")
        online = settings.model_copy(update={"network": network})
        resolve("NGC 224", archive, online)
        assert asked == []
        (galaxy,) = resolve("Andromeda", archive, online)
        assert (galaxy.name, galaxy.type, galaxy.origin) == ("M  31", "AGN", "sesame")
        assert galaxy.ra == pytest.approx(10.684708)
        (ceres,) = resolve("Ceres", archive, online, origins=frozenset({"solar system"}))
        assert (ceres.kind, ceres.aliases) == ("solar system", ("1", "1899 OF"))
        assert resolve("nobody", archive, online) == []


def test_a_service_that_does_not_answer_knows_nothing(archive: EmbeddedArchive, settings: Settings) -> None:
    dead = settings.model_copy(update={"network": NetworkSettings(sesame="http://127.0.0.1:9/sesame")})
    assert resolve("Andromeda", archive, dead) == []
