"""Users' substreams: their names, what is kept of them, and how condition and places are joined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fink import filters
from fink.errors import ConditionError
from fink.filters.users import Compiled, UserSubstream, check_name, compile_substream

TYPES = {"mag": pa.float32(), "ra": pa.float64(), "dec": pa.float64()}
MINE = UserSubstream("mine", "ana", 3, "my list", "bright", ("ztf",), 17, "watchlist", "abc", 5)


class East:
    """Everything with a right ascension below 180, and how far from there."""

    def match(self, ra: Any, dec: Any) -> tuple[Any, pa.Table]:
        inside = ra < 180.0
        return inside, pa.table({"entry": pa.array([f"at {x:g}" for x in ra], mask=~inside)})


def compiled(places: Any = None) -> Compiled:
    return compile_substream(MINE, TYPES, {"bright": "mag < 18"}, places)


@pytest.mark.parametrize(
    "name", ["ab", "Bright", "my-list", "9lives", "a" * 65, "", "fink_mine", "ftransfer_x", "fxmatch_x", "fast_risers"]
)
def test_names_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(ConditionError):
        check_name(name, filters.registry())


@pytest.mark.parametrize("name", ["abc", "my_list_2", "a" * 64])
def test_names_that_can_be_are_not(name: str) -> None:
    check_name(name, filters.registry())


def test_a_definition_comes_back_as_it_was() -> None:
    assert UserSubstream.from_bytes(MINE.to_bytes()) == MINE


def test_the_record_holds_the_definition_and_its_condition_written_out() -> None:
    record = compiled().record
    definition, canonical = UserSubstream.from_record(record)
    assert definition == MINE
    again = compile_substream(MINE, TYPES, {"bright": "mag < 19"})
    assert canonical == compiled().condition.canonical()
    # a cut that means something else makes another identity, though the user's text is the same
    assert again.identity != compiled().identity


def test_condition_and_places_both_have_to_hold() -> None:
    table = pa.table({"mag": pa.array([17.0, 17.0, 20.0, None], pa.float32()), "ra": [10.0, 200.0, 10.0, 10.0], "dec": [0.0] * 4})
    chosen = compiled(East())
    mask, said = chosen.narrowed(chosen.condition.mask(table), table)
    assert mask.tolist() == [True, False, False, False]
    assert said is not None
    assert said["entry"].to_pylist() == ["at 10", None, None, None]
    assert chosen.columns == {"mag", "ra", "dec"}
    assert (chosen.applies_to("ztf"), chosen.applies_to("lsst")) == (True, False)


def test_without_places_the_condition_decides() -> None:
    table = pa.table({"mag": pa.array([17.0, 20.0], pa.float32())})
    mask, said = compiled().narrowed(np.array([True, False]), table)
    assert mask.tolist() == [True, False]
    assert said is None
