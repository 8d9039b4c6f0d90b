"""What a command answered, for the tests of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """What a command answered: its exit status, and what it wrote on the two streams."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """Both streams with lines joined and frames left out: how wide the terminal is does not matter."""
        return " ".join((self.out + self.err).replace("│", " ").split())


Fink = Callable[..., Said]
