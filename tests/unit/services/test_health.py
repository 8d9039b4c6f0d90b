"""The state of an archive agrees with its ledger, its quarantine and its files."""

from __future__ import annotations

from pathlib import Path

from fink.archive.embedded import EmbeddedArchive
from fink.services import health
from fink.services.catalogues import Catalogues


def test_the_state_accounts_for_everything(archive: EmbeddedArchive, tmp_path: Path) -> None:
    state = health.health(archive, Catalogues(tmp_path))
    counts = state["counts"]
    assert state["balanced"] is True
    assert counts["received"] == counts["archived"] + counts["quarantined"] + counts["duplicate"] > 0
    assert {name: sum(source[name] for source in state["sources"]) for name in counts} == counts
    nights = [source["night"] for source in state["sources"]]
    assert nights == sorted(nights, reverse=True)
    assert state["archive"]["commit"] == archive.last_commit()
    assert state["disk"]["lake"] + state["disk"]["index"] > 0
    assert state["versions"]["fink"]


def test_reasons_are_counted_the_most_frequent_first() -> None:
    items = [{"reason": reason, "survey": "ztf", "source": source} for reason, source in (("cut", "a"), ("odd", "b"), ("cut", "c"))]
    rows = health.reasons(items)
    assert [(row["reason"], row["items"], row["source"]) for row in rows] == [("cut", 2, "c"), ("odd", 1, "b")]
    assert len(health.reasons(items, most=1)) == 1


def test_the_dearest_module_comes_first_and_one_that_never_ran_costs_nothing() -> None:
    counted = {"colour": {"run": 100, "null": 3, "failed": 1, "seconds": 0.001}, "gone": {"run": 0, "null": 0, "failed": 0, "seconds": 0.0}}
    rows = health.modules(counted)
    assert [(row["module"], row["us_per_alert"], row["failed"]) for row in rows] == [("colour", 10.0, 1), ("gone", 0.0, 0)]
    assert rows[0]["version"]
    assert rows[1]["about"] == ""


def test_a_catalogue_that_is_old_or_absent_is_remarked_upon() -> None:
    rows = [{"name": name, "installed": age is not None, "age_days": age} for name, age in (("b", None), ("a", 61.0), ("c", 3.0))]
    assert [(row["name"], row["remark"]) for row in health.ages(rows)] == [("a", "older than 60 days"), ("c", ""), ("b", "not installed")]


def test_an_archive_without_commits_is_well(tmp_path: Path) -> None:
    EmbeddedArchive.create(tmp_path / "a").close()
    with EmbeddedArchive.reader(tmp_path / "a") as empty:
        state = health.health(empty, Catalogues(tmp_path))
    assert state["archive"]["commit"] == 0
    assert state["balanced"] is True
