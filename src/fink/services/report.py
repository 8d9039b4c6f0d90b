"""The results page of a run: one HTML file with all in it, that says what came in, what became of it, and what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink import filters
from fink.codecs.cutouts import read_fits
from fink.errors import FinkError
from fink.lightcurves import FORCED
from fink.services import charts
from fink.tables import STAMPS

CARDS = 24
"""Most alerts that are shown with their light curves."""
PER_SUBSTREAM = 2
MOST_ON_MAP = 20_000
MOST_REASONS = 12


class ReportArchive(Protocol):
    """What the page asks of an archive."""

    def ledger(self) -> dict[str, Any]:
        """Counts of everything received."""

    def quarantine_items(self) -> Sequence[Mapping[str, Any]]:
        """Items that could not be read."""

    def substream(self, name: str, start: float | None = None, stop: float | None = None, limit: int | None = None) -> pa.Table:
        """Alerts that a substream selected."""

    def light_curve(self, object_id: str, survey: str | None = None) -> pa.Table:
        """Points of an object."""

    def stamp_bytes(self, survey: str, alert_id: int, which: str) -> bytes | str:
        """One stamp, or why there is none."""

    def sql(self, text: str, parameters: Any = None) -> pa.Table:
        """Answer of a query."""


@dataclass(frozen=True)
class Card:
    """One selected alert with all that is shown of it.

    Parameters
    ----------
    substream
        The substream that selected it.
    row
        Its columns, as far as they are indexed.
    points
        Its object's light curve; None where it has none.
    stamps
        Addresses of pictures by name.
    """

    substream: str
    row: Mapping[str, Any]
    points: charts.Points | None
    stamps: Mapping[str, str]


@dataclass(frozen=True)
class Results:
    """All that the page shows.

    Parameters
    ----------
    summary
        What the run did: counts, rate, ``modules`` and ``substreams``.
    ledger
        The archive's ledger.
    about
        What each substream holds.
    sky
        Positions of alerts [deg] by survey.
    cards
        Selected alerts.
    reasons
        How many items were quarantined for which reason.
    """

    summary: Mapping[str, Any]
    ledger: Mapping[str, Any]
    about: Mapping[str, str]
    sky: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    cards: Sequence[Card]
    reasons: Mapping[str, int]


def write_report(summary: Mapping[str, Any], archive: ReportArchive, path: Path) -> Path:
    """Write the results page of a run.

    Parameters
    ----------
    summary
        ``received``, ``archived``, ``quarantined``, ``duplicate``, ``balanced``, ``seconds``, ``rate``; ``modules``, each with
        ``module``, ``run``, ``null``, ``failed`` and ``us_per_alert``; and ``substreams``, the number selected by name.
    archive
        Where the run's alerts are.
    path
        The file to write.

    Returns
    -------
    path
        The same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(gather(summary, archive)), encoding="utf-8")
    return path


def gather(summary: Mapping[str, Any], archive: ReportArchive) -> Results:
    """Collect from the archive what the page shows."""
    about = {name: substream.about for name, substream in filters.registry().items()}
    reasons = Counter(str(item["reason"]) for item in archive.quarantine_items())
    return Results(
        summary, archive.ledger(), about, _positions(archive), _cards(summary["substreams"], archive), dict(reasons.most_common())
    )


