"""Style sheets, scripts and pictures of the pages: held in memory, and kept by browsers for ever, since a change changes their address."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from fink.errors import NotFoundError, did_you_mean

FOREVER = "public, max-age=31536000, immutable"
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain"}


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    media_type: str

    @cached_property
    def compressed(self) -> bytes:
        """The file as most browsers take it."""
        return gzip.compress(self.body, 6, mtime=0)


class Assets:
    """The files under ``static``, at addresses that name what is in them."""

    def __init__(self) -> None:
        self._files = dict(_walk(files("fink.portal").joinpath("static"), ""))
        every = b"".join(name.encode() + asset.body for name, asset in sorted(self._files.items()))
        # one word for all of them, so that a script may name another one beside it
        self.version = hashlib.sha256(every).hexdigest()[:12]

    def address(self, name: str) -> str:
        """Give the address of a file, for templates.

        Raises
        ------
        NotFoundError
            If there is no such file.
        """
        self._file(name)
        return f"/static/{self.version}/{name}"

    def answer(self, request: Request, version: str, name: str) -> Response:
        """Send a file."""
        asset = self._file(name)
        headers = {"Cache-Control": FOREVER if version == self.version else "no-cache", "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", "") or asset.media_type.startswith("font/"):
            return Response(asset.body, media_type=asset.media_type, headers=headers)
        return Response(asset.compressed, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})

    def _file(self, name: str) -> Asset:
        if name not in self._files:
            raise NotFoundError(f"there is no file {name}{did_you_mean(name, self._files)}")
        return self._files[name]


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        else:
            ending = "." + entry.name.rpartition(".")[2]
            kind = _KINDS.get(ending) or mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
            found.append((prefix + entry.name, Asset(entry.read_bytes(), kind)))
    return found
