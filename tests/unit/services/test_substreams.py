"""What users do with substreams of their own, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fink import filters
from fink.archive.embedded import EmbeddedArchive
from fink.archive.substreams import UserSubstreams
from fink.config import UserSettings
from fink.errors import ConditionError, NotFoundError, RefusedError
from fink.filters.places import Area, PositionList
from fink.services import substreams as services
from fink.services.substreams import Substreams, Wanted

LIMITS = UserSettings.model_validate({})
WHOLE_SKY = Area(np.array([[0, 12 << 58]], np.int64))


@pytest.fixture
def mine(archive: EmbeddedArchive) -> Substreams:
    return Substreams(archive, LIMITS)


def limited(archive: EmbeddedArchive, **limits: Any) -> Substreams:
    return Substreams(archive, UserSettings.model_validate(limits))


def count(archive: EmbeddedArchive, where: str) -> int:
    return int(archive.sql(f"SELECT count(*) AS n FROM alerts WHERE {where}")["n"][0].as_py())


def some_list(archive: EmbeddedArchive, n: int = 20, radius: float = 1.0) -> PositionList:
    table = archive.sql(f"SELECT ra, dec, object_id FROM alerts WHERE object_id IS NOT NULL ORDER BY alert_id LIMIT {n}")
    return PositionList.build(table["ra"].to_numpy(), table["dec"].to_numpy(), np.full(n, radius), table["object_id"].combine_chunks())


def test_a_filter_is_tried_and_then_on(mine: Substreams, archive: EmbeddedArchive) -> None:
    substream, trial = mine.create("my_bright", "ana", Wanted(where="positive  AND\n mag < 19"))
    assert (substream.version, substream.where, substream.about) == (1, "positive AND mag < 19", "positive AND mag < 19")
    assert trial.selected == count(archive, "positive AND mag < 19") > 10
    assert trial.selected == sum(night["selected"] for night in trial.nights)
    assert trial.microseconds is not None
    assert 0 < trial.microseconds < LIMITS.microseconds
    (listed,) = mine.listed()
    assert (listed["state"], listed["owner"], listed["since_commit"], listed["selected"]) == ("on", "ana", None, 0)
    assert "fink_my_bright_ztf" in listed["topics"]
    assert [row["mjd"] for row in trial.newest] == sorted((row["mjd"] for row in trial.newest), reverse=True)


def test_what_may_be_asked_for_includes_what_selected_nothing_yet(mine: Substreams, archive: EmbeddedArchive) -> None:
    mine.create("my_bright", "ana", Wanted("bright ones", "mag < 19"))
    known = services.known_substreams(archive)
    assert known["my_bright"] == "bright ones"
    assert set(known) == {*filters.registry(), "my_bright"}


def test_an_edit_is_a_new_version_that_keeps_what_is_not_said(mine: Substreams) -> None:
    mine.create("my_bright", "ana", Wanted("bright ones", "mag < 19", ("ztf",), 900), on=False)
    second, _ = mine.edit("my_bright", "ana", Wanted(where="mag < 18"))
    assert (second.version, second.about, second.where, second.surveys, second.most_per_night) == (
        2,
        "bright ones",
        "mag < 18",
        ("ztf",),
        900,
    )
    assert mine.one("my_bright")["state"] == "off"
    assert [version["where"] for version in mine.versions("my_bright")] == ["mag < 19", "mag < 18"]


def test_a_paused_one_is_on_again_when_it_was_edited(mine: Substreams, archive: EmbeddedArchive) -> None:
    first, _ = mine.create("my_bright", "ana", Wanted(where="mag < 19"))
    UserSubstreams(archive.folder).pause(first, "too many")
    assert mine.one("my_bright")["message"] == "too many"
    mine.edit("my_bright", "ana", Wanted(where="mag < 18"))
    assert (mine.one("my_bright")["state"], mine.one("my_bright")["message"]) == ("on", "")


def test_on_off_and_removed(mine: Substreams, archive: EmbeddedArchive) -> None:
    mine.create("my_bright", "ana", Wanted(where="mag < 19"))
    assert mine.switch("my_bright", "ana", "off").state == "off"
    assert mine.switch("my_bright", "ana", "on").state == "on"
    assert mine.switch("my_bright", "ana", "removed").state == "removed"
    assert mine.listed() == []
    with pytest.raises(NotFoundError, match="no user has a substream my_bright"):
        mine.switch("my_bright", "ana", "on")
    with pytest.raises(RefusedError, match="belongs to ana"):
        mine.create("my_bright", "ben", Wanted(where="mag < 19"))
    again, _ = mine.create("my_bright", "ana", Wanted(where="mag < 17"))
    assert again.version == 2


def test_what_belongs_to_another_stays_as_it_is(mine: Substreams) -> None:
    mine.create("my_bright", "ana", Wanted(where="mag < 19"))
    for change in (lambda: mine.edit("my_bright", "ben", Wanted(where="TRUE")), lambda: mine.switch("my_bright", "ben", "off")):
        with pytest.raises(RefusedError, match="belongs to ana, and you are ben"):
            change()
    with pytest.raises(RefusedError, match="ana has a substream my_bright already"):
        mine.create("my_bright", "ben", Wanted(where="mag < 19"))
    assert mine.one("my_bright")["version"] == 1


@pytest.mark.parametrize(
    ("name", "wanted", "error", "said"),
    [
        ("fast_risers", Wanted(where="TRUE"), ConditionError, "built-in"),
        ("My", Wanted(where="TRUE"), ConditionError, "cannot be the name"),
        ("mine", Wanted(where="magg < 3"), ConditionError, "did you mean mag"),
        ("mine", Wanted(where="mag < 3", surveys=("zft",)), NotFoundError, "did you mean ztf"),
        ("mine", Wanted(where="mag < 3", most_per_night=0), RefusedError, "cannot be the limit"),
        ("mine", Wanted(where="mag < 3", most_per_night=20_001), RefusedError, "users.most_per_night"),
        ("mine", Wanted(where="mag < 30", most_per_night=5), RefusedError, "would have selected .* and 5 is its limit"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    mine: Substreams, name: str, wanted: Wanted, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        mine.create(name, "ana", wanted)
    assert mine.listed() == []


def test_what_would_cost_too_much_is_refused(archive: EmbeddedArchive) -> None:
    costly = " AND ".join(f"ln(abs(mag) + {i}) < exp(mag / {i})" for i in range(1, 30))
    assert limited(archive).try_out(costly).microseconds is not None
    with pytest.raises(ConditionError, match="computes more than 2000 things"):
        limited(archive).create("mine", "ana", Wanted(where=f"{costly} AND {costly.replace('mag', 'snr')}"))
    with pytest.raises(RefusedError, match=r"us an alert, and 0\.01 is the limit"):
        limited(archive, microseconds=0.01).create("mine", "ana", Wanted(where=costly))


def test_owners_have_and_change_so_many(archive: EmbeddedArchive) -> None:
    few = limited(archive, per_owner=2, changes_per_hour=100)
    for name in ("one", "two"):
        few.create(name, "ana", Wanted(where="mag < 19"))
    with pytest.raises(RefusedError, match="ana has 2 substreams switched on"):
        few.create("three", "ana", Wanted(where="mag < 19"))
    few.create("three", "ana", Wanted(where="mag < 19"), on=False)
    few.edit("two", "ana", Wanted(where="mag < 18"))
    few.create("four", "ben", Wanted(where="mag < 19"))
    with pytest.raises(RefusedError, match="2 is the limit; switch one off"):
        few.switch("three", "ana", "on")
    hasty = limited(archive, changes_per_hour=4)
    with pytest.raises(RefusedError, match="in the last hour"):
        hasty.switch("one", "ana", "off")
    hasty.switch("four", "ben", "off")


def test_a_watchlist_is_tried_with_its_condition(mine: Substreams, archive: EmbeddedArchive) -> None:
    listed = some_list(archive)
    substream, trial = mine.create("my_list", "ana", Wanted(where="mag < 21", places=listed))
    assert (substream.kind, substream.entries) == ("watchlist", 20)
    assert substream.about == "Alerts in 20 positions where mag < 21"
    rows = archive.sql("SELECT ra, dec FROM alerts WHERE mag < 21")
    inside, _ = listed.match(rows["ra"].to_numpy(), rows["dec"].to_numpy())
    assert trial.selected == inside.sum() > 5
    assert all(row["entry"] == row["object_id"] or row["object_id"] is None for row in trial.newest)
    # the condition changes and the places stay
    second, _ = mine.edit("my_list", "ana", Wanted(where="mag < 20"))
    assert (second.places, second.entries, second.where) == (substream.places, 20, "mag < 20")
    third, _ = mine.edit("my_list", "ana", Wanted(places=some_list(archive, 10)))
    assert (third.places != second.places, third.entries, third.where) == (True, 10, "mag < 20")
    assert mine.try_out("my_list").selected <= trial.selected


def test_an_area_is_tried_too(mine: Substreams, archive: EmbeddedArchive) -> None:
    substream, trial = mine.create("my_area", "ana", Wanted(places=WHOLE_SKY))
    assert (substream.kind, trial.selected) == ("area", count(archive, "TRUE"))
    assert trial.nights == mine.try_out("TRUE").nights


def test_too_many_positions_are_refused(archive: EmbeddedArchive) -> None:
    with pytest.raises(RefusedError, match="20 entries are too many; 19 is the limit"):
        limited(archive, positions=19).create("my_list", "ana", Wanted(places=some_list(archive)))
    assert not (archive.folder / "places").exists()


def test_an_archive_without_an_alert_lets_a_filter_be_made(tmp_path: Path) -> None:
    with EmbeddedArchive.create(tmp_path / "new") as archive:
        substream, trial = Substreams(archive, LIMITS).create("mine", "ana", Wanted(where="mag < 19"))
    assert (substream.version, trial.selected, trial.microseconds) == (1, 0, None)
    assert services.topics(substream)
