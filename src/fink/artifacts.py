"""Artifacts: what science modules read beside alerts (maps, catalogues, models), each found in one folder and known by its version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Versioned(Protocol):
    """What an artifact is once it is open."""

    @property
    def version(self) -> str:
        """Text that changes whenever a value that is read from it may change; commits record it."""


@dataclass(frozen=True)
class Artifact:
    """Something that a science module takes as a parameter of this name, opened once for each process.

    Parameters
    ----------
    name
        Name of the parameter.
    files
        Its files or folders, relative to the folder of artifacts; it is there where all of them are.
    read
        Opens it from the paths of these files.
    about
        What it is, and where to get it.
    """

    name: str
    files: tuple[str, ...]
    read: Callable[..., Versioned]
    about: str

    def open(self, folder: Path | None) -> Versioned | None:
        """Open it from a folder of artifacts; None where it is not there.

        Raises
        ------
        ArtifactError
            If it is there and cannot be read.
        """
        paths = [] if folder is None else [folder / name for name in self.files]
        return self.read(*paths) if paths and all(path.exists() for path in paths) else None
