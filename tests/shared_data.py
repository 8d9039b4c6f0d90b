"""Where the real alerts and catalogues lie that some tests read; they are never part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_data_folder() -> Path:
    """Give the folder of real data: ``FINK_TEST_DATA``, else ``../shared/data`` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("FINK_TEST_DATA", beside))


def shared_data(*parts: str) -> Path:
    """Give one file or folder of the real data, or skip the test with the reason."""
    path = shared_data_folder().joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data not here: {path.name} (set FINK_TEST_DATA to the folder that holds it)")
    return path
