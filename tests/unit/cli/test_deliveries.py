"""Followers from the command line: what they are, and how one is forgotten."""

from __future__ import annotations

from pathlib import Path

from command_line import Fink


def test_a_follower_that_is_not_configured_any_more_is_forgotten(packets: Path, fink: Fink, tmp_path: Path) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "out"
    chosen = ("--set", f"files.folder={folder}")
    assert fink("run", packets, "--workers", "0", "--archive", archive, *chosen).status == 0
    name = f"files:{folder.resolve()}"
    (listed,) = fink("followers", "list", "--archive", archive, "--format", "json").document
    assert (listed["follower"], listed["lag"], listed["configured"]) == (name, 0, False)
    assert "undeliverable" in fink("followers", "list", "--archive", archive).words
    assert fink("followers", "list", "--archive", archive, *chosen, "--format", "json").document[0]["configured"] is True

    refused = fink("followers", "forget", name, "--archive", archive, *chosen)
    assert refused.status == 2
    assert "still ask for" in refused.words
    unknown = fink("followers", "forget", name[:-1], "--archive", archive)
    assert unknown.status == 1
    assert f"did you mean {name}" in unknown.words.replace("\n", "")

    forgotten = fink("followers", "forget", name, "--archive", archive, "--format", "json").document
    assert forgotten == {"follower": name, "commit": listed["commit"], "lag": 0, "undeliverable": 0}
    assert fink("followers", "list", "--archive", archive, "--format", "json").document == []
    # it was here, and comes back from the start
    assert fink("run", packets, "--workers", "0", "--archive", archive).status == 0
