"""Cards hold what the index, the light curve and the packet of an alert hold."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fink.services.cards import CURVE_DAYS, gather, peak, plain_rows
from unit.api.conftest import Served, served, served_archive

__all__ = ["served", "served_archive"]


def test_a_card_has_the_points_up_to_its_alert_and_its_stamp(served: Served) -> None:
    alerts = served.archive.substream("first_detections", limit=8)
    cards = gather(served.archive, alerts)
    assert [card.row["alert_id"] for card in cards] == alerts["alert_id"].to_pylist()
    for card in cards:
        points = served.archive.light_curve(card.row["object_id"], card.row["survey"]).to_pylist()
        earlier = [p for p in points if p["flux"] is not None and p["flux_err"] is not None and p["mjd"] <= card.row["mjd"] + 1e-6]
        assert sum(map(len, card.curve.values())) == len([p for p in earlier if p["mjd"] > card.row["mjd"] - CURVE_DAYS])
        assert card.stamp is not None
        assert card.stamp.startswith("data:image/png;base64,")


def test_stamps_are_left_out_where_nobody_looks_at_them(served: Served) -> None:
    assert all(card.stamp is None for card in gather(served.archive, served.archive.substream("first_detections", limit=3), stamps=False))


def test_rows_are_plain_values_with_a_date() -> None:
    rows = plain_rows(pa.table({"mjd": [60999.0 + 37 / 86400], "mag": [float("nan")]}))
    assert rows == [{"mjd": pytest.approx(60999.0, abs=0.001), "mag": None, "date": "2025-11-20 00:00:00"}]
    assert plain_rows(pa.table({})) == []


def test_the_peak_is_of_detections() -> None:
    assert peak({"g": [(-1.0, 5.0, 1.0, True), (0.0, 9.0, 1.0, False)], "r": [(0.0, 7.0, 1.0, True)]}) == 7.0
    assert peak({}) is None
