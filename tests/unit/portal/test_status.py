"""The status agrees with the ledger, and is never an old one."""

from __future__ import annotations

import pytest

from fink.portal.status import bytes_text
from unit.api.conftest import Served


def test_the_status_accounts_for_what_was_received(served: Served) -> None:
    state = served.client.get("/status", params={"format": "json"}).json()
    ledger = served.archive.ledger()
    assert {name: ledger[name] for name in state["counts"]} == state["counts"]
    assert state["balanced"] is ledger["balanced"] is True
    assert {row["module"] for row in state["modules"]} == ledger["modules"].keys()
    assert state["archive"]["commit"] == served.archive.last_commit()
    shown = served.client.get("/status", headers={"Accept": "text/html"}).text
    assert "The ledger balances" in shown
    assert all(row["module"] in shown for row in state["modules"])


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (51_600_000_000, "51.6 GB")])
def test_sizes_are_written_in_their_unit(size: int, text: str) -> None:
    assert bytes_text(size) == text
