"""Files of the pages have an address that says what is in them."""

from __future__ import annotations

import gzip

import pytest
from starlette.requests import Request

from fink.errors import NotFoundError
from fink.portal.assets import FOREVER, Assets


def request(encoding: str = "") -> Request:
    return Request({"type": "http", "headers": [(b"accept-encoding", encoding.encode())]})


def test_a_file_is_kept_for_ever_at_its_address() -> None:
    assets = Assets()
    _, _, release, name = assets.address("portal.css").split("/")
    answer = assets.answer(request(), release, name)
    assert answer.headers["cache-control"] == FOREVER
    assert answer.headers["content-type"].startswith("text/css")


def test_an_old_address_gives_the_file_of_today_and_is_not_kept() -> None:
    assert Assets().answer(request(), "0" * 12, "portal.css").headers["cache-control"] == "no-cache"


def test_a_file_is_sent_compressed_to_those_who_take_it() -> None:
    assets = Assets()
    plain, compressed = (assets.answer(request(encoding), assets.version, "portal.css") for encoding in ("", "gzip, br"))
    assert gzip.decompress(bytes(compressed.body)) == bytes(plain.body)
    assert len(compressed.body) < len(plain.body) / 2


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"portal.cs; did you mean portal.css\?"):
        Assets().address("portal.cs")
