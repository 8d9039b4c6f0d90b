"""What is sent in the body of a request: JSON, a form, or a file as it is."""

from __future__ import annotations

import re
from json import JSONDecodeError, loads
from typing import Any
from urllib.parse import parse_qsl

from fink.errors import RequestError

_BINARY = ("application/fits", "image/fits", "application/octet-stream", "application/gzip", "application/x-gzip")
_NAME = re.compile(rb'\bname="([^"\r\n]*)"')


def read_body(body: bytes, content_type: str) -> dict[str, Any]:
    """Give the arguments that a body holds, by name; a file that is sent as it is is called ``file``.

    Raises
    ------
    RequestError
        If it is not what its content type says.
    """
    kind, _, parameters = content_type.partition(";")
    match kind.strip().lower():
        case "application/x-www-form-urlencoded" if not body.lstrip().startswith(b"{"):
            return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        case "multipart/form-data":
            return _read_form(body, parameters)
        case binary if binary in _BINARY:
            return {"file": body}
        case _:
            return _read_json(body)


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        read = loads(body) if body.strip() else {}
    except (JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(read, dict):
        raise RequestError("the body is not a JSON object; send the arguments by name")
    return read


def _read_form(body: bytes, parameters: str) -> dict[str, Any]:
    """Read a form with files (RFC 7578): texts, and bytes where a part names a file."""
    boundary = re.search(r'boundary="?([^";\s]+)', parameters)
    if boundary is None:
        raise RequestError("the form has no boundary; send it as multipart/form-data; boundary=...")
    values: dict[str, Any] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode("latin-1", "replace"))[1:]:
        if part.startswith(b"--"):
            return values
        head, separator, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not separator or name is None:
            raise RequestError("a part of the form has no name")
        values[name[1].decode("utf-8", "replace")] = content if b"filename" in head else content.decode("utf-8", "replace")
    raise RequestError("the form breaks off before its end")
