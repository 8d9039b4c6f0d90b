"""The interface asked in the test's own process, for an archive and settings of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from fink.api.application import build_application
from fink.archive.embedded import EmbeddedArchive
from fink.archive.rows import declared_columns
from fink.config import Settings
from fink.services.live import LiveArchive


@dataclass(frozen=True)
class InProcess:
    """Asks the application without a server."""

    application: FastAPI

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Send one request, as httpx does."""

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.application)
            async with httpx.AsyncClient(transport=transport, base_url="http://fink", timeout=60) as client:
                return await client.request(method, path, **how)

        return asyncio.run(asked())

    def get(self, path: str, params: dict[str, Any]) -> httpx.Response:
        """Ask by GET."""
        return self.ask("GET", path, params=params)

    def post(self, path: str, **how: Any) -> httpx.Response:
        """Ask by POST."""
        return self.ask("POST", path, **how)

    def rows(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Ask by GET and give the rows of the answer."""
        answer = self.get(path, params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found


@contextmanager
def answering(settings: Settings) -> Iterator[InProcess]:
    """Answer for the archive of some settings."""
    live = LiveArchive(lambda: EmbeddedArchive.reader(settings.archive), 2)
    try:
        yield InProcess(build_application(live, declared_columns(), settings))
    finally:
        live.close()
