"""The results page: complete, self-contained, and safe whatever names say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from fink import factory
from fink.cli.runs import summary_document
from fink.config import load_settings
from fink.services import charts
from fink.services.report import MOST_REASONS, Card, Results, render, write_report
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_night


def results(**changed: Any) -> Results:
    summary = {
        "received": 1234,
        "archived": 1200,
        "quarantined": 14,
        "duplicate": 20,
        "balanced": True,
        "seconds": 2.0,
        "rate": 617,
        "modules": [{"module": "colour", "run": 1200, "null": 7, "failed": 2, "us_per_alert": 12.3}],
        "substreams": {"fast_risers": 5, "quality_cuts": 900},
    } | changed.pop("summary", {})
    source = {"source": "night.avro", "night": 20251120, "received": 1234, "archived": 1200, "quarantined": 14, "duplicate": 20, "late": 0}
    row = {"survey": "ztf", "alert_id": 3, "object_id": "ZTF<b>", "ra": 1.0, "dec": -2.0, "mjd": 60000.0, "band": "g", "mag": 18.5}
    points = charts.Points(np.array([59990.0, 60000.0]), np.array([1e3, 2e3]), np.array([1e2, 1e2]), ["g", "r"], np.array([True, True]))
    given: dict[str, Any] = {
        "summary": summary,
        "ledger": {"sources": [source | {"balanced": True}]},
        "about": {"fast_risers": "New and rising"},
        "sky": {"ztf": (np.array([10.0]), np.array([20.0]))},
        "cards": [Card("fast_risers", row, points, {"science": "data:image/png;base64,AAAA"})],
        "reasons": {"the record ends early": 14},
    }
    return Results(**(given | changed))


def test_the_page_says_all_numbers() -> None:
    text = render(results())
    for said in ("1,234", "1,200", "617", "905", "fast_risers", "New and rising", "colour", "12.3", "2025-11-20", "the record ends early"):
        assert said in text
    assert "is balanced" in text
    assert "does not balance" not in text


def test_a_ledger_that_does_not_balance_is_said_so() -> None:
    assert 'bad">The ledger does not balance' in render(results(summary={"balanced": False}))


def test_nothing_comes_from_outside() -> None:
    text = render(results())
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "url(" not in text
    assert "http" not in text
    assert "<script" not in text


def test_names_cannot_break_the_page() -> None:
    text = render(results(reasons={"<script>alert(1)</script>": 1}))
    assert "<script" not in text
    assert "ZTF&lt;b&gt;" in text
    assert text.count("<section") == text.count("</section>")
    assert text.count("<div") == text.count("</div>")


def test_many_reasons_are_cut_short_but_counted() -> None:
    text = render(results(reasons={f"reason {k}": 1 for k in range(MOST_REASONS + 5)}))
    assert f"reason {MOST_REASONS - 1}<" in text
    assert f"reason {MOST_REASONS}<" not in text
    assert '<td class="number">5</td><td>for other reasons' in text


def test_a_run_without_anything_selected_has_a_page_too() -> None:
    text = render(results(cards=[], reasons={}, sky={}, summary={"substreams": {}, "modules": []}))
    assert "Some that were selected" not in text
    assert text.endswith("</html>")


def test_the_page_of_a_real_run_shows_what_the_archive_holds(tmp_path: Path) -> None:
    night = simulate_night("ztf", 150, seed=6, stamps="shared")
    packets = write_night(night, tmp_path / "night")
    settings = load_settings(None, {"archive": tmp_path / "archive", "run.workers": 1, "files.folder": tmp_path / "out"})
    with factory.open_archive(settings) as archive:
        ran = factory.run(factory.files_source([packets], settings, archive), archive, settings)
        summary = summary_document(ran, archive.ledger()["balanced"])
        text = write_report(summary, archive, tmp_path / "page" / "results.html").read_text("utf-8")
    assert "The ledger is balanced" in text
    assert text.count("<article") > 3
    assert text.count("data:image/png;base64,") >= 3 * 3
    names = re.findall(r"<h3>([^<]+)<em>", text)
    assert len(names) == len(set(names))
    assert set(names) <= set(night.truth["object_id"].to_pylist())
