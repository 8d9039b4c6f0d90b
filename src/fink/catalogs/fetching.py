"""Public distributions of catalogues are fetched from the network: only when somebody asks for it, never in the stream."""

from __future__ import annotations

import os
import re
import shutil
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fink.catalogs.declaration import Catalogue, Download
from fink.errors import CatalogueError

TIMEOUT = 600.0
"""Seconds that a server may take before it sends the next bytes: some make the file while one waits."""

_NAME = re.compile(r"\{([A-Z_]+)\}")


def addresses(download: Download) -> list[str]:
    """Give the addresses that a download stands for."""
    return [download.url.replace("{piece}", piece) for piece in download.pieces or ("",)]


@contextmanager
def fetched(catalogue: Catalogue, folder: Path, progress: Callable[[str], None] = lambda address: None) -> Iterator[list[str]]:
    """Give the files of a catalogue's public distribution, which are gone afterwards; of a HATS catalogue its address.

    Parameters
    ----------
    folder
        Where files are kept meanwhile.

    Raises
    ------
    CatalogueError
        If the catalogue has no public address, a server does not answer, or a key that it asks for is not in the environment.
    """
    download = catalogue.download
    if download is None:
        raise CatalogueError(f"catalogue {catalogue.name} is read from a file that you have: fink catalogs add {catalogue.name} FILE")
    if not download.suffix:
        yield addresses(download)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".fetched-") as name:
        files = []
        for number, address in enumerate(addresses(download)):
            progress(address)
            files.append(str(Path(name) / f"{catalogue.name}-{number}{download.suffix}"))
            _fetch(download, address, Path(files[-1]))
        yield files


def _fetch(download: Download, address: str, target: Path) -> None:
    headers = {name: _filled(value) for name, value in download.headers.items()}
    form = {name: _filled(value) for name, value in download.form.items()}
    body = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(_filled(address), body, headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
    except OSError as error:
        raise CatalogueError(f"{address} cannot be fetched: {error}; try again later, or add a file that you have") from error


def _filled(text: str) -> str:
    """Put the values of environment variables in their places."""

    def value(match: re.Match[str]) -> str:
        name = f"FINK_{match[1]}"
        if name not in os.environ:
            raise CatalogueError(f"fetching this catalogue needs {name}; set this environment variable")
        return os.environ[name]

    return _NAME.sub(value, text)
