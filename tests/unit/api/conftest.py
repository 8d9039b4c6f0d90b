"""A served archive: two simulated nights of ZTF and of LSST, and a real `fink serve` that answers for them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.cli.application import run
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights


@dataclass(frozen=True)
class Served:
    """A server, and the archive that it answers for.

    Parameters
    ----------
    client
        Speaks with the server.
    archive
        A reader of the same archive, to compare with.
    """

    client: httpx.Client
    archive: EmbeddedArchive

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        """Ask by GET; ``output_format`` stands for the argument with the hyphen."""
        return self.client.get(path, params={name.replace("output_format", "output-format"): value for name, value in arguments.items()})

    def rows(self, path: str, **arguments: Any) -> list[dict[str, Any]]:
        """Ask by GET and give the rows of the answer."""
        answer = self.get(path, **arguments)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found


@pytest.fixture(scope="session")
def served_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated nights of two surveys with stamps, archived."""
    folder = tmp_path_factory.mktemp("served")
    for survey, alerts in (("ztf", 60), ("lsst", 30)):
        for night in simulate_nights(survey, 2, alerts, 3, stamps=True):
            write_night(night, folder / "packets" / f"{survey}_{night.night}")
    arguments = ["run", str(folder / "packets"), "--workers", "0", "--archive", str(folder / "archive"), "--format", "json"]
    assert run(arguments) == 0
    return folder / "archive"


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Served]:
    """Start `fink serve` on a free port, and stop it as an operator would."""
    command = [str(Path(sys.executable).parent / "fink"), "serve", "--archive", str(folder), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = next((line for line in server.stderr if "http://" in line), "")
        address = re.search(r"http://[^/]+", line)
        assert address is not None, f"the server did not start: {line}"
        with httpx.Client(base_url=address[0], timeout=60) as client, EmbeddedArchive.reader(folder) as archive:
            yield Served(client, archive)
        server.terminate()
        assert server.wait(30) in (0, -15)


@pytest.fixture(scope="session")
def served(served_archive: Path) -> Iterator[Served]:
    """Serve the archive of the simulated nights."""
    with serving(served_archive) as server:
        yield server
