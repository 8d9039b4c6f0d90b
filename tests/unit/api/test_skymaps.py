"""Sky maps over HTTP: every way to send one gives the objects that lie in it, and no others."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time

from fink.archive.embedded import EmbeddedArchive
from fink.config import Settings
from fink.sky import healpix
from in_process import InProcess, answering


@pytest.fixture(scope="module")
def client(served_archive: Path) -> Iterator[InProcess]:
    with answering(Settings(archive=served_archive)) as client:
        yield client


@pytest.fixture(scope="module")
def alerts(served_archive: Path) -> list[dict[str, Any]]:
    with EmbeddedArchive.reader(served_archive) as archive:
        text = "SELECT object_id, alert_id, ra, dec, mjd FROM alerts WHERE survey = 'ztf' AND object_id IS NOT NULL ORDER BY mjd, alert_id"
        rows: list[dict[str, Any]] = archive.sql(text).to_pylist()
        return rows


def skymap(pixels: list[int], order: int, **header: Any) -> bytes:
    """Write a map with all the probability in some pixels."""
    values = np.zeros(12 * 4**order)
    values[pixels] = 1 / len(pixels)
    table = fits.BinTableHDU.from_columns([fits.Column("PROB", "D", array=values)])
    table.header.update({"NSIDE": 1 << order, "ORDERING": "NESTED", **header})
    sink = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(sink)
    return sink.getvalue()


def test_the_objects_of_a_region_are_given_however_the_map_is_sent(client: InProcess, alerts: list[dict[str, Any]]) -> None:
    order = 5
    pixels = healpix(order, *(np.array([alert[name] for alert in alerts]) for name in ("ra", "dec")))
    chosen = sorted(set(pixels[:20].tolist()))
    known = {alert["object_id"] for alert, pixel in zip(alerts, pixels, strict=True) if pixel in chosen}
    assert 0 < len(known) < len({alert["object_id"] for alert in alerts})
    data = skymap(chosen, order)
    level: dict[str, Any] = {"credible_level": 0.999, "columns": "i:objectId"}
    sent = (
        {"json": {**level, "bayestar": base64.b64encode(data).decode()}},
        {"json": {**level, "bayestar": repr(data)}},
        {"data": level, "files": {"file": data}},
        {"params": level, "content": data, "headers": {"Content-Type": "application/fits"}},
    )
    for how in sent:
        answer = client.post("/ztf/api/v1/skymap", **how)
        assert answer.status_code == 200, answer.text
        assert {row["i:objectId"] for row in answer.json()} - {None} == known
        assert "square degrees" in answer.headers["X-Fink-Warning"]


@pytest.mark.parametrize(("before", "after"), [(0.5, 0.5), (5, 5), (0.01, 0.3)])
def test_alerts_are_those_around_the_event(client: InProcess, alerts: list[dict[str, Any]], before: float, after: float) -> None:
    moment = alerts[len(alerts) // 2]["mjd"]
    data = skymap(list(range(12)), 0, **{"DATE-OBS": Time(moment, format="mjd", scale="tai").utc.isot})
    answer = client.post(
        "/ztf/api/v1/skymap",
        json={"bayestar": repr(data), "credible_level": 1, "n_day_before": before, "n_day_after": after, "columns": "d:mjd,i:objectId"},
    )
    rows = [row for row in answer.json() if row["i:objectId"]]
    inside = [alert for alert in alerts if -before - 1e-7 <= alert["mjd"] - moment <= after + 1e-7]
    assert {row["i:objectId"] for row in rows} == {alert["object_id"] for alert in inside}
    assert rows[0]["v:jdstartgw"] == pytest.approx(Time(moment, format="mjd", scale="tai").utc.jd, abs=1e-6)


def test_the_network_is_not_asked_where_it_is_not_configured(client: InProcess) -> None:
    answer = client.post("/ztf/api/v1/skymap", json={"event_name": "S190814bv", "credible_level": 0.9})
    assert answer.status_code == 400
    assert "network.gracedb" in answer.json()["detail"]
