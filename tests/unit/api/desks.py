"""A server that may be written to: its own copy of the archive, and askers with tokens."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from fink.archive.state import State
from fink.config import ServeSettings
from fink.services.access import Access

BASE = "/api/v1"


@dataclass(frozen=True)
class Open:
    """A server with an archive of its own.

    Parameters
    ----------
    folder
        The archive's folder.
    client
        Speaks with the server without a token.
    """

    folder: Path
    client: httpx.Client
    process: subprocess.Popen[str]

    def token(self, owner: str = "ana", *scopes: str) -> dict[str, str]:
        """Make a token, and give the header that bears it."""
        _, text = Access(State(self.folder), ServeSettings()).create(owner, scopes or ("write", "order"))
        return {"Authorization": f"Bearer {text}"}

    def ended(self, kind: str, name: str, headers: Mapping[str, str], seconds: float = 120.0) -> dict[str, Any]:
        """Wait until a job or a transfer is over, and give how it stands."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            answer = self.client.get(f"{BASE}/{kind}/{name}", headers=dict(headers))
            assert answer.status_code == 200, answer.text
            record: dict[str, Any] = answer.json()
            if record["state"] not in ("ordered", "running"):
                return record
            time.sleep(0.1)
        raise AssertionError(f"{name} did not end: {record}")


@contextmanager
def opened(archive: Path, folder: Path, **settings: str) -> Iterator[Open]:
    """Copy an archive, and serve the copy with some settings (``serve__readers="2"``)."""
    copy = folder / "archive"
    if not copy.exists():
        shutil.copytree(archive, copy, ignore=shutil.ignore_patterns("readers", "jobs", "state.sqlite*"))
    with started(copy, **settings) as server:
        yield server


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[Open]:
    """Start `fink serve` on a free port; whatever is left of it in the end is stopped."""
    command = [str(Path(sys.executable).parent / "fink"), "serve", "--archive", str(folder), "--port", "0"]
    variables = {f"FINK_{name.upper()}": value for name, value in settings.items()}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}) as process:
        try:
            assert process.stderr is not None
            line = next((line for line in process.stderr if "http://" in line), "")
            address = re.search(r"http://[^/]+", line)
            assert address is not None, f"the server did not start: {line}"
            with httpx.Client(base_url=address[0], timeout=60) as client:
                yield Open(folder, client, process)
        finally:
            process.terminate()
            process.wait(30)
