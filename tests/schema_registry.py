"""A small schema registry with the routes that clients read, for tests."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Registry(ThreadingHTTPServer):
    """A schema registry with the routes that clients read."""

    def __init__(self, schemas: dict[int, str], broken: bool = False, port: int = 0, login: str = "") -> None:
        self.asked: list[str] = []
        self.schemas = schemas
        self.broken = broken
        self.login = login
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.login:
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            if base64.b64decode(given).decode() != self.server.login:
                self.send_error(401)
                return
        number = self.path.rpartition("/")[2]
        known = self.path.startswith("/schemas/ids/") and int(number) in self.server.schemas
        answer: dict[str, Any] = {"error_code": 40403, "message": f"Schema {number} not found"}
        if known:
            answer = {"schema": self.server.schemas[int(number)]}
        body = b"<html>" if self.server.broken else json.dumps(answer).encode()
        self.send_response(200 if known or self.server.broken else 404)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    """Answer while the context lasts."""
    thread = threading.Thread(target=registry.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        registry.shutdown()
        registry.server_close()
        thread.join()
