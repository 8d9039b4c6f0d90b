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
    replaceable
        Whether it may be replaced while a run goes on: then its one file names the version that is current, which lies beside it
        in a folder of that name.
    optional
        Whether its module does without it: the parameter is None where it is not there. A module all of whose artifacts are
        optional needs one of them.
    """

    name: str
    files: tuple[str, ...]
    read: Callable[..., Versioned]
    about: str
    replaceable: bool = False
    optional: bool = False

    def current(self, folder: Path | None) -> str | None:
        """Give the version that would be opened, without opening it; None where it is not there, or is never replaced."""
        if folder is None or not self.replaceable:
            return None
        try:
            return (folder / self.files[0]).read_text().strip() or None
        except FileNotFoundError:
            return None

    def open(self, folder: Path | None, version: str | None = None) -> Versioned | None:
        """Open it from a folder of artifacts; None where it is not there.

        Parameters
        ----------
        version
            Of one that is replaceable, to open another than the current one.

        Raises
        ------
        ArtifactError
            If it is there and cannot be read.
        """
        paths = [] if folder is None else [folder / name for name in self.files]
        if version is not None and self.replaceable:
            paths = [path.parent / version for path in paths]
        return self.read(*paths) if paths and all(path.exists() for path in paths) else None