def _positions(archive: ReportArchive) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Give the places of the alerts by survey; of very many, an even part."""
    table = archive.sql("SELECT survey, ra, dec FROM alerts ORDER BY survey, alert_id")
    step = max(table.num_rows // MOST_ON_MAP, 1)
    surveys = np.array(table["survey"].to_pylist(), dtype=np.str_)[::step]
    ra, dec = (table[name].to_numpy()[::step] for name in ("ra", "dec"))
    return {name: (ra[surveys == name], dec[surveys == name]) for name in np.unique(surveys).tolist()}


def _cards(selected: Mapping[str, int], archive: ReportArchive) -> list[Card]:
    """Choose alerts to show: of each substream those with the longest light curves, the rarest substreams first, no object twice."""
    cards: list[Card] = []
    shown: set[str] = set()
    for name, number in sorted(selected.items(), key=lambda item: (item[1], item[0])):
        if number == 0 or len(cards) >= CARDS:
            continue
        rows = archive.substream(name, limit=200).to_pylist()
        rows.sort(key=lambda row: (-(row.get("n_detections") or 0), row["alert_id"]))
        fresh: dict[str, Mapping[str, Any]] = {}
        for row in rows:
            fresh.setdefault(str(row.get("object_id") or row["alert_id"]), row)
        for identity in [identity for identity in fresh if identity not in shown][:PER_SUBSTREAM]:
            shown.add(identity)
            row = fresh[identity]
            cards.append(Card(name, row, _points(archive, row), _stamps(archive, row)))
    return cards[:CARDS]


def _points(archive: ReportArchive, row: Mapping[str, Any]) -> charts.Points | None:
    """Give the light curve of an alert's object up to the alert, limits left out."""
    if not row.get("object_id"):
        return None
    table = archive.light_curve(row["object_id"], row["survey"])
    flux, error, mjd = (table[name].to_numpy().astype(np.float64) for name in ("flux", "flux_err", "mjd"))
    kept = np.isfinite(flux) & np.isfinite(error) & (mjd <= row["mjd"] + 1e-6)
    if not kept.any():
        return None
    kind = np.array([value in ("forced", FORCED) for value in table["kind"].to_pylist()])
    band = np.array(table["band"].to_pylist(), dtype=object)
    return charts.Points(mjd[kept], flux[kept], error[kept], band[kept].tolist(), ~kind[kept])


def _stamps(archive: ReportArchive, row: Mapping[str, Any]) -> dict[str, str]:
    """Give an alert's stamps as pictures, those that are there and can be read."""
    pictures: dict[str, str] = {}
    for which in STAMPS:
        try:
            data = archive.stamp_bytes(row["survey"], row["alert_id"], which)
            units = read_fits(data) if isinstance(data, bytes) else []
        except FinkError:
            # a stamp that was not kept, or is broken, leaves its place empty; the light curve still tells
            continue
        image = next((unit.image for unit in units if unit.image is not None), None)
        if image is not None:
            pictures[which] = charts.stamp_png(image)
    return pictures


def render(results: Results) -> str:
    """Make the page."""
    sections = (
        _overview(results.summary),
        _sky(results),
        _substreams(results),
        _alerts(results),
        _modules(results.summary),
        _ledger(results),
    )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    foot = f"<footer>Written by Fink on {now}. Fluxes are differences to the template.</footer></main></body></html>"
    return _head() + "".join(sections) + foot


def _head() -> str:
    """The page up to its first section, with its style."""
    style = files("fink.services").joinpath("results.css").read_text("utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Fink: results</title><style>{style}</style></head><body><main>"
    )


def _overview(summary: Mapping[str, Any]) -> str:
    """The numbers of the run."""
    state = ("good", "balanced") if summary["balanced"] else ("bad", "does not balance")
    tiles = [
        (f"{summary['received']:,}", "received"),
        (f"{summary['rate']:,}", "alerts a second"),
        (f"{summary['archived']:,}", "archived"),
        (f"{sum(summary['substreams'].values()):,}", "selections"),
        (f"{summary['quarantined']:,}", "quarantined"),
        (f"{summary['duplicate']:,}", "sent twice"),
    ]
    cells = "".join(f'<div class="tile"><b>{value}</b><span>{label}</span></div>' for value, label in tiles)
    return (
        f"<header><h1>What the night brought</h1><p>Every alert is accounted for: received = archived + quarantined + sent twice. "
        f'<span class="state {state[0]}">The ledger {"is " if summary["balanced"] else ""}{state[1]}</span></p></header>'
        f'<section class="tiles">{cells}</section>'
    )


def _sky(results: Results) -> str:
    """The map."""
    groups = [(name, ra, dec) for name, (ra, dec) in results.sky.items()]
    keys = "".join(f'<span><i class="key group-{number}"></i>{escape(name.upper())}</span>' for number, (name, _, _) in enumerate(groups))
    lines = '<span><i class="key line plane"></i>galactic plane</span><span><i class="key line ecliptic"></i>ecliptic</span>'
    return f'<section><h2>Where</h2><p class="legend">{keys}{lines}</p>{charts.sky_map(groups)}</section>'


def _substreams(results: Results) -> str:
    """How many alerts each substream took."""
    selected = sorted(results.summary["substreams"].items(), key=lambda item: (-item[1], item[0]))
    most = max([number for _, number in selected] + [1])
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(results.about.get(name, ''))}</td>"
        f'<td class="number">{number:,}</td><td class="bar"><i style="width:{100.0 * number / most:.1f}%"></i></td></tr>'
        for name, number in selected
    )
    return f'<section><h2>Substreams</h2><table class="wide"><tbody>{rows}</tbody></table></section>'


