"""Retention: which packets the archive keeps. Rows and points are always kept; packets are nearly all of the bytes."""

from __future__ import annotations

from collections.abc import Mapping

from fink.archive.segments import FileRecord
from fink.errors import ConfigError

GIGABYTE = 1_000_000_000


def keeps_packets(policy: str) -> bool:
    """Say whether every packet is to be written; selected ones always are, until every follower has delivered them."""
    return _limit(policy) > 0


def expired(records: Mapping[str, FileRecord], policy: str, *, delivered: int) -> list[str]:
    """Give the segments of packets that are no longer to be kept, whole ones only, and never one that is being written.

    Parameters
    ----------
    records
        The files that there are, as the index lists them.
    policy
        ``all``; ``selected`` (what substreams took); ``none``; or the newest bytes, selected or not, as ``last:50GB``.
    delivered
        The last commit that every follower has delivered: selected packets of later commits stay, whatever the policy.

    Raises
    ------
    ConfigError
        If there is no such policy.
    """
    kinds = {"packets"} if policy == "selected" else {"packets", "selected"}
    segments = {name: record for name, record in records.items() if record.kind in kinds and record.state in ("open", "closed")}
    beyond = _oldest_beyond(segments, _limit(policy))
    return [name for name in beyond if records[name].kind == "packets" or records[name].last_commit <= delivered]


def _limit(policy: str) -> float:
    """Give how many bytes of packets a policy keeps."""
    if policy == "all":
        return float("inf")
    if policy in ("selected", "none"):
        return 0.0
    if policy.startswith("last:") and policy.endswith("GB"):
        return float(policy.removeprefix("last:").removesuffix("GB")) * GIGABYTE
    raise ConfigError(f"there is no retention {policy!r}; write all, selected, none, or last:50GB")


def _oldest_beyond(segments: Mapping[str, FileRecord], limit: float) -> list[str]:
    """Give the closed segments that lie beyond so many bytes, counted from the newest commit back."""
    kept = 0.0
    beyond = []
    for name, record in sorted(segments.items(), key=lambda item: (-item[1].last_commit, item[0])):
        kept += record.length
        if kept > limit and record.state == "closed":
            beyond.append(name)
    return beyond
