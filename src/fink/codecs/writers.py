"""Writers' schemas: packets in the Confluent wire format carry only the number of theirs, and this finds the schema itself.

A message is a zero byte, the number in four bytes (most significant first), and the record. The number is asked for in a folder of
schemas, then in the field tables that Fink brings, then at a schema registry; once for each number, never once for each packet.
"""

from __future__ import annotations

import base64
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from fink.codecs.schemas import parse_schema
from fink.errors import RegistryError, SchemaError

MAGIC = b"\x00"
"""First byte of a message in the wire format."""

PREFIX = 5
"""Bytes before the record in the wire format."""

_TIMEOUT = 10.0
_FILE_NUMBER = re.compile(r"(?:^|[^\d])(\d+)\.avsc\Z")
_FILE_VERSION = re.compile(r"v(\d+)_(\d+)\.alert\.avsc\Z")

Tables = Callable[[int], bytes | None]


def wire_prefix(number: int) -> bytes:
    """Give the bytes that announce a record in the wire format."""
    return MAGIC + number.to_bytes(PREFIX - 1, "big")


class SchemaStore:
    """Finds writers' schemas by number, and remembers them.

    Parameters
    ----------
    tables
        Gives the built-in schema of a number, or None; may raise `SchemaError` to refuse a number with its reason.
    folder
        Folder of ``.avsc`` files: ``NUMBER.avsc``, or the survey's own layout ``MAJOR/MINOR/*.avsc`` with one file per named type.
    registry
        URL of a Confluent-compatible schema registry.
    cache
        Folder where schemas that the registry gave are kept.
    login
        User and password, where the registry asks for them (HTTP basic authentication).
    """

    def __init__(
        self,
        tables: Tables | None = None,
        folder: Path | None = None,
        registry: str = "",
        cache: Path | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self._tables = tables
        self._folder = folder
        self._registry = registry.rstrip("/")
        self._cache = cache
        self._headers = {"Accept": "application/vnd.schemaregistry.v1+json"}
        if login is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        self._found: dict[int, bytes | SchemaError] = {}

    def find(self, number: int) -> bytes:
        """Give the schema of a number as JSON text.

        Raises
        ------
        SchemaError
            If it is nowhere, or of a version that is not supported; the message names the number and the remedy.
        RegistryError
            If the registry does not answer; it is asked again the next time.
        """
        if number not in self._found:
            try:
                self._found[number] = self._look_for(number)
            except RegistryError:
                raise
            except SchemaError as error:
                self._found[number] = error
        found = self._found[number]
        if isinstance(found, SchemaError):
            raise found
        return found

    def _look_for(self, number: int) -> bytes:
        text = (
            (self._folder and _from_folder(self._folder, number))
            or (self._tables and self._tables(number))
            or (self._registry and self._from_registry(number))
        )
        if not text:
            where = f"and {self._registry} does not know it" if self._registry else "and no schema registry is set"
            raise SchemaError(
                f"no schema has the number {number}: no field table has it, {where}; put {number}.avsc into the folder that the setting "
                "surveys.schemas names, or set surveys.registry"
            )
        parse_schema(text)
        return text

    def _from_registry(self, number: int) -> bytes | None:
        """Ask the registry, or the copy of what it said before."""
        kept = self._cache / f"{number}.avsc" if self._cache else None
        if kept and kept.exists():
            return kept.read_bytes()
        url = f"{self._registry}/schemas/ids/{number}"
        request = urllib.request.Request(url, headers=self._headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                text: bytes = orjson.loads(answer.read())["schema"].encode()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            if error.code in (401, 403):
                advice = "check surveys.registry_username and FINK_SURVEYS__REGISTRY_PASSWORD"
                raise RegistryError(f"schema {number}: the registry refuses this user ({error.code} from {url}); {advice}") from error
            raise RegistryError(f"schema {number}: the registry answered {error.code} to {url}; look at its log") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RegistryError(f"schema {number}: no answer from {url} ({error}); check surveys.registry") from error
        if kept:
            _write_whole(kept, text)
        return text


def _write_whole(path: Path, text: bytes) -> None:
    """Write a file so that nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}")
    aside.write_bytes(text)
    aside.replace(path)


def _from_folder(folder: Path, number: int) -> bytes | None:
    """Find a schema in a folder: by its file's number, or by major and minor version with its types in files of their own."""
    for path in sorted(folder.glob("*.avsc")):
        named = _FILE_NUMBER.search(path.name)
        version = _FILE_VERSION.search(path.name)
        if (named and int(named[1]) == number) or (version and int(version[1]) * 100 + int(version[2]) == number):
            return inlined(path)
    below = folder / str(number // 100) / str(number % 100)
    root = next((path for path in sorted(below.glob("*.alert.avsc"))), None) if below.is_dir() else None
    return inlined(root) if root else None


def inlined(path: Path) -> bytes:
    """Give the schema of a file as one text, with the named types that it takes from files beside it.

    Raises
    ------
    SchemaError
        If a file is not JSON, or a named type has none.
    """
    parts = {other.name.removesuffix(".avsc"): other for other in path.parent.glob("*.avsc")}
    return orjson.dumps(_inline(_load(path), parts, set()))


def _load(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise SchemaError(f"{path} is not JSON: {error}; repair or remove it") from error


def _inline(kind: Any, parts: Mapping[str, Path], written: set[str]) -> Any:
    """Copy a type, replacing the first use of each name that has a file by what the file says."""
    if isinstance(kind, list):
        return [_inline(branch, parts, written) for branch in kind]
    if isinstance(kind, str):
        if kind not in parts or kind in written:
            return kind
        written.add(kind)
        return _inline(_load(parts[kind]), parts, written)
    copied = dict(kind)
    if "fields" in copied:
        copied["fields"] = [field | {"type": _inline(field["type"], parts, written)} for field in copied["fields"]]
    for key in ("type", "items", "values"):
        if key in copied and copied.get("type") != "enum":
            copied[key] = _inline(copied[key], parts, written)
    return copied
