"""The validators of STILTS, written by others from the standards, on a running server."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.api.conftest import Served, served_archive, serving

__all__ = ["served_archive"]

pytestmark = pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed (Debian's package stilts)")

STAGES = "TMV TME TMS TMC CPV CAP AVV QGE QPO EXA"
"""All that concerns a synchronous service."""

YOUNGER = ("features-adql-conditional",)
"""What is in a standard that is younger than the validator."""


@pytest.fixture(scope="module")
def served(served_archive: Path) -> Iterator[Served]:
    with serving(served_archive) as server:
        yield server


def stilts(*words: str) -> str:
    return subprocess.run(["stilts", *words], capture_output=True, text=True, check=False, timeout=600).stdout


def test_the_tap_service_is_as_the_standards_want_it(served: Served) -> None:
    address = f"{str(served.client.base_url).rstrip('/')}/tap"
    told = stilts("taplint", f"tapurl={address}", f"stages={STAGES}").splitlines()
    assert [line for line in told if re.match(r"[EFW]-", line) and not any(word in line for word in YOUNGER)] == []
    assert any(line.startswith("Totals:") for line in told)


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_documents_are_as_the_standards_want_them(served: Served, survey: str, tmp_path: Path) -> None:
    name = served.archive.object_names("", survey, 1)[0]
    query = {"LANG": "ADQL", "QUERY": f"SELECT TOP 5 * FROM {survey}.alerts"}
    for place, (path, arguments) in enumerate(
        (
            ("/tap/sync", {**query, "RESPONSEFORMAT": "votable/td"}),
            ("/tap/sync", {**query, "RESPONSEFORMAT": "votable/b2"}),
            (f"/scs/{survey}", {"RA": "1", "DEC": "1", "SR": "0", "VERB": "3"}),
            (f"/datalink/{survey}/object", {"ID": name}),
            (f"/datalink/{survey}/lightcurve", {"ID": name}),
        )
    ):
        file = tmp_path / f"{place}.vot"
        file.write_bytes(served.client.get(path, params=arguments).content)
        assert stilts("votlint", str(file)) == "", path
