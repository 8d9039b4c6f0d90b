"""The table of columns leaves nothing out, and says why something is missing."""

from __future__ import annotations

from fink import science, surveys
from fink.archive.embedded import EmbeddedArchive
from fink.columns import CORE
from fink.engines.plan import ABSENT, NOT_RUN
from fink.services.column_tables import STATUS, column_groups, plain


def test_every_column_of_an_alert_is_there_once(archive: EmbeddedArchive) -> None:
    alert = archive.sql("SELECT * FROM alerts ORDER BY n_detections DESC LIMIT 1").to_pylist()[0]
    groups = column_groups(alert, "ztf")
    listed = [name for group in groups for name in [*(each["name"] for each in group["columns"]), *group["missing"]]]
    outputs = {column.name for module in science.registry().values() for column in module.outputs}
    expected = {column.name for column in CORE} | {column.name for column in surveys.registry()["ztf"].columns} | outputs
    assert sorted(listed) == sorted(set(listed)) == sorted(expected)
    shown = {each["name"]: each for group in groups for each in group["columns"]}
    assert shown["mag"]["unit"] == "mag"
    assert shown["mag"]["public"] == "i:magpsf"
    assert shown["mag"]["about"]
    assert shown["alert_id"]["value"] == str(alert["alert_id"])


def test_a_missing_value_has_the_reason_of_its_module() -> None:
    groups = {group["name"]: group for group in column_groups({"rainbow_status": NOT_RUN, "simbad_status": ABSENT}, "lsst")}
    assert groups["rainbow"]["reason"] == STATUS[NOT_RUN]
    assert groups["simbad"]["reason"] == STATUS[ABSENT]
    assert "simbad_type" in groups["simbad"]["missing"]


def test_values_survive_json() -> None:
    assert plain(2**60) == str(2**60)
    assert plain(True) is True
    assert plain(12) == 12
