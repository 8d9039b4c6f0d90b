"""`fink catalogs` installs, lists, checks and matches, and a broken or missing source is a failure with its reason."""

from __future__ import annotations

from pathlib import Path

from command_line import Fink


def test_catalogs_from_adding_to_matching(fink: Fink, tmp_path: Path) -> None:
    (tmp_path / "tdes.csv").write_text("name,ra,dec\nAT 2022a,10.5,-20.25\nAT 2022b,200,5\n")
    (tmp_path / "mine.csv").write_text("id,ra,dec\n1,10.5003,-20.25\n2,100,0\n")
    where = ("--set", f"artifacts={tmp_path / 'artifacts'}")
    added = fink("catalogs", "add", "known_tde", str(tmp_path / "tdes.csv"), *where, "--format", "json")
    assert added.status == 0
    assert added.document["rows"] == 2
    listed = {row["name"]: row for row in fink("catalogs", "list", *where, "--format", "json").document}
    assert listed["known_tde"]["rows"] == 2
    assert listed["simbad"]["rows"] is None
    assert "AT 2022a" in fink("catalogs", "match", str(tmp_path / "mine.csv"), *where).words
    assert "5 arcsec" in fink("catalogs", "info", "known_tde", *where).words
    assert fink("catalogs", "verify", *where).status == 0
    assert fink("catalogs", "update", *where, "--format", "json").document[0]["result"] == "unchanged"
    (tmp_path / "tdes.csv").unlink()
    assert fink("catalogs", "update", *where).status == 1
    refused = fink("catalogs", "add", "known_td", *where)
    assert refused.status == 1
    assert "did you mean known_tde" in refused.words