def _alerts(results: Results) -> str:
    """Some of the selected alerts."""
    if not results.cards:
        return ""
    bands = "".join(f'<span><i class="key band-{band}"></i>{band}</span>' for band in charts.BANDS)
    legend = f'<p class="legend">{bands}<span>full: detection, hollow: forced photometry</span></p>'
    body = "".join(_card(card) for card in results.cards)
    hint = "<p>Difference flux in µJy against days before the alert.</p>"
    return f'<section><h2>Some that were selected</h2>{hint}{legend}<div class="cards">{body}</div></section>'


def _card(card: Card) -> str:
    """One alert: its name, numbers, light curve and stamps."""
    row = card.row
    name = row.get("object_id") or row.get("sso_name") or row["alert_id"]
    mag = row.get("mag")
    facts = [str(row["survey"]).upper(), f"{row['ra']:.4f} {row['dec']:+.4f}"]
    facts += [f"{row['band']} = {mag:.2f}"] if mag is not None else []
    if row.get("sso_name") and row["sso_name"] != name:
        facts.append(str(row["sso_name"]))
    curve = charts.light_curve(card.points, row["mjd"]) if card.points is not None else '<p class="none">no light curve: it moves</p>'
    stamps = "".join(
        f'<figure><img src="{picture}" alt="{which} stamp"><figcaption>{which}</figcaption></figure>'
        for which, picture in card.stamps.items()
    )
    return (
        f'<article><h3>{escape(str(name))}<em>{escape(card.substream)}</em></h3><p class="facts">{escape(" · ".join(facts))}</p>'
        f'{curve}<div class="stamps">{stamps}</div></article>'
    )


def _modules(summary: Mapping[str, Any]) -> str:
    """What each science module did, and its cost."""
    modules = sorted(summary["modules"], key=lambda module: -module["us_per_alert"])
    most = max([module["us_per_alert"] for module in modules] + [1e-9])
    rows = "".join(
        f"<tr><th>{escape(module['module'])}</th>"
        f"<td class='number'>{module['run']:,}</td><td class='number'>{module['null']:,}</td>"
        f"<td class='number{' bad' if module['failed'] else ''}'>{module['failed']:,}</td>"
        f"<td class='number'>{module['us_per_alert']:.1f}</td>"
        f'<td class="bar"><i style="width:{100.0 * module["us_per_alert"] / most:.1f}%"></i></td></tr>'
        for module in modules
    )
    head = "<tr><th>module</th><td>ran on</td><td>null</td><td>failed</td><td>µs an alert</td><td></td></tr>"
    return f'<section><h2>Science modules</h2><table class="wide"><thead>{head}</thead><tbody>{rows}</tbody></table></section>'


def _ledger(results: Results) -> str:
    """Counts by source and night, and why items were quarantined."""
    names = ("received", "archived", "quarantined", "duplicate", "late")
    rows = "".join(
        f"<tr><th>{escape(str(source['source']))}</th><td>{_date(source['night'])}</td>"
        + "".join(f'<td class="number">{source[name]:,}</td>' for name in names)
        + f'<td class="{"good" if source["balanced"] else "bad"}">{"balanced" if source["balanced"] else "does not balance"}</td></tr>'
        for source in results.ledger["sources"]
    )
    head = '<tr><th>source</th><td class="left">night</td>' + "".join(f"<td>{name}</td>" for name in names) + "<td></td></tr>"
    table = f'<table class="wide"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    listed = list(results.reasons.items())
    others = sum(number for _, number in listed[MOST_REASONS:])
    listed = listed[:MOST_REASONS] + ([("for other reasons", others)] if others else [])
    reasons = "".join(f'<tr><td class="number">{number:,}</td><td>{escape(reason)}</td></tr>' for reason, number in listed)
    quarantine = f"<h3>Quarantined</h3><table><tbody>{reasons}</tbody></table>" if reasons else ""
    return f"<section><h2>Ledger</h2>{table}{quarantine}</section>"


def _date(night: int | None) -> str:
    """Write a night as 2025-11-20."""
    return f"{night // 10000}-{night // 100 % 100:02d}-{night % 100:02d}" if night else "unknown"
