"""Cursors: where the next page of an answer begins. A page holds what the archive held when the first was asked for, whatever came since.

A cursor names the commit of the first page and the last row that was given, so that nothing is repeated or left out, and none grows old.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from fink.errors import RequestError
from fink.services.searches import Page

_UNIMPORTANT = ("cursor", "n", "columns", "output-format")


def write_cursor(page: Page, question: Mapping[str, Any]) -> str:
    """Write the cursor of the page behind one, for a question with these arguments."""
    data = orjson.dumps([page.commit, page.value, page.alert_id, _fingerprint(question)])
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def read_cursor(text: str, question: Mapping[str, Any]) -> Page:
    """Read a cursor.

    Raises
    ------
    RequestError
        If it is none, or belongs to another question.
    """
    try:
        commit, value, alert_id, fingerprint = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        page = Page(int(commit), float(value), int(alert_id))
    except (binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise RequestError(f"cursor = {text!r} is none; send what the header X-Fink-Cursor of the page before says") from error
    if fingerprint != _fingerprint(question):
        raise RequestError("the cursor belongs to another question; send it with the arguments of the page before")
    return page


def _fingerprint(question: Mapping[str, Any]) -> str:
    said = {name: value for name, value in question.items() if name not in _UNIMPORTANT}
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:12]
