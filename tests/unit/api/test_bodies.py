"""Bodies are read as what they say that they are, and refused where they are not."""

from __future__ import annotations

import httpx
import pytest

from fink.api.bodies import read_body
from fink.errors import RequestError


def test_json_is_an_object_and_nothing_is_nothing() -> None:
    assert read_body(b'{"a": 1, "b": [2]}', "application/json") == {"a": 1, "b": [2]}
    assert read_body(b'{"a": 1}', "") == {"a": 1}
    assert read_body(b"  ", "application/json") == {}


def test_forms_are_read_as_browsers_and_libraries_send_them() -> None:
    assert read_body(b"ra=10&dec=%2B5&name=SN+2024abc&empty=", "application/x-www-form-urlencoded") == {
        "ra": "10",
        "dec": "+5",
        "name": "SN 2024abc",
        "empty": "",
    }
    data = bytes(range(256)) + b"\r\n--\r\n"
    request = httpx.Request("POST", "http://fink", data={"level": "0.9", "name": "é"}, files={"file": ("map.fits", data)})
    request.read()
    assert read_body(request.content, request.headers["content-type"]) == {"level": "0.9", "name": "é", "file": data}


def test_a_file_may_be_the_whole_body() -> None:
    assert read_body(b"\x1f\x8b", "application/fits") == {"file": b"\x1f\x8b"}
    assert read_body(b"SIMPLE", "application/octet-stream; charset=binary") == {"file": b"SIMPLE"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, "application/json"),
        (b"--x\r\n", "multipart/form-data"),
        (b"--x\r\nno head", "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue', "multipart/form-data; boundary=x"),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(RequestError):
        read_body(body, kind)
