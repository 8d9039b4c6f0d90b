"""Services on the network: asked where configured, told apart when they do not answer; a server of the test stands for each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fink.config import NetworkSettings
from fink.errors import NetworkError, NotFoundError
from fink.services.outside import ask_quaero, ask_sesame, fetch_skymap

_ANSWERS = {
    "/api/superevents/S190814bv/files/bayestar.fits.gz": b"\x1f\x8bmap",
    "/odd/-oxp/~S?M31": b"<Sesame",
    "/bomb/-oxp/~S?M31": b'<!DOCTYPE a [<!ENTITY b "c">]><Sesame/>',
    "/none/-oxp/~S?M31": b"<Sesame><Target><name>M31</name></Target></Sesame>",
    "/odd/instant-search?q=Ceres&limit=10": b'{"rows": []}',
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = _ANSWERS.get(self.path)
            self.send_response(500 if self.path.startswith("/down") else 404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_sky_map_is_fetched_by_the_events_name(address: str) -> None:
    network = NetworkSettings(gracedb=address)
    assert fetch_skymap("S190814bv", network) == b"\x1f\x8bmap"
    with pytest.raises(NotFoundError, match="no sky map of S200101a"):
        fetch_skymap("S200101a", network)
    with pytest.raises(NotFoundError, match="no name of an event"):
        fetch_skymap("../../secret", network)


def test_nobody_is_asked_unless_configured() -> None:
    for ask in (ask_sesame, ask_quaero, fetch_skymap):
        with pytest.raises(NetworkError, match="with the setting network"):
            ask("M31", NetworkSettings())
    with pytest.raises(NetworkError, match="is no address"):
        ask_sesame("M31", NetworkSettings(sesame="file:///etc/passwd"))


@pytest.mark.parametrize("path", ["odd", "bomb", "down"])
def test_answers_that_cannot_be_read_are_errors(address: str, path: str) -> None:
    with pytest.raises(NetworkError):
        ask_sesame("M31", NetworkSettings(sesame=f"{address}/{path}"))
    with pytest.raises((NetworkError, NotFoundError)):
        ask_quaero("Ceres", NetworkSettings(quaero=f"{address}/{path}"))


def test_a_name_that_nobody_knows_gives_nothing(address: str) -> None:
    assert ask_sesame("M31", NetworkSettings(sesame=f"{address}/none")) == []
