"""The live feed gives each alert once, as it is archived, and goes on where a client was cut off."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fink.api.live import Place
from fink.cli.application import run
from fink.errors import RequestError
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights
from unit.api.conftest import Served, serving

TAG = "remove_unlikely_transients"


def listen(served: Served, count: int, connected: threading.Event | None = None, after: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Read so many events of the feed, then hang up."""
    found: list[tuple[str, dict[str, Any]]] = []
    number = ""
    asked = {"tag": TAG, "columns": "i:candid"}
    headers = {"Last-Event-ID": after} if after else {}
    with served.client.stream("GET", "/ztf/api/v1/live", params=asked, headers=headers, timeout=90) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        if connected is not None:
            connected.set()
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = line.removeprefix("id: ")
            elif line.startswith("data: "):
                found.append((number, json.loads(line.removeprefix("data: "))))
            if len(found) == count:
                break
    return found


def test_alerts_come_as_they_are_archived_and_once(tmp_path: Path) -> None:
    first, second = simulate_nights("ztf", 2, 80, 5, stamps=False)
    archive, packets = tmp_path / "archive", [write_night(night, tmp_path / str(night.night)) for night in (first, second)]
    command = ["run", "--workers", "0", "--archive", str(archive), "--set", "batch.alerts=20", "--format", "json"]
    assert run([*command, str(packets[0])]) == 0
    with serving(archive) as served:
        before = {row["alert_id"] for row in served.archive.substream(TAG).to_pylist()}
        heard: list[tuple[str, dict[str, Any]]] = []
        connected = threading.Event()
        listener = threading.Thread(target=lambda: heard.extend(listen(served, 3, connected)))
        listener.start()
        assert connected.wait(60)
        subprocess.run([str(Path(sys.executable).parent / "fink"), *command, str(packets[1])], check=True, capture_output=True)
        listener.join(90)
        served.archive.refresh()
        new = [row["alert_id"] for row in served.archive.substream(TAG).to_pylist() if row["alert_id"] not in before]
        assert len(heard) == 3
        assert len(new) > 5
        rest = listen(served, len(new) - 3, after=heard[-1][0])
        told = [row["i:candid"] for _, row in heard + rest]
        assert sorted(told) == sorted(new)
        numbers = [tuple(map(int, number.split("."))) for number, _ in heard + rest]
        assert numbers == sorted(set(numbers))


def test_a_feed_of_nothing_is_refused(served: Served) -> None:
    answer = served.client.get("/ztf/api/v1/live", params={"tag": "no_such"})
    assert (answer.status_code, answer.json()["status"]) == (400, 400)
    assert served.client.get("/ztf/api/v1/live").json()["detail"] == "tag: Field required"


@pytest.mark.parametrize("text", ["", "x", "1.y", "-1"])
def test_only_ids_of_events_are_places(text: str) -> None:
    with pytest.raises(RequestError, match="Last-Event-ID"):
        Place.parse(text)
    assert Place.parse("17.2") == Place(17, 2)
    assert Place.parse("17") == Place(17)
