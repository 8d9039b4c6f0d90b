"""A selection is estimated as it will be, and its alerts come in parts, in one order, as of one commit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.rows import declared_columns
from fink.errors import ConditionError, RequestError
from fink.services import selections
from fink.services.exports import export
from fink.services.selections import estimate, meanings, tables
from fink.services.transfers import Selection
from fink.surveys.public import public_columns

ALWAYS = ["d:mjd", "i:candid", "i:jd", "i:objectId"]
NARROW = ("i:magpsf",)


def rows_of(archive: EmbeddedArchive, where: str = "TRUE") -> list[dict[str, Any]]:
    """Ask the archive itself, in the order of a selection."""
    found = archive.sql(f"SELECT * FROM alerts WHERE survey = 'ztf' AND ({where}) ORDER BY night, mjd, alert_id")
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def whole(archive: EmbeddedArchive, selection: Selection) -> pa.Table:
    """Give a selection's tables as one."""
    return pa.concat_tables(tables(selection, archive, archive.last_commit()))


def ways(archive: EmbeddedArchive) -> list[tuple[Selection, list[dict[str, Any]]]]:
    """Give selections that begin in every way, and what they are to bring."""
    everything = rows_of(archive)
    first, names = everything[0], tuple(sorted({row["object_id"] for row in everything[:9]}))
    taken = set(archive.substream("remove_unlikely_transients")["alert_id"].to_pylist())
    near = set(archive.cone(first["ra"], first["dec"], 2.0, "ztf")["alert_id"].to_pylist())
    return [
        (Selection("ztf"), everything),
        (Selection("ztf", start=first["night"], stop=first["night"]), [row for row in everything if row["night"] == first["night"]]),
        (Selection("ztf", where="mag < 20"), rows_of(archive, "mag < 20")),
        (Selection("ztf", objects=names), [row for row in everything if row["object_id"] in names]),
        (Selection("ztf", objects=names, where="mag < 20"), rows_of(archive, f"mag < 20 AND object_id IN {(*names, '')}")),
        (Selection("ztf", positions=((first["ra"], first["dec"]),)), [row for row in everything if row["alert_id"] in near]),
        (Selection("ztf", substream="remove_unlikely_transients"), [row for row in everything if row["alert_id"] in taken]),
    ]


def test_an_estimate_counts_what_the_tables_bring_however_it_begins(archive: EmbeddedArchive) -> None:
    for every_column, rows in ways(archive):
        selection = replace(every_column, columns=NARROW)
        assert rows, selection
        record = estimate(selection, archive)
        assert (record["alerts"], record["exact"]) == (len(rows), True), selection
        assert whole(archive, selection)["i:candid"].to_pylist() == [row["alert_id"] for row in rows], selection


