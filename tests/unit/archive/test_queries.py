"""What an archive answers: commits, single alerts, substreams between two times, cones, light curves, the quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.commits import Quarantined
from fink.errors import NotFoundError
from fink.services.searches import last_of_each
from unit.archive.outcomes import BANDS, NIGHTS, SCHEMA, SmallSky, create, outcome

SKY = SmallSky(20, "lsst", exposures=4)
BODIES = (b"\x01\x02", b"second item")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedArchive]:
    with create(tmp_path_factory.mktemp("queries") / "a") as made:
        for night in NIGHTS[:3]:
            bad = tuple(Quarantined("f.tar", f"entry {len(body)}", "no such schema", body, "lsst", night) for body in BODIES)
            made.apply(outcome(SKY.night(night), quarantined=bad))
        yield made


def everything() -> pa.Table:
    return pa.concat_tables([SKY.night(night).batch.alerts for night in NIGHTS[:3]])


def test_commits_are_given_by_number_and_after_one(archive: EmbeddedArchive) -> None:
    assert archive.last_commit() == 3
    assert [commit.number for commit in archive.commits()] == [1, 2, 3]
    assert [commit.number for commit in archive.commits(after=2)] == [3]
    assert [archive.commit(n).night for n in (1, 2, 3)] == list(NIGHTS[:3])
    for number in (0, -1, 4):
        with pytest.raises(NotFoundError, match=f"there is no commit {number}; the last one is 3"):
            archive.commit(number)


def test_a_commit_gives_its_rows_points_and_selected_packets(archive: EmbeddedArchive) -> None:
    batch = SKY.night(NIGHTS[1]).batch
    rows = archive.commit_rows(2)
    assert rows["alert_id"].to_pylist() == batch.alerts.sort_by([("mjd", "ascending"), ("alert_id", "ascending")])["alert_id"].to_pylist()
    points = archive.commit_points(2)
    earlier = set(SKY.night(NIGHTS[0]).batch.lightcurves.point_id.tolist())
    assert set(points["point_id"].to_pylist()) == set(batch.lightcurves.point_id.tolist()) - earlier
    table, packets = archive.selected(2, "bright")
    assert sorted(table["alert_id"].to_pylist()) == sorted(batch.alerts.filter(pc.field("flux") > 1200)["alert_id"].to_pylist())
    assert [int(packets.body(i).split()[1]) for i in range(len(packets))] == table["alert_id"].to_pylist()
    nothing, none = archive.selected(2, "no such substream")
    assert (nothing.num_rows, len(none)) == (0, 0)


def test_selections_give_each_alert_once_and_what_each_substream_took(archive: EmbeddedArchive) -> None:
    for commit in archive.commits():
        rows, packets, taken = archive.selections(commit.number)
        assert taken.keys() == {name for name, count in commit.selected.items() if count}
        assert len(set(rows["alert_id"].to_pylist())) == len(rows) == len(packets)
        for name, mine in taken.items():
            table, bodies = archive.selected(commit.number, name)
            assert rows.take(pa.array(mine)).equals(table)
            assert [packets.body(row) for row in mine.tolist()] == [bodies.body(i) for i in range(len(bodies))]


def test_single_alerts_come_with_every_column_their_packet_and_stamps(archive: EmbeddedArchive) -> None:
    batch = SKY.night(NIGHTS[2]).batch
    expected, alert_id = batch.alerts.to_pylist()[4], batch.alerts["alert_id"][4].as_py()
    found = archive.alert("lsst", alert_id)
    assert found is not None
    assert {name: found[name] for name in expected} == expected
    assert found["commit"] == 3
    assert archive.packet("lsst", alert_id) == (batch.packets.body(4), SCHEMA)
    assert [archive.stamp_bytes("lsst", alert_id, which) for which in ("science", "template", "difference")] == [
        b"stamp" * 4,
        b"stamp" * 2,
        b"stamp",
    ]
    assert archive.stamp_bytes("lsst", alert_id, "colour") == (
        "there is no stamp called colour; ask for one of science, template, difference"
    )
    assert archive.stamp_bytes("lsst", 1, "science") == "the archive has no alert 1 of lsst"
    assert (archive.alert("ztf", alert_id), archive.packet("ztf", alert_id), archive.packet("lsst", 1)) == (None, None, None)


def test_a_substream_is_given_between_two_times_both_included(archive: EmbeddedArchive) -> None:
    alerts = everything()
    bright = alerts.filter(pc.field("flux") > 1200).sort_by([("mjd", "descending"), ("alert_id", "descending")])
    times = np.unique(bright["mjd"].to_numpy())
    mjd, ids = bright["mjd"].to_numpy(), bright["alert_id"].to_numpy()
    assert len(times) > 6
    just_after, just_before = np.nextafter(times[2], np.inf), np.nextafter(times[5], 0)
    bounds = [(None, None), (times[2], times[5]), (just_after, just_before), (times[5], times[2]), (None, times[0]), (times[-1], None)]
    for start, stop in bounds:
        inside = (mjd >= (-np.inf if start is None else start)) & (mjd <= (np.inf if stop is None else stop))
        assert archive.substream("bright", start=start, stop=stop)["alert_id"].to_pylist() == ids[inside].tolist()
        assert archive.substream("bright", start=start, stop=stop, limit=3)["alert_id"].to_pylist() == ids[inside][:3].tolist()
    assert archive.substream("bright", limit=0).num_rows == 0
    assert archive.substream("brigh").num_rows == 0


def test_a_cone_gives_the_nearest_first_within_radius_times_and_survey(archive: EmbeddedArchive) -> None:
    ra, dec = float(SKY.ra[3]), float(SKY.dec[3])
    mine = everything().filter(pc.field("object_id") == "LSST00003")
    ids, mjd = mine["alert_id"].to_pylist(), mine["mjd"].to_numpy()
    found = archive.cone(ra, dec, 1.0)
    assert sorted(found["alert_id"].to_pylist()) == sorted(ids)
    assert found["separation"].to_numpy().max() < 1e-6
    apart = archive.cone(ra + 360.0, min(dec + 2 / 3600, 90.0), 3.0)
    assert sorted(apart["alert_id"].to_pylist()) == sorted(ids)
    np.testing.assert_allclose(apart["separation"].to_numpy(), 2.0, atol=1e-6)
    assert archive.cone(ra, min(dec + 2 / 3600, 90.0), 1.9).num_rows == 0
    between = archive.cone(ra, dec, 1.0, "lsst", start=mjd[1], stop=mjd[3])
    assert sorted(between["alert_id"].to_pylist()) == sorted(ids[1:4])
    assert archive.cone(ra, dec, 1.0, "ztf").num_rows == 0
    assert "separation" in archive.cone(ra, dec, 1.0, "ztf").column_names


@pytest.mark.parametrize("radius", [1.0, 18000.0])
def test_a_cone_gives_the_last_alert_of_each_object_where_only_that_is_asked_for(archive: EmbeddedArchive, radius: float) -> None:
    left_out = 0
    for ra, dec in zip(SKY.ra.tolist(), SKY.dec.tolist(), strict=True):
        every = archive.cone(ra, dec, radius)
        last = archive.cone(ra, dec, radius, last=True)
        assert last.equals(last_of_each(every))
        left_out += every.num_rows - last.num_rows
        middle = float(np.median(every["mjd"].to_numpy()))
        assert archive.cone(ra, dec, radius, stop=middle, last=True).equals(last_of_each(archive.cone(ra, dec, radius, stop=middle)))
        assert archive.cone(ra, dec, radius, stop=1.0, last=True).num_rows == 0
    assert left_out > 0


@pytest.mark.parametrize(
    ("ra", "dec", "radius"), [(0.0, 90.1, 1.0), (0.0, -91.0, 1.0), (np.nan, 0.0, 1.0), (0.0, np.nan, 1.0), (0.0, 0.0, -1.0)]
)
def test_what_is_no_cone_is_refused(archive: EmbeddedArchive, ra: float, dec: float, radius: float) -> None:
    with pytest.raises(NotFoundError, match="give degrees, dec from -90 to 90, and up to 18000 arcsec"):
        archive.cone(ra, dec, radius)


def test_a_light_curve_has_each_point_once_in_order_of_time(archive: EmbeddedArchive) -> None:
    known: dict[int, float] = {}
    for night in NIGHTS[:3]:
        batch = SKY.night(night).batch
        owners = np.array(batch.alerts["object_id"].to_pylist(), object)[batch.lightcurves.owners()]
        mine = owners == "LSST00003"
        known |= dict(zip(batch.lightcurves.point_id[mine].tolist(), batch.lightcurves.mjd[mine].tolist(), strict=True))
    curve = archive.light_curve("LSST00003")
    assert sorted(curve["point_id"].to_pylist()) == sorted(known)
    assert curve["mjd"].to_pylist() == sorted(known.values())
    assert set(curve["band"].to_pylist()) <= {band.name for band in BANDS}
    for point in curve.to_pylist():
        k = int(np.searchsorted(SKY.times, point["mjd"]))
        assert point["band"] == BANDS[SKY.band[3, k]].name
        assert point["kind"] == ("detection", "forced", "limit")[SKY.kind[3, k]]
        assert (point["flux"] is None) == (point["kind"] == "limit")
    assert archive.light_curve("LSST00003", "ztf").num_rows == 0
    assert archive.light_curve("LSST0000").num_rows == 0
    assert archive.light_curve("nothing").column_names == curve.column_names


def test_the_quarantine_is_listed_in_order_and_its_bytes_are_given(archive: EmbeddedArchive) -> None:
    items = archive.quarantine_items()
    assert [(item["commit"], item["size"], item["position"]) for item in items] == [(1, 2, "entry 2"), (1, 11, "entry 11")]
    assert [archive.quarantine_body(item["id"]) for item in items] == list(BODIES)
    with pytest.raises(NotFoundError, match="nothing in quarantine has the identity 00ff"):
        archive.quarantine_body("00ff")


def test_statistics_and_nights_agree_with_what_was_applied(archive: EmbeddedArchive) -> None:
    alerts = everything()
    statistics = archive.statistics()
    assert (statistics["commits"], statistics["alerts"]) == (3, alerts.num_rows)
    assert statistics["objects"] == len(set(zip(alerts["object_id"].to_pylist(), alerts["sso_name"].to_pylist(), strict=True)))
    assert statistics["points"] == sum(archive.commit_points(n).num_rows for n in (1, 2, 3))
    for night, told in zip(NIGHTS, statistics["nights"], strict=False):
        rows = archive.night(night, "lsst")
        assert told["archived"] == rows.num_rows > 0
        assert rows["mjd"].to_pylist() == sorted(rows["mjd"].to_pylist())
    assert archive.night(NIGHTS[0], "ztf").num_rows == 0


def test_an_empty_archive_answers_with_nothing(tmp_path: Path) -> None:
    with create(tmp_path / "a") as empty:
        assert (empty.last_commit(), list(empty.commits()), empty.files(), empty.quarantine_items()) == (0, [], {}, [])
        assert empty.alert("ztf", 1) is None
        tables = [
            empty.object_alerts("x"),
            empty.light_curve("x"),
            empty.substream("x"),
            empty.cone(0.0, 0.0, 10.0),
            empty.solar_system("x"),
        ]
        assert [table.num_rows for table in tables] == [0] * 5
        assert empty.night(NIGHTS[0]).num_rows == 0
        assert empty.statistics()["alerts"] == 0


def test_a_query_sees_the_tables_that_it_names_however_they_are_written(archive: EmbeddedArchive) -> None:
    n, points = everything().num_rows, sum(archive.commit_points(number).num_rows for number in (1, 2, 3))
    assert archive.sql("SELECT count(*) AS n FROM Alerts")["n"][0].as_py() == n
    assert archive.sql('SELECT count(*) AS n FROM "POINTS"')["n"][0].as_py() == points
    both = archive.sql("SELECT (SELECT count(*) FROM alerts) AS a, (SELECT count(*) FROM points) AS p")
    assert both.to_pylist() == [{"a": n, "p": points}]
    assert archive.sql("SELECT 1 AS one").to_pylist() == [{"one": 1}]
