"""Nights are counted by class and place once, whole, and again when they have grown."""

from __future__ import annotations

import numpy as np

from fink.archive.embedded import EmbeddedArchive
from fink.services.tallies import AGAIN, ORDER, Tallies, tally_of
from fink.sky import healpix


def test_a_tally_counts_every_alert_of_its_night(archive: EmbeddedArchive) -> None:
    nights = archive.statistics()["nights"]
    for night in nights:
        tally = tally_of(archive, night["survey"], night["night"])
        rows = archive.night(night["night"], night["survey"])
        assert sum(tally.classes.values()) == tally.sky.sum() == night["archived"] == rows.num_rows
        pixels = healpix(ORDER, rows["ra"].to_numpy(), rows["dec"].to_numpy())
        np.testing.assert_array_equal(tally.sky, np.bincount(pixels, minlength=len(tally.sky)))
        classes = rows["fink_class"].fill_null("").value_counts().to_pylist()
        assert tally.classes == {each["values"]: each["counts"] for each in classes}


def test_nights_are_counted_in_steps_that_come_to_an_end(archive: EmbeddedArchive) -> None:
    nights = archive.statistics()["nights"]
    counted = Tallies()
    assert counted.count(archive, nights, seconds=0.0) == len(nights) - 1
    assert counted.total(nights).sky.sum() == nights[-1]["archived"]
    assert counted.count(archive, nights, seconds=0.0) == len(nights) - 2
    assert counted.total(nights).sky.sum() == sum(night["archived"] for night in nights)


def test_a_night_that_has_grown_is_counted_again_but_not_at_once(archive: EmbeddedArchive) -> None:
    now = [0.0]
    counted, nights = Tallies(lambda: now[0]), archive.statistics()["nights"]
    counted.count(archive, nights, 1.0)
    before = [{**night, "archived": night["archived"] - 1} for night in nights]
    assert counted._due(before[0]) is False
    now[0] = AGAIN + 1.0
    assert counted._due(before[0]) is True
    assert counted._due(nights[0]) is False
