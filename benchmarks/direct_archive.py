"""An archive of a survey's years, its index and lake written directly: as large as one of years of alerts, in minutes.

``python -m benchmarks.direct_archive FOLDER ALERTS``. What is written is what a run and its compaction leave: every row, key, light
curve, commit and count of the index, and the lake's Parquet files, made by the archive's own code, so that ``fink archive verify``
finds nothing wrong. Two things are smaller than in a run's archive: the lake holds the columns that the index holds and few more,
where a run writes over a thousand, and there are no packets, as if retention had dropped them.

One process goes through the objects, in the order of their keys, and one through the nights; the tables of the index are written in
the order of their keys and taken in whole.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.survey_years import SurveyYears, alerts_of_objects, alerts_of_visits, mixed_all, sees_all
from fink.archive import keys, ledger
from fink.archive.applying import LAST, SELECTED, commit_header, points_table
from fink.archive.checksums import checksum
from fink.archive.compaction import ROWS_IN_FILE, write_lake_file
from fink.archive.embedded import EmbeddedArchive
from fink.archive.index import Store, TableWriter
from fink.archive.lake import segment_name
from fink.archive.merging import object_values
from fink.archive.numbering import Numbering
from fink.archive.objects import HEAD, chunk_key, running
from fink.archive.points import pack_points
from fink.archive.rows import IN_SELECTED, POINTER, RowFormat, declared_columns
from fink.archive.segments import ALIGNMENT, FileRecord
from fink.commits import Commit, Counts, SegmentSpan
from fink.lightcurves import DETECTION, LIMIT, LightCurves
from fink.sky import calendar_date, healpix, tai_to_utc
from fink.surveys import registry

SURVEY, NUMBER = "ztf", 0
SOURCE = "years of a survey"
ALERTS_IN_COMMIT = 4000
ALERTS_AT_ONCE = 200_000
ROOM = 40_960
"""Bytes of a packet, were it kept."""

SUBSTREAMS = ("first_detections", "rrlyr")
_CLASSES = pa.array(["Unknown", "SN candidate", "QSO", "RRLyrae"])
_DEPTH = np.float32(10 ** (0.4 * (31.4 - 20.6)) / 5)


def _float(values: Any, mask: Any = None) -> pa.Array:
    return pa.array(np.asarray(values, np.float32), mask=mask)


@dataclass(frozen=True)
class Alerts:
    """``n`` alerts: object, visit, place in the visit, and how many alerts the object had before (n,) each."""

    years: SurveyYears
    one: NDArray[np.int64]
    visit: NDArray[np.int64]
    place: NDArray[np.int64]
    past: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.one)

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Numbers of the alerts, which grow with time."""
        return (self.visit + 1) * 1_000_000 + self.place

    @cached_property
    def mjd(self) -> NDArray[np.float64]:
        """Times."""
        return np.asarray(self.years.visit_mjd)[self.visit]

    @cached_property
    def bits(self) -> NDArray[np.uint64]:
        """Random bits of each."""
        return np.asarray(mixed_all(self.one, self.visit + (1 << 40)))

    def _uniform(self, shift: int) -> NDArray[np.float32]:
        return ((self.bits >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.float32) * np.float32(2.0**-16)

    @cached_property
    def names(self) -> NDArray[np.uint8]:
        """Names of the objects, (n, 12) letters."""
        return names_of(self.years, self.one)

    @cached_property
    def places(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions: the first alert's is the object's, the others scatter by a tenth of an arcsecond."""
        ra, dec = self.years.ra[self.one], self.years.dec[self.one]
        east, north = (self._uniform(0) - 0.5) * 8e-5, (self._uniform(16) - 0.5) * 8e-5
        moved_ra = (ra + np.where(self.past > 0, east, 0.0) / np.maximum(np.cos(np.radians(dec)), 0.01)) % 360.0
        moved_dec = np.clip(dec + np.where(self.past > 0, north, 0.0), -90.0, 90.0)
        # an object's key begins with its pixel: alerts that would lie in the next one stay
        stays = healpix(keys.PIXEL_ORDER, moved_ra, moved_dec) != healpix(keys.PIXEL_ORDER, ra, dec)
        return np.where(stays, ra, moved_ra), np.where(stays, dec, moved_dec)

    @cached_property
    def flux(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Flux and its error [nJy]."""
        mag = self.years.mag[self.one] + (self._uniform(32) + self._uniform(48) - np.float32(1)) * np.float32(0.4)
        flux = (10 ** (0.4 * (31.4 - mag))).astype(np.float32)
        return flux, (_DEPTH * (0.8 + 0.4 * self._uniform(8))).astype(np.float32)

    def selected(self, substream: str) -> NDArray[np.bool_]:
        """Which of them a substream takes."""
        if substream == "first_detections":
            return np.asarray(self.past == 0)
        return np.asarray((self.years.kind[self.one] == 2) & (self.one % 23 == 0))

    def table(self) -> pa.Table:
        """Give the columns of the plan, those of the lake."""
        years, past, n = self.years, self.past, len(self)
        flux, flux_err = self.flux
        ra, dec = self.places
        bits, kind = self.bits, years.kind[self.one]
        mag = (31.4 - 2.5 * np.log10(flux)).astype(np.float32)
        total = flux * (1 + self._uniform(24) * 4)
        first_mjd = np.asarray(years.visit_mjd)[years.found[self.one]]
        few, hosted = past < 3, (kind == 1) & (self.one % 3 == 0)
        stars = self.selected("rrlyr")
        known = registry()[SURVEY].bands
        values = {
            "alert_id": pa.array(self.ids),
            "object_id": texts(self.names),
            "sso_name": pa.nulls(n, pa.string()),
            "survey": pa.repeat(SURVEY, n),
            "schema_version": pa.repeat("4.02", n),
            "night": pa.array(night_of(years, self.visit)),
            "mjd": pa.array(self.mjd),
            "ra": pa.array(ra),
            "dec": pa.array(dec),
            "band": pa.array([band.name for band in known]).take(pa.array(years.visit_band[self.visit])),
            "flux": _float(flux),
            "flux_err": _float(flux_err),
            "mag": _float(mag),
            "mag_err": _float(1.0857 * flux_err / flux),
            "positive": pa.array((bits & np.uint64(7)) != 0),
            "total_flux": _float(total),
            "real_score": _float(0.55 + 0.45 * self._uniform(40)),
            "flagged": pa.array((bits & np.uint64(0xFF00)) == 0),
            "n_detections": pa.array((past + 1).astype(np.int32)),
            "first_mjd": pa.array(first_mjd),
            "age": _float(self.mjd - first_mjd),
            "rising": pa.array((bits & np.uint64(8)) != 0, mask=few),
            "fading": pa.array((bits & np.uint64(8)) == 0, mask=few),
            "colour": _float(self._uniform(12) - 0.2, past < 1),
            "good_quality": pa.array((bits & np.uint64(0xF0)) != 0),
            "fink_class": _CLASSES.take(pa.array(np.where(stars, 3, np.where(few, 0, kind)).astype(np.int8))),
            "host_probability": _float(self._uniform(20), ~hosted),
            "host_redshift": _float(self._uniform(28) * 0.2, ~hosted),
            "absolute_mag": _float(mag - 38.0, ~hosted),
            "is_hostless": pa.array(kind == 1),
            "mag_rate": _float((self._uniform(4) - 0.5) * 0.2, few),
            "period": pa.array(0.3 + (self.one % 1009) * 5e-4, mask=~(stars & (past > 20))),
            "period_log_fap": _float(-20 * self._uniform(16), ~(stars & (past > 20))),
            "is_known_sso": pa.array(np.zeros(n, np.bool_)),
            "is_sso_candidate": pa.array((past == 0) & (kind == 0) & ((bits & np.uint64(3)) == 0)),
            "total_mag": _float(31.4 - 2.5 * np.log10(total)),
            "is_transient": pa.array(kind == 1),
            "ztf_jd": pa.array(tai_to_utc(self.mjd) - 15.0 / 86400.0 + 2400000.5),
            "ztf_field": pa.array(years.visit_field[self.visit].astype(np.int32)),
        }
        return pa.table(values)

    def curves(self) -> LightCurves:
        """Give the points that each brings: its detection, and before it a limit where the visit before saw nothing."""
        years = self.years
        before = np.asarray(years.before)[self.visit]
        limit = (before >= 0) & ~sees_all(self.one, before, years.found, years.chance)
        offsets = running(1 + limit.astype(np.int64))
        owner = np.repeat(np.arange(len(self)), np.diff(offsets))
        last = np.zeros(len(owner), np.bool_)
        last[offsets[1:] - 1] = True
        visit = np.where(last, self.visit[owner], before[owner])
        flux, flux_err = self.flux
        return LightCurves(
            offsets=offsets,
            mjd=np.asarray(years.visit_mjd)[visit],
            band=np.asarray(years.visit_band)[visit],
            kind=np.where(last, DETECTION, LIMIT).astype(np.int8),
            flux=np.where(last, flux[owner], np.float32(np.nan)),
            flux_err=np.where(last, flux_err[owner], _DEPTH),
            total_flux=np.full(len(owner), np.nan, np.float32),
            total_flux_err=np.full(len(owner), np.nan, np.float32),
            point_id=np.zeros(len(owner), np.int64),
            detector=(years.visit_field[visit] % 64).astype(np.int16),
            bands=registry()[SURVEY].bands,
        )


def names_of(years: SurveyYears, objects: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Give the names of objects as (n, 12) letters."""
    return spelled(years.name[objects])


def spelled(letters: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Spell names as (n, 12) letters: ZTF, the year, seven letters."""
    out = np.empty((len(letters), 12), np.uint8)
    out[:, :5] = np.frombuffer(b"ZTF24", np.uint8)
    for i in range(7):
        out[:, 11 - i] = 97 + letters // 26**i % 26
    return out


def texts(letters: NDArray[np.uint8]) -> pa.Array:
    """Make texts of equal length of letters (n, width)."""
    n, width = letters.shape
    offsets = pa.py_buffer(np.arange(n + 1, dtype=np.int32) * width)
    return pa.Array.from_buffers(pa.string(), n, [None, offsets, pa.py_buffer(np.ascontiguousarray(letters))])


def night_of(years: SurveyYears, visits: NDArray[np.int64]) -> NDArray[np.int32]:
    """Give the night of visits, as a date."""
    dates = calendar_date(tai_to_utc(np.asarray(years.visit_mjd)[np.searchsorted(years.visit_night, np.arange(years.n_nights))]))
    return np.asarray(dates[years.visit_night[visits]], np.int32)


@dataclass(frozen=True)
class Numbers:
    """How alerts are numbered: `starts` (v + 1,) of alerts by visit, `nights` (k + 1,) first visit and `commits` first commit of each."""

    starts: NDArray[np.int64]
    nights: NDArray[np.int64]
    commits: NDArray[np.int64]

    @classmethod
    def of(cls, years: SurveyYears, seen: NDArray[np.int64]) -> Numbers:
        """Number the alerts of visits that see so many objects."""
        starts = running(seen)
        nights = np.searchsorted(years.visit_night, np.arange(years.n_nights + 1))
        commits = 1 + running(-(-np.diff(starts[nights]) // ALERTS_IN_COMMIT))
        return cls(starts, nights, commits)

    def pointers(self, alerts: Alerts) -> NDArray[Any]:
        """Give the pointers of alerts: commit, row in it, and where the packet lay of those that a substream took."""
        night = alerts.years.visit_night[alerts.visit]
        rank = self.starts[alerts.visit] + alerts.place - self.starts[self.nights[night]]
        out = np.zeros(len(alerts), POINTER)
        out["commit"], out["row"] = self.commits[night] + rank // ALERTS_IN_COMMIT, rank % ALERTS_IN_COMMIT
        taken = np.logical_or.reduce([alerts.selected(name) for name in SUBSTREAMS])
        out["selected"] = taken
        out["kept"] = np.where(taken, IN_SELECTED, 0)
        out["segment"] = np.where(taken, out["commit"], 0)
        out["offset"] = np.where(taken, out["row"].astype(np.int64) * ROOM + 2 * ALIGNMENT, 0)
        out["length"] = np.where(taken, ROOM - 2 * ALIGNMENT, 0)
        return out


# The objects, in the order of their keys


def write_objects(folder: Path) -> dict[str, list[Path]]:
    """Write the families that are in the order of places and names, and give their tables."""
    years = SurveyYears.load(folder / "years")
    seen = np.load(folder / "seen.npy")
    numbers = Numbers.of(years, seen)
    writers = {name: TableWriter(folder, name) for name in ("rows", "objects", "chunks", "sky", "names")}
    format_ = RowFormat.of_table(0, _empty(years), _indexed())
    for alerts in _by_object(years):
        pointers = numbers.pointers(alerts)
        pixel = healpix(keys.PIXEL_ORDER, years.ra[alerts.one], years.dec[alerts.one])
        ends = [keys.sortable_floats(alerts.mjd), keys.sortable_integers(alerts.ids)]
        owners = _owner_parts(pixel, alerts.names)
        writers["rows"].put_all(keys.split([*owners, *ends], len(alerts)), format_.pack(alerts.table(), pointers))
        _put_sky(writers["sky"], alerts, owners)
        _put_objects(writers, alerts, pointers, owners)
    _put_names(writers["names"], years)
    return {name: writer.close() for name, writer in writers.items()}


def _empty(years: SurveyYears) -> pa.Table:
    none = np.zeros(0, np.int64)
    return Alerts(years, none, none, none, none).table()


def _indexed() -> frozenset[str]:
    return frozenset(name for name, column in declared_columns().items() if column.indexed)


def _owner_parts(pixel: NDArray[np.int64], names: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Give the parts of objects' keys."""
    number = np.array([[NUMBER]], np.uint8)
    return [number, pixel.astype(">u4").view(np.uint8).reshape(-1, 4), names, np.zeros((1, 1), np.uint8)]


def _by_object(years: SurveyYears) -> Iterator[Alerts]:
    """Give the alerts of some objects after another, whole pixels at a time."""
    found, chance, objects = (np.asarray(each) for each in (years.found, years.chance, years.objects))
    visits = np.argsort(years.visit_field, kind="stable")
    visits_of = running(np.bincount(years.visit_field, minlength=len(objects) - 1))
    so_far = np.zeros(len(visits), np.int64)
    pixel = healpix(keys.PIXEL_ORDER, np.asarray(years.ra), np.asarray(years.dec))
    ends = np.append(np.flatnonzero(np.diff(pixel)) + 1, len(pixel))
    step = ALERTS_AT_ONCE / 10
    first = 0
    while first < len(pixel):
        last = int(ends[min(int(np.searchsorted(ends, first + step)), len(ends) - 1)])
        field = int(np.searchsorted(objects, first, side="right")) - 1
        yield Alerts(years, *alerts_of_objects(first, last, field, found, chance, visits, visits_of, objects, so_far))
        first = last


def _put_sky(writer: TableWriter, alerts: Alerts, owners: Sequence[NDArray[np.uint8]]) -> None:
    ra, dec = alerts.places
    pixel = healpix(keys.SKY_ORDER, ra, dec)
    order = np.lexsort((alerts.ids, alerts.mjd, pixel))
    places = np.stack([ra, dec], axis=1).astype("<f8").view(np.uint8)
    values = keys.split([part[order] if len(part) > 1 else part for part in (places, *owners)], len(order))
    writer.put_all(keys.sky_keys(NUMBER, pixel[order], alerts.mjd[order], alerts.ids[order]), values)


def _put_objects(writers: Mapping[str, TableWriter], alerts: Alerts, pointers: NDArray[Any], owners: Sequence[NDArray[np.uint8]]) -> None:
    """Write heads with their open chunks, and closed chunks."""
    first = np.flatnonzero(alerts.past == 0)
    bounds = np.append(first, len(alerts))
    curves = alerts.curves()
    owner = curves.owners()
    dates = night_of(alerts.years, alerts.visit)
    bands = np.arange(len(curves.bands), dtype=np.int8)
    points = pack_points(curves, bands, alerts.mjd, alerts.ids, dates[owner], pointers["commit"][owner])
    head = np.zeros(len(first), HEAD)
    head["n_alerts"] = np.diff(bounds)
    head["first_mjd"], head["first_id"] = alerts.mjd[first], alerts.ids[first]
    head["last_mjd"], head["last_night"] = alerts.mjd[bounds[1:] - 1], dates[bounds[1:] - 1]
    head["ra"], head["dec"] = (place[first] for place in alerts.places)
    object_keys = keys.split([part[first] if len(part) > 1 else part for part in owners], len(first))
    values, closed = object_values(head, points, curves.offsets[bounds], [b""] * len(first))
    writers["objects"].put_all(object_keys, values)
    writers["chunks"].put_all([chunk_key(object_keys[g], k) for g, k, _ in closed], [chunk for _, _, chunk in closed])


def _put_names(writer: TableWriter, years: SurveyYears) -> None:
    order = np.argsort(np.asarray(years.name), kind="stable")
    for first in range(0, len(order), 1_000_000):
        some = order[first : first + 1_000_000]
        pixel = healpix(keys.PIXEL_ORDER, years.ra[some], years.dec[some])
        names = keys.split([np.array([[NUMBER]], np.uint8), names_of(years, some)], len(some))
        writer.put_all(names, keys.split([pixel.astype(">u4").view(np.uint8).reshape(-1, 4)], len(some)))


# The nights, in the order of time


@dataclass(frozen=True)
class Night:
    """What a night leaves for the index: its date, its commits, what substreams took in each, and the lake's files."""

    date: int
    commits: list[Commit]
    selections: list[tuple[bytes, bytes]]
    files: dict[str, FileRecord]
    bands: dict[str, int]
    points: int
    new_objects: int


def write_nights(folder: Path, archive: Path) -> tuple[dict[str, list[Path]], list[Night]]:
    """Write the lake, and the families that are in the order of time."""
    years = SurveyYears.load(folder / "years")
    numbers = Numbers.of(years, np.load(folder / "seen.npy"))
    found, chance, objects, fields = (np.asarray(each) for each in (years.found, years.chance, years.objects, years.visit_field))
    past = np.zeros(len(found), np.uint16)
    writers = {"alerts": TableWriter(folder, "alerts")} | {name: TableWriter(folder, "substreams", f"-{name}") for name in SUBSTREAMS}
    nights: list[Night] = []
    before, began = "", time.monotonic()
    for night, (first, last) in enumerate(zip(numbers.nights[:-1].tolist(), numbers.nights[1:].tolist(), strict=True)):
        n = int(numbers.starts[last] - numbers.starts[first])
        if not n:
            continue
        alerts = Alerts(years, *alerts_of_visits(first, last, n, found, chance, objects, fields, past))
        nights.append(_write_night(archive, writers, alerts, numbers, int(numbers.commits[night]), before))
        before = nights[-1].commits[-1].checksum
        if sys.stderr.isatty() or night % 20 == 0:
            done = int(numbers.starts[last])
            print(f"{done:,} alerts of the lake in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    tables = {name: writer.close() for name, writer in writers.items()}
    return {"alerts": tables["alerts"], "substreams": [path for name in SUBSTREAMS for path in tables[name]]}, nights


def _write_night(archive: Path, writers: Mapping[str, TableWriter], alerts: Alerts, numbers: Numbers, commit: int, before: str) -> Night:
    pointers = numbers.pointers(alerts)
    table, curves = alerts.table(), alerts.curves()
    date = int(night_of(alerts.years, alerts.visit[:1])[0])
    years = alerts.years
    pixel = healpix(keys.PIXEL_ORDER, years.ra[alerts.one], years.dec[alerts.one])
    ends = [keys.sortable_floats(alerts.mjd), keys.sortable_integers(alerts.ids)]
    row_keys = keys.split([*_owner_parts(pixel, alerts.names), *ends], len(alerts))
    writers["alerts"].put_all(keys.alert_keys(NUMBER, alerts.ids), row_keys)
    selections = {name: alerts.selected(name) for name in SUBSTREAMS}
    for name, mask in selections.items():
        rows = np.flatnonzero(mask)
        prefix = np.frombuffer(name.encode() + b"\0", np.uint8).reshape(1, -1)
        number = np.array([[NUMBER]], np.uint8)
        commits = keys.split([keys.sortable_integers(pointers["commit"][rows])], len(rows))
        substream_keys = keys.split([prefix, ends[0][rows], number, ends[1][rows]], len(rows))
        writers[name].put_all(substream_keys, [c + row_keys[i] for c, i in zip(commits, rows.tolist(), strict=True)])
    commits_made = _commits(table, date, pointers, selections, commit, before)
    points = points_table(table, curves, pointers["commit"][curves.owners()])
    lake_rows = table.append_column("commit", pa.array(pointers["commit"]))
    files = _lake_files(archive, "rows", date, lake_rows) | _lake_files(archive, "points", date, points)
    bands = {entry["values"]: entry["counts"] for entry in pc.value_counts(table["band"]).to_pylist()}
    return Night(date, commits_made, _selection_entries(pointers, selections), files, bands, points.num_rows, int((alerts.past == 0).sum()))


def _commits(
    table: pa.Table, date: int, pointers: NDArray[Any], selections: Mapping[str, NDArray[np.bool_]], number: int, before: str
) -> list[Commit]:
    """Make the records of a night's commits."""
    made = []
    for first in range(0, table.num_rows, ALERTS_IN_COMMIT):
        rows = table.slice(first, ALERTS_IN_COMMIT)
        n = rows.num_rows
        chosen = {name: np.flatnonzero(mask[first : first + n]) for name, mask in selections.items()}
        said = checksum(before, commit_header(SURVEY, date, SOURCE, "", []), rows, {k: v for k, v in chosen.items() if len(v)})
        spans = {"rows": SegmentSpan(segment_name("rows", SURVEY, date, number), 0, ALIGNMENT)}
        if any(len(v) for v in chosen.values()):
            spans["selected"] = SegmentSpan(segment_name("selected", SURVEY, date, number), 0, n * ROOM)
        counts = Counts(received=n, archived=n)
        made.append(Commit(number, SURVEY, date, SOURCE, "", counts, {}, {k: len(v) for k, v in chosen.items()}, spans, said))
        before, number = said, number + 1
    return made


def _selection_entries(pointers: NDArray[Any], selections: Mapping[str, NDArray[np.bool_]]) -> list[tuple[bytes, bytes]]:
    """Give the entries of the family ``selections``: of each commit the packets that substreams took, and what each one took."""
    entries = []
    for first in range(0, len(pointers), ALERTS_IN_COMMIT):
        mine = pointers[first : first + ALERTS_IN_COMMIT]
        base = keys.integer_key(int(mine["commit"][0]))
        taken = np.flatnonzero(mine["selected"])
        if len(taken):
            packets = np.zeros(len(taken), SELECTED)
            packets["row"], packets["offset"], packets["length"] = taken, mine["offset"][taken], mine["length"][taken]
            entries.append((base, packets.tobytes()))
        for name, mask in selections.items():
            rows = np.flatnonzero(mask[first : first + ALERTS_IN_COMMIT])
            if len(rows):
                entries.append((base + name.encode(), rows.astype("<u4").tobytes()))
    return entries


def _lake_files(archive: Path, kind: Any, date: int, table: pa.Table) -> dict[str, FileRecord]:
    """Write a night's table into as few files as compaction would, whole commits in each."""
    commit = table["commit"].to_numpy()
    files: dict[str, FileRecord] = {}
    first = 0
    while first < len(commit):
        last = min(first + ROWS_IN_FILE[kind], len(commit))
        if last < len(commit):
            last = int(np.searchsorted(commit, commit[last]))
        part = table.slice(first, last - first)
        files |= write_lake_file(archive, kind, SURVEY, date, part, (int(commit[first]), int(commit[last - 1])), declared_columns())
        first = last
    return files


# The whole


def write_archive(folder: Path, alerts: int, nights: int | None = None) -> SurveyYears:
    """Make an archive of about so many alerts, in so many nights if said, and give the sky that they are of.

    Raises
    ------
    ArchiveError
        If there is an archive in the folder already, or the disk does not take it.
    """
    EmbeddedArchive.create(folder).close()
    aside = folder / "making"
    years = SurveyYears.of(alerts, nights)
    years.save(aside / "years")
    np.save(aside / "seen.npy", years.seen_by_visits())
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        by_object, by_night = processes.submit(write_objects, aside), processes.submit(write_nights, aside, folder)
        (more, made), tables = by_night.result(), by_object.result()
    store = Store(folder / "index", cache_megabytes=64)
    for family, paths in (tables | more).items():
        store.take_in(family, paths)
    _put_records(store, years, made)
    store.wait_until_merged()
    store.close()
    rmtree(aside)
    return years


def _put_records(store: Store, years: SurveyYears, nights: Sequence[Night]) -> None:
    """Write what there is of each commit, night and file, and that there is nothing else."""
    numbering = Numbering(store)
    assert numbering.survey(SURVEY) == NUMBER
    numbering.band_numbers(SURVEY, [band.name for band in registry()[SURVEY].bands])
    numbering.row_format(_empty(years), _indexed())
    for night in nights:
        changes = store.changes()
        numbering.put(changes)
        for commit in night.commits:
            changes.put("commits", keys.integer_key(commit.number), commit.to_bytes())
        for key, value in night.selections:
            changes.put("selections", key, value)
        for name, record in night.files.items():
            changes.put("files", name.encode(), record.to_bytes())
        counts = sum((commit.counts for commit in night.commits), Counts())
        taken = {name: sum(commit.selected[name] for commit in night.commits) for name in SUBSTREAMS}
        ledger.count_source(store, changes, SOURCE, night.date, counts)
        ledger.count_substreams(store, changes, night.date, taken)
        added: dict[str, Any] = {"archived": counts.archived, "new_objects": night.new_objects, "points": night.points, "late": 0}
        added |= {"commits": len(night.commits), "bands": night.bands, "substreams": taken}
        ledger.count_night(store, changes, night.date, SURVEY, added)
        changes.put("meta", LAST, orjson.dumps([night.commits[-1].number, night.commits[-1].checksum]))
        store.write(changes)


if __name__ == "__main__":
    began = time.monotonic()
    made = write_archive(Path(sys.argv[1]), int(sys.argv[2]))
    print(f"{made.seen_by_visits().sum():,} alerts of {len(made.ra):,} objects in {time.monotonic() - began:.0f} s")
