"""Artifacts are opened where all their files are, and only there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fink.artifacts import Artifact


@dataclass(frozen=True)
class Pair:
    """What is read from two files."""

    north: str
    south: str
    version: str = "1"

    @classmethod
    def read(cls, north: Path, south: Path) -> Pair:
        return cls(north.read_text(), south.read_text())


MAPS = Artifact("maps", ("maps/north.txt", "maps/south.txt"), Pair.read, "two texts")


def test_it_is_opened_where_all_its_files_are(tmp_path: Path) -> None:
    assert MAPS.open(None) is None
    assert MAPS.open(tmp_path) is None
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "north.txt").write_text("n")
    assert MAPS.open(tmp_path) is None
    (tmp_path / "maps" / "south.txt").write_text("s")
    assert MAPS.open(tmp_path) == Pair("n", "s")
