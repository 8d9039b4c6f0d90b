"""A browser that visits a served archive as people do: on a desk and on a phone, by day and by night."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from unit.api.conftest import Served, served, served_archive

__all__ = ["served", "served_archive"]

Size = Literal["desk", "phone"]
Theme = Literal["light", "dark"]
SIZES: dict[Size, tuple[int, int]] = {"desk": (1280, 800), "phone": (390, 844)}


@dataclass
class Visit:
    """A page that is open in the browser, and what the browser said of it meanwhile.

    Parameters
    ----------
    page
        The page.
    complaints
        Errors and warnings of its console, and errors that its scripts did not catch.
    outside
        Addresses beyond the server that it asked for.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


Open = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium here; .ci/java installs it on Debian")
    with sync_playwright() as playwright:
        # on a busy machine a page may take long; that it comes at all is what is tested
        expect.set_options(timeout=60_000)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, served: Served) -> Open:
    """Open addresses of the served archive."""
    return opener(chromium, served)


def opener(chromium: Browser, served: Served) -> Open:
    """Give what opens addresses of a server."""
    base = str(served.client.base_url)

    @contextmanager
    def opened(address: str, size: Size = "desk", theme: Theme = "light") -> Iterator[Visit]:
        width, height = SIZES[size]
        context = chromium.new_context(
            base_url=base,
            viewport={"width": width, "height": height},
            color_scheme=theme,
            has_touch=size == "phone",
            reduced_motion="reduce",
        )
        context.set_default_timeout(120_000)
        visit = Visit(context.new_page())

        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                visit.complaints.append(message.text)

        visit.page.on("console", said)
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on(
            "request", lambda request: visit.outside.append(request.url) if not request.url.startswith((base, "data:", "blob:")) else None
        )
        try:
            visit.page.goto(address)
            yield visit
        finally:
            context.close()

    return opened
