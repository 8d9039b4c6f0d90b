"""Trials: what a substream would have taken from the archive is what it takes, by night and survey."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from fink import filters
from fink.archive.embedded import EmbeddedArchive
from fink.columns import Column
from fink.config import UserSettings
from fink.errors import NotFoundError, RefusedError
from fink.filters.users import UserSubstream
from fink.services import trials
from fink.services.substreams import Substreams
from simulated import nights

NIGHTS = nights("ztf", 2, 120)


@pytest.fixture
def mine(archive: EmbeddedArchive) -> Substreams:
    return Substreams(archive, UserSettings.model_validate({}))


@pytest.mark.parametrize("name", ["fast_faders", "sso_ztf_candidates", "transient_complete"])
def test_a_trial_of_a_built_in_substream_gives_what_it_selected(mine: Substreams, archive: EmbeddedArchive, name: str) -> None:
    assert mine.try_out(name).selected == archive.ledger()["substreams"][name]
    assert name in filters.registry()


def test_a_trial_may_be_of_a_night_or_of_some_days(mine: Substreams) -> None:
    first, second = (night.night for night in NIGHTS)
    assert [row["night"] for row in mine.try_out("TRUE", night=first).nights] == [first]
    assert [row["night"] for row in mine.try_out("TRUE", days=1).nights] == [second]
    assert [row["night"] for row in mine.try_out("TRUE", days=30).nights] == [first, second]
    assert mine.try_out("TRUE", survey="lsst").nights == []
    with pytest.raises(NotFoundError, match="did you mean ztf"):
        mine.try_out("TRUE", survey="zft")


def test_a_column_that_the_archive_has_not_yet_is_null(mine: Substreams, monkeypatch: pytest.MonkeyPatch) -> None:
    new = {**trials.vocabulary(), "brand_new": Column("brand_new", pa.float32(), about="made tomorrow")}
    monkeypatch.setattr(trials, "vocabulary", lambda: new)
    assert mine.try_out("brand_new > 3").selected == 0
    assert mine.try_out("brand_new IS NULL").selected == mine.try_out("TRUE").selected


def test_there_is_a_limit_where_two_surveys_share_a_night() -> None:
    trial = trials.Trial([{"survey": s, "night": 20200101, "selected": 6} for s in ("ztf", "lsst")])
    assert trial.fullest == (20200101, 12)
    assert trials.Trial([]).fullest == (0, 0)


def test_the_report_holds_what_a_person_and_a_program_ask_for(mine: Substreams) -> None:
    trial = mine.try_out("mag < 19")
    document = trials.report(trial, {"condition": "mag < 19"})
    assert list(document) == ["condition", "selected", "nights", "newest", "us_per_alert"]
    assert document["selected"] == sum(night["selected"] for night in document["nights"]) > 0


def test_there_is_no_cost_without_an_alert(archive: EmbeddedArchive, mine: Substreams, monkeypatch: pytest.MonkeyPatch) -> None:
    cost = trials.measured(archive, mine.named("mag < 19"))
    assert cost is not None
    assert cost > 0.0
    monkeypatch.setattr(EmbeddedArchive, "last_commit", lambda self: 0)
    assert trials.measured(archive, mine.named("mag < 19")) is None


def test_what_fails_on_an_alert_is_refused(archive: EmbeddedArchive) -> None:
    class Failing:
        def match(self, ra: Any, dec: Any) -> Any:
            raise OSError("the disk is gone")

    chosen = trials.compiled(UserSubstream("mine", "ana", 1, "mine", places="x"), Failing())
    with pytest.raises(RefusedError, match="cannot be evaluated: the disk is gone"):
        trials.measured(archive, chosen)