def test_estimated_sizes_are_those_of_the_alerts(archive: EmbeddedArchive) -> None:
    rows = rows_of(archive)
    record = estimate(Selection("ztf"), archive)
    packets = [archive.packet("ztf", row["alert_id"]) for row in rows]
    assert record["packet_bytes"] == pytest.approx(sum(len(packet[0]) for packet in packets if packet), rel=0.3)
    assert record["parquet_bytes"] == pytest.approx(len(export(whole(archive, Selection("ztf")), "parquet", {})), rel=0.1)
    narrow = estimate(Selection("ztf", columns=NARROW), archive)
    assert narrow["alerts"] == record["alerts"]
    assert 0 < narrow["parquet_bytes"] < record["parquet_bytes"] / 4
    limited = estimate(Selection("ztf", limit=len(rows) // 4), archive)
    assert limited["alerts"] == len(rows) // 4
    assert limited["packet_bytes"] == pytest.approx(record["packet_bytes"] / 4, rel=0.05)
    assert estimate(Selection("ztf", limit=10**6), archive)["alerts"] == len(rows)


def test_of_many_places_the_first_stand_for_the_rest(archive: EmbeddedArchive) -> None:
    name = rows_of(archive)[0]["object_id"]
    one = len(rows_of(archive, f"object_id = '{name}'"))
    for count, exact in ((200, True), (300, False)):
        record = estimate(Selection("ztf", objects=(name,) * 200 + ("ZTF00aaaaaaa",) * (count - 200), columns=NARROW), archive)
        assert (record["alerts"], record["exact"]) == (one * count, exact)


def test_of_nothing_no_size_is_estimated(archive: EmbeddedArchive) -> None:
    nothing = {"alerts": 0, "exact": True, "parquet_bytes": None, "packet_bytes": None}
    for selection in (Selection("ztf", stop=19990101), Selection("ztf", objects=("ZTF00aaaaaaa",)), Selection("lsst")):
        assert estimate(selection, archive) == nothing


def test_without_packets_their_size_is_not_known(archive: EmbeddedArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "packet", lambda survey, number: None)
    record = estimate(Selection("ztf", columns=NARROW), archive)
    assert record["packet_bytes"] is None
    assert record["parquet_bytes"] > 0


@pytest.mark.parametrize(
    ("selection", "error", "told"),
    [
        (Selection("ztff"), RequestError, "did you mean ztf"),
        (Selection("ztf", start=20260102, stop=20260101), RequestError, "is after the last"),
        (Selection("ztf", columns=("i:magpsff",)), RequestError, "did you mean i:magpsf"),
        (Selection("ztf", substream="a", objects=("b",)), RequestError, "three ways"),
        (Selection("ztf", where="magg < 1"), ConditionError, "magg"),
    ],
)
def test_what_cannot_be_selected_is_not_estimated(
    archive: EmbeddedArchive, selection: Selection, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        estimate(selection, archive)


def test_tables_come_in_parts_of_bounded_size_in_one_order(archive: EmbeddedArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    last, rows = archive.last_commit(), rows_of(archive)
    selection = Selection("ztf", columns=NARROW)
    at_once = list(tables(selection, archive, last))
    assert len(at_once) == len({row["night"] for row in rows}) == 2
    monkeypatch.setattr(selections, "PART", 50)
    parts = list(tables(selection, archive, last))
    assert max(part.num_rows for part in parts) == 50
    assert len(parts) > 4
    assert pa.concat_tables(parts).equals(pa.concat_tables(at_once))
    assert {part.schema for part in parts} == {at_once[0].schema}


def test_a_limit_holds_over_nights_and_parts(archive: EmbeddedArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "PART", 50)
    rows = rows_of(archive)
    first_night = sum(row["night"] == rows[0]["night"] for row in rows)
    for limit in (1, 50, 51, first_night, first_night + 7, len(rows) + 1):
        found = whole(archive, Selection("ztf", limit=limit, columns=NARROW))
        assert found["i:candid"].to_pylist() == [row["alert_id"] for row in rows[:limit]]


def test_tables_are_as_of_a_commit(archive: EmbeddedArchive) -> None:
    rows = rows_of(archive)
    commits = sorted({row["commit"] for row in rows})
    assert len(commits) > 2
    names = tuple(sorted({row["object_id"] for row in rows}))
    for selection in (Selection("ztf", columns=NARROW), Selection("ztf", objects=names, columns=NARROW)):
        found = pa.concat_tables(tables(selection, archive, commits[1]))
        assert found["i:candid"].to_pylist() == [row["alert_id"] for row in rows if row["commit"] <= commits[1]]
        (empty,) = tables(selection, archive, 0)
        assert empty.num_rows == 0


def test_tables_have_public_names_and_the_archives_values(archive: EmbeddedArchive) -> None:
    rows = rows_of(archive)
    found = whole(archive, Selection("ztf", columns=("d:is_transient", "i:magpsf", "i:fid")))
    assert set(found.column_names) == {*ALWAYS, "d:is_transient", "i:magpsf", "i:fid"}
    assert found["i:magpsf"].to_pylist() == [row["mag"] for row in rows]
    assert found["d:is_transient"].to_pylist() == [row["is_transient"] for row in rows]
    assert found["i:objectId"].to_pylist() == [row["object_id"] for row in rows]
    assert found["i:fid"].to_pylist() == [{"g": 1, "r": 2, "i": 3}[row["band"]] for row in rows]


@pytest.mark.parametrize("columns", [(), NARROW])
def test_an_empty_selection_has_the_columns_of_a_full_one(archive: EmbeddedArchive, columns: tuple[str, ...]) -> None:
    (empty,) = tables(Selection("ztf", stop=19990101, columns=columns), archive, archive.last_commit())
    full = whole(archive, Selection("ztf", columns=columns))
    assert (empty.num_rows, full.num_rows > 0) == (0, True)
    assert empty.schema == full.schema


def test_meanings_are_of_the_chosen_columns_after_those_that_are_always_sent() -> None:
    known = public_columns("ztf", declared_columns().values())
    assert meanings(Selection("ztf")) == known
    chosen = meanings(Selection("ztf", columns=("d:is_transient", "i:candid", "i:magpsf")))
    assert sorted(list(chosen)[: len(ALWAYS)]) == ALWAYS
    assert list(chosen)[len(ALWAYS) :] == ["d:is_transient", "i:magpsf"]
    assert all(column == known[name] for name, column in chosen.items())
    assert chosen["i:magpsf"].unit == "mag"
