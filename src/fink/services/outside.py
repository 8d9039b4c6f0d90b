"""Services on the network that may be asked while a question is answered: name resolvers, and where sky maps are published.

Each is asked only where the settings name its address.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import orjson

from fink.config import NetworkSettings
from fink.errors import NetworkError, NotFoundError

_MOST_BYTES = 200_000_000
_NUMBERS = ("jradeg", "jdedeg")


def ask_sesame(name: str, settings: NetworkSettings) -> list[dict[str, Any]]:
    """Give what SIMBAD, asked through Sesame, knows of a name, in its own words for the fields; none where nothing is known.

    Raises
    ------
    NetworkError
        If Sesame is not configured or does not answer.
    """
    answer = _fetch(f"{_address(settings.sesame, 'network.sesame')}/-oxp/~S?{quote(name)}", settings.timeout)
    if b"<!ENTITY" in answer:
        raise NetworkError("Sesame's answer defines entities, which no honest one does; ask again")
    try:
        resolvers = ElementTree.fromstring(answer).iter("Resolver")
    except ElementTree.ParseError as error:
        raise NetworkError(f"Sesame's answer cannot be read: {error}; ask again") from error
    found = []
    for resolver in resolvers:
        fields = {field.tag: (field.text or "").strip() for field in resolver if not len(field)}
        if "jradeg" in fields and "jdedeg" in fields:
            found.append({"name": resolver.get("name") or ""} | fields | {key: float(fields[key]) for key in _NUMBERS})
    return found


def ask_quaero(name: str, settings: NetworkSettings, limit: int = 10) -> list[dict[str, Any]]:
    """Give what SsODNet knows of a name or number: name, type and aliases of each object.

    Raises
    ------
    NetworkError
        If SsODNet is not configured or does not answer.
    """
    url = f"{_address(settings.quaero, 'network.quaero')}/instant-search?q={quote(name)}&limit={int(limit)}"
    answer = _fetch(url, settings.timeout)
    try:
        rows = orjson.loads(answer)["data"]
        return [
            {"name": str(row["name"]), "type": str(row.get("type", "")), "aliases": [str(each) for each in row.get("aliases") or []]}
            for row in rows
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise NetworkError(f"SsODNet's answer cannot be read: {error}; ask again") from error


def fetch_skymap(event: str, settings: NetworkSettings) -> bytes:
    """Fetch the sky map of a gravitational-wave event from GraceDB, the multi-order one where there is one.

    Raises
    ------
    NetworkError
        If GraceDB is not configured or does not answer.
    NotFoundError
        If it knows no such event.
    """
    address = _address(settings.gracedb, "network.gracedb")
    if not re.fullmatch(r"[A-Za-z]{1,4}\d{4,8}[A-Za-z]*", event):
        raise NotFoundError(f"{event!r} is no name of an event, as S190814bv")
    for file in ("bayestar.multiorder.fits", "bayestar.fits.gz"):
        try:
            return _fetch(f"{address}/api/superevents/{event}/files/{file}", settings.timeout * 6)
        except NotFoundError:
            continue
    raise NotFoundError(f"GraceDB has no sky map of {event}")


def _address(address: str, setting: str) -> str:
    if not address:
        raise NetworkError(f"this server asks nobody on the network for that; whoever runs it can allow it with the setting {setting}")
    if not address.startswith(("https://", "http://")):
        raise NetworkError(f"setting {setting} = {address!r} is no address; it begins with https://")
    return address.rstrip("/")


def _fetch(url: str, timeout: float) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "fink"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            body: bytes = answer.read(_MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise NotFoundError(f"{url} is not there") from error
        raise NetworkError(f"{url} answers {error.code} {error.reason}; ask again later") from error
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise NetworkError(f"{url} does not answer: {error}; ask again later") from error
    if len(body) > _MOST_BYTES:
        raise NetworkError(f"{url} gives more than {_MOST_BYTES} bytes; that is refused")
    return body
