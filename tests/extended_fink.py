"""A copy of Fink with files added: how a person would extend it, and how tests put misbehaving modules into worker processes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import fink


class ExtendedFink:
    """A copy of the package in a folder; nothing in it is edited, files are only added.

    Parameters
    ----------
    folder
        Where the copy goes.
    files
        Text of each added file, by its path inside the package.
    """

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder = folder
        original = Path(fink.__file__).parent
        shutil.copytree(original, folder / "fink", copy_function=shutil.copy2)
        self.copied = self.digests()
        for name, text in files.items():
            path = folder / "fink" / name
            if path.exists():
                raise FileExistsError(path)
            path.write_text(text)

    def digests(self) -> dict[str, str]:
        """Give a checksum of each source file of the copy, by its path inside the package."""
        package = self.folder / "fink"
        return {str(path.relative_to(package)): hashlib.sha256(path.read_bytes()).hexdigest() for path in package.rglob("*.py")}

    def command(self, *arguments: str | Path) -> list[str]:
        """Give the command line of the copy."""
        return [sys.executable, "-m", "fink.cli", *map(str, arguments)]

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which Python finds the copy first."""
        return {**os.environ, "PYTHONPATH": str(self.folder)}

    def run(self, *arguments: str | Path, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[bytes]:
        """Run a command of the copy."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, cwd=self.folder, capture_output=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"fink {arguments} ended with {done.returncode}:\n{done.stderr.decode()[-4000:]}")
        return done
