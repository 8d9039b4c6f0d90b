"""How an archive is doing: what was received and what became of it, who lags, what fails, how old and how large things are."""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from fink import science
from fink.archive.embedded import EmbeddedArchive
from fink.services.catalogues import Catalogues

LIBRARIES = ("fink", "numpy", "pyarrow", "polars", "duckdb", "rocksdict", "numba")
"""Whose versions are told."""

OLD = 60.0
"""Age after which a catalogue is remarked upon [d]."""


def health(archive: EmbeddedArchive, catalogues: Catalogues) -> dict[str, Any]:
    """Say how an archive is doing, but for what follows it.

    Returns
    -------
    state
        ``counts`` and ``balanced``; ``sources`` by name and night; ``quarantine`` (reasons with their numbers); ``modules``;
        ``catalogues``; ``disk`` [bytes]; ``archive`` (identity, last commit, what it was planned with); ``versions``.
    """
    ledger = archive.ledger()
    return {
        "counts": {name: ledger[name] for name in ("received", "archived", "quarantined", "duplicate", "late")},
        "balanced": ledger["balanced"],
        "sources": sorted(ledger["sources"], key=lambda source: (-(source["night"] or 0), source["source"])),
        "quarantine": reasons(archive.quarantine_items()),
        "modules": modules(ledger["modules"]),
        "catalogues": ages(catalogues.all()),
        "disk": disk(archive),
        "archive": last(archive),
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }


def reasons(items: Sequence[Mapping[str, Any]], most: int = 40) -> list[dict[str, Any]]:
    """Count why items are in quarantine: ``reason``, ``items``, and the ``survey`` and ``source`` of the newest of them."""
    counts = Counter(str(item["reason"]) for item in items)
    newest = {str(item["reason"]): item for item in items}
    return [
        {"reason": reason, "items": number, "survey": newest[reason].get("survey", ""), "source": newest[reason].get("source", "")}
        for reason, number in counts.most_common(most)
    ]


def modules(counts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say of each science module on how many alerts it ran, gave nothing and failed, and what it cost; the dearest first."""
    known = science.registry()
    rows = [
        {"module": name, "about": known[name].about if name in known else "", "version": known[name].version if name in known else ""}
        | {key: counted[key] for key in ("run", "null", "failed")}
        | {"us_per_alert": round(counted["seconds"] / counted["run"] * 1e6, 2) if counted["run"] else 0.0}
        for name, counted in counts.items()
    ]
    return sorted(rows, key=lambda row: (-row["us_per_alert"], row["module"]))


def ages(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Remark on catalogues that are not installed, or are old; those that are installed come first."""
    remarked = []
    for row in rows:
        remark = "not installed" if not row["installed"] else f"older than {OLD:g} days" if (row["age_days"] or 0) > OLD else ""
        remarked.append({**row, "remark": remark})
    return sorted(remarked, key=lambda row: (not row["installed"], row["name"]))


def disk(archive: EmbeddedArchive) -> dict[str, int]:
    """Say how much the archive takes and how much is left [bytes]."""
    stats, free = archive.stats(), shutil.disk_usage(archive.folder)
    return {"lake": stats["lake_bytes"], "index": stats["index_bytes"], "free": free.free, "whole": free.total}


def last(archive: EmbeddedArchive) -> dict[str, Any]:
    """Say which archive it is, and with what its last commit was made."""
    number = archive.last_commit()
    found: dict[str, Any] = {"id": archive.id, "commit": number, "survey": "", "night": None, "source": "", "plan": "", "artifacts": {}}
    if number:
        commit = archive.commit(number)
        found |= {"survey": commit.survey, "night": commit.night or None, "source": commit.source, "plan": commit.plan_id}
        if commit.plan_id:
            found["artifacts"] = dict(archive.plan(commit.plan_id).artifacts)
    return found
