"""How soon pages of the portal stand complete in a real browser that has never seen them: ``make bench NAME=paint``.

A small simulated archive is served by a real ``fink serve``. For each visit the browser starts with empty caches. A page is complete when
its largest part is painted and everything that it needs has been loaded and run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from benchmarks.result import Result, table_text
from benchmarks.serve import served
from fink.archive.embedded import EmbeddedArchive
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights

GOAL = {"slowest_page_p50_ms_at_most": 1000.0}
SIZES = {"desk": (1280, 800), "phone": (390, 844)}
_COMPLETE = """() => new Promise(done => {
    new PerformanceObserver(list => {
        const paint = Math.max(...list.getEntries().map(entry => entry.startTime));
        done(Math.max(paint, performance.getEntriesByType("navigation")[0].loadEventEnd));
    }).observe({type: "largest-contentful-paint", buffered: true});
    setTimeout(() => done(performance.getEntriesByType("navigation")[0].loadEventEnd), 3000);
})"""


def pages(folder: Path) -> dict[str, str]:
    """Give the pages that are visited, by name."""
    with EmbeddedArchive.reader(folder) as archive:
        names = {survey: archive.object_names("", survey, 200) for survey in ("ztf", "lsst")}
        most = {survey: max(found, key=lambda name: archive.object_alerts(name).num_rows) for survey, found in names.items()}
    return {
        "home": "/",
        "cards": "/search?q=tag%3Dfirst_detections",
        "table": "/search?q=tag%3Dfirst_detections&view=table",
        "map": "/search?q=tag%3Dfirst_detections&view=map",
        "object of ZTF": f"/ztf/object/{most['ztf']}",
        "object of Rubin": f"/lsst/object/{most['lsst']}",
        "substreams": "/substreams",
        "substream": "/ztf/substream/first_detections",
        "filter": "/filter",
        "statistics": "/statistics",
        "schema": "/schema",
        "status": "/status",
    }


def archived(folder: Path, alerts: int) -> Path:
    """Simulate two nights of each survey and run on them."""
    for survey, number in (("ztf", alerts), ("lsst", alerts // 2)):
        for night in simulate_nights(survey, 2, number, 3, stamps=True):
            write_night(night, folder / "packets" / f"{survey}_{night.night}")
    command = [sys.executable, "-m", "fink.cli", "run", str(folder / "packets"), "--workers", "0", "--archive", str(folder / "archive")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "archive"


def complete(browser: Browser, address: str, size: tuple[int, int]) -> float:
    """Visit a page with empty caches, and give when it stood complete [ms]."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.goto(address, wait_until="load")
    taken = float(page.evaluate(_COMPLETE))
    context.close()
    return taken


def measure(short: bool = False) -> Result:
    """Visit every page several times on a desk and on a phone."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise RuntimeError("there is no Chromium here; .ci/java installs it on Debian")
    times: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = archived(Path(name), 60 if short else 400)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        with served(folder) as url:
            # the first round is not counted: the server reads its templates then
            for visits in range(3 if short else 10):
                for page, target in pages(folder).items():
                    for size, shape in SIZES.items():
                        taken = complete(browser, url + target, shape)
                        times.setdefault((page, size), []).extend([taken] if visits else [])
        browser.close()
    rows, figures = [], dict[str, float | str]()
    for page in dict.fromkeys(page for page, _ in times):
        middle = {size: float(np.median(times[page, size])) for size in SIZES}
        figures |= {f"{page.replace(' ', '_')}_{size}_p50_ms": value for size, value in middle.items()}
        rows.append([page, *(round(value) for value in middle.values()), round(max(max(times[page, size]) for size in SIZES))])
    figures["slowest_page_p50_ms"] = max(float(value) for value in figures.values())
    return Result.of(
        "paint", figures, GOAL, table_text("Pages in Chromium, caches empty", ["page", "desk [ms]", "phone [ms]", "slowest"], rows)
    )
