"""A web server on the loopback address that gives the files of a folder, and parts of them, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """One request that was answered with a file: method and address, who asked, the form that was sent, bytes that were given."""

    what: str
    agent: str
    form: bytes
    given: int


@dataclass
class FileServer:
    """A running server; without `ranges` it gives whole files only, as simple servers do."""

    folder: Path
    ranges: bool = True
    address: str = ""
    asked: list[Asked] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    served: FileServer

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, form: bytes) -> None:
        path = self.served.folder / self.path.split("?")[0].lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data, status = path.read_bytes(), 200
        if self.served.ranges and (part := self.headers.get("Range")):
            first, last = part.removeprefix("bytes=").split("-")
            data, status = data[int(first) : int(last) + 1], 206
        self.served.asked.append(Asked(f"{self.command} {self.path}", self.headers.get("User-Agent", ""), form, len(data)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def serving(folder: Path, *, ranges: bool = True) -> Iterator[FileServer]:
    """Serve a folder, which is made where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    served = FileServer(folder, ranges)
    running = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"served": served}))
    served.address = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        running.shutdown()
        thread.join()
        running.server_close()
