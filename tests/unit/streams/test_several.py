"""Several sources as one."""

from __future__ import annotations

from fink.streams import Source
from fink.streams.memory import MemorySource, NightOfPackets
from fink.streams.several import SeveralSources
from simulated import batches_of, given, nights


def memory(survey: str) -> MemorySource:
    return MemorySource([NightOfPackets(night.survey, night.night, night.packets) for night in nights(survey, 1, 30)], survey)


def test_sources_are_read_beside_one_another_to_their_ends() -> None:
    one, other = memory("ztf"), memory("lsst")
    both = SeveralSources([one, other])
    assert both.name == "ztf, lsst"
    assert both.total == one.total + other.total
    batches = batches_of(both)
    assert {batch.survey for batch in batches} == {"ztf", "lsst"}
    assert sorted(given(batches)) == sorted([*given(batches_of(memory("ztf"))), *given(batches_of(memory("lsst")))])
    assert both.total == 0


def test_a_source_without_a_known_end_makes_the_end_unknown() -> None:
    class Endless(MemorySource):
        @property
        def total(self) -> int:
            return None  # type: ignore[return-value]

    endless: Source = Endless([])
    assert SeveralSources([memory("ztf"), endless]).total is None
