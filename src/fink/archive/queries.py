"""What an archive answers, as of its last commit: from the index in milliseconds, from the lake for everything wide."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.archive import keys
from fink.archive.applying import KINDS, SELECTED, read_said
from fink.archive.checksums import row_order
from fink.archive.cover import cover_cap
from fink.archive.history import distinct_points
from fink.archive.index import Store, after_prefix
from fink.archive.lake import Lake, segment_name
from fink.archive.ledger import read_ledger, read_nights
from fink.archive.lookups import alert_columns, commit_part, find_alerts, find_rows
from fink.archive.numbering import Numbering
from fink.archive.objects import StoredPoints, read_heads
from fink.archive.points import POINT
from fink.archive.rows import IN_SELECTED, NOT_KEPT, format_number, read_pointers
from fink.archive.segments import FileRecord, Kind
from fink.archive.sql import connect, query, stream
from fink.commits import Commit, SegmentSpan
from fink.errors import NotFoundError
from fink.lightcurves import POINT_TYPES
from fink.sky import separation
from fink.tables import STAMPS, Packets

_MOVING = keys.MOVING.to_bytes(4, "big")

LARGEST_RADIUS = 5.0
"""Largest radius of a cone [deg]."""


class Queries:
    """The reading half of an archive.

    Parameters
    ----------
    store, lake, numbering
        The parts of the archive.
    """

    def __init__(self, store: Store, lake: Lake, numbering: Numbering) -> None:
        self._store, self._lake, self._numbering = store, lake, numbering
        self._last: tuple[int, str] = (0, "")

    # Commits

    def last_commit(self) -> int:
        """Give the number of the last commit, 0 before the first; nothing later is answered from."""
        return self._last[0]

    def commit(self, number: int) -> Commit:
        """Give the record of a commit.

        Raises
        ------
        NotFoundError
            If there is none of this number.
        """
        record = self._store.get("commits", keys.integer_key(number)) if 0 < number <= self._last[0] else None
        if record is None:
            raise NotFoundError(f"there is no commit {number}; the last one is {self._last[0]}")
        return Commit.from_bytes(record)

    def commits(self, after: int = 0) -> Iterator[Commit]:
        """Give the commits after a number, in order."""
        return (self.commit(number) for number in range(after + 1, self._last[0] + 1))

    def commit_rows(self, number: int) -> pa.Table:
        """Give every column of the alerts that a commit archived, by time and number.

        Raises
        ------
        NotFoundError
            If there is no such commit.
        """
        return self._part(self.commit(number), "rows")

    def commit_points(self, number: int) -> pa.Table:
        """Give the points that a commit's alerts brought."""
        return self._part(self.commit(number), "points")

    def _part(self, commit: Commit, kind: Kind) -> pa.Table:
        span = commit.segments.get(kind)
        record = self._file(span.name) if span is not None else None
        if span is not None and record is not None and record.state in ("open", "closed"):
            return self._lake.read_rows(span)
        table = commit_part(self._lake, self.files(), kind, commit.survey, commit.night, commit.number)
        return table.take(pa.array(row_order(table))) if kind == "rows" else table

    def selection(self, number: int, substream: str) -> pa.Table:
        """Give the alerts that a substream took in a commit, with every column.

        The columns of what the substream itself says of them, as the entry of a watchlist, come last.
        """
        rows = self.commit_rows(number).take(pa.array(self.selected_rows(number, substream).astype(np.int64)))
        said = read_said(self._store.get("selections", keys.integer_key(number) + substream.encode() + keys.SAID))
        if said is not None:
            for name in said.column_names[:-1]:
                rows = rows.append_column(name, said[name])
        return rows

    def selected(self, number: int, substream: str) -> tuple[pa.Table, Packets]:
        """Give the alerts that a substream took in a commit, as `selection` does, and their packets."""
        base = keys.integer_key(number)
        commit = self.commit(number)
        rows, chosen = self.selection(number, substream), self.selected_rows(number, substream)
        packets = np.frombuffer(self._store.get("selections", base) or b"", SELECTED)
        mine = packets[np.searchsorted(packets["row"], chosen)] if len(chosen) else packets[:0]
        name = commit.segments["selected"].name if len(mine) else ""
        return rows, self._lake.read_packets(name, mine["offset"].astype(np.int64), mine["length"].astype(np.int64))

    def selected_rows(self, number: int, substream: str) -> NDArray[np.uint32]:
        """Give the places in a commit's rows of the alerts that a substream took."""
        return np.frombuffer(self._store.get("selections", keys.integer_key(number) + substream.encode()) or b"", "<u4")

    def selections(self, number: int) -> tuple[pa.Table, Packets, dict[str, NDArray[np.int64]]]:
        """Give the alerts that substreams took in a commit, each once however many took it.

        Substreams that say something of their own of an alert are left out: `selected` gives what they took.

        Returns
        -------
        rows, packets
            The alerts, with every column, and their packets.
        taken
            For each substream that took any, which of the rows.
        """
        base, commit = keys.integer_key(number), self.commit(number)
        said = (keys.integer_key(number) + name.encode() + keys.SAID for name in commit.selected)
        plain = [name for name, key in zip(commit.selected, said, strict=True) if self._store.get("selections", key) is None]
        taken = {name: self.selected_rows(number, name).astype(np.int64) for name in plain if commit.selected[name]}
        union = np.unique(np.concatenate([*taken.values(), np.zeros(0, np.int64)]))
        packets = np.frombuffer(self._store.get("selections", base) or b"", SELECTED)
        packets = packets[np.searchsorted(packets["row"], union)]
        name = commit.segments["selected"].name if len(union) else ""
        bodies = self._lake.read_packets(name, packets["offset"].astype(np.int64), packets["length"].astype(np.int64))
        rows = self.commit_rows(number).take(pa.array(union))
        return rows, bodies, {substream: np.searchsorted(union, chosen) for substream, chosen in taken.items()}

    def files(self) -> dict[str, FileRecord]:
        """Give every file of the lake, as the index lists them."""
        return {name.decode(): FileRecord.from_bytes(record) for name, record in self._store.scan("files", b"")}

    def _file(self, name: str) -> FileRecord | None:
        record = self._store.get("files", name.encode())
        return None if record is None else FileRecord.from_bytes(record)

    # Single alerts

    def alert(self, survey: str, alert_id: int) -> dict[str, Any] | None:
        """Give every column of an alert; None where it is not in the archive."""
        found = self._row(survey, alert_id)
        if found is None:
            return None
        night, pointer = found
        rows = find_rows(self._lake, self.files(), survey, night, [alert_id], commits=(int(pointer["commit"]),)).to_pylist()
        return dict(rows[0]) if rows else None

    def packet(self, survey: str, alert_id: int) -> tuple[bytes, bytes] | None:
        """Give the packet of an alert and the schema that it was written with; None where it is not, or no longer, kept."""
        found = self._row(survey, alert_id)
        if found is None or found[1]["kept"] == NOT_KEPT:
            return None
        try:
            return self._lake.read_packet(_segment(survey, *found), int(found[1]["offset"]), int(found[1]["length"]))
        except NotFoundError:
            return None

    def stamp_bytes(self, survey: str, alert_id: int, which: str) -> bytes | str:
        """Give a stamp as it came in the packet (``science``, ``template`` or ``difference``), or why there is none."""
        if which not in STAMPS:
            return f"there is no stamp called {which}; ask for one of {', '.join(STAMPS)}"
        found = self._row(survey, alert_id)
        if found is None:
            return f"the archive has no alert {alert_id} of {survey}"
        night, pointer = found
        start, length = (int(value) for value in pointer["stamps"][STAMPS.index(which)])
        if pointer["kept"] == NOT_KEPT:
            return "the packet was not kept, by the archive's retention"
        if not length:
            return f"the packet carries no {which} stamp"
        first = int(pointer["offset"]) + start
        try:
            return self._lake.read_bytes(SegmentSpan(_segment(survey, night, pointer), first, first + length))
        except NotFoundError:
            return "the packet is no longer kept, by the archive's retention"

    def _row(self, survey: str, alert_id: int) -> tuple[int, Any] | None:
        """Give the night of an alert, and the pointer of its row."""
        number = self._numbering.known_survey(survey)
        key = None if number is None else self._store.get("alerts", keys.alert_key(number, alert_id))
        row = None if key is None else self._store.get("rows", key)
        if row is None:
            return None
        table, pointers = self._numbering.formats[format_number(row)].unpack([row])
        return (int(table["night"][0].as_py()), pointers[0]) if pointers["commit"][0] <= self._last[0] else None

    # Lists of alerts

    def object_alerts(self, object_id: str, survey: str | None = None) -> pa.Table:
        """Give the alerts of an object in order of time; a solar-system designation is an object too where alerts have no other."""
        return self.alerts_of_objects([object_id], survey)

    def alerts_of_objects(self, object_ids: Sequence[str], survey: str | None = None) -> pa.Table:
        """Give the alerts of objects, one object after another, each in order of time."""
        rows: list[bytes] = []
        for key in self._object_keys(object_ids, survey):
            length = len(key) + 16
            rows += [row for row_key, row in self._store.scan_prefix("rows", key) if len(row_key) == length]
        return self._table(rows)

    def wide(self, alerts: pa.Table, columns: Sequence[str] | None = None) -> pa.Table:
        """Give every column, or those of these names, of alerts that another question found, in their order."""
        return find_alerts(self._lake, self.files(), alerts, columns)

    def object_names(self, prefix: str, survey: str | None = None, limit: int = 100) -> list[str]:
        """Give the objects whose name begins so, in alphabetical order, so many at most."""
        found: set[str] = set()
        for number, known in enumerate(self._numbering.surveys):
            if survey in (None, known):
                names = self._store.scan_prefix("names", bytes([number]) + prefix.encode())
                found.update(key[1:].decode() for key, _ in islice(names, limit))
        return sorted(found)[:limit]

    def light_curve(self, object_id: str, survey: str | None = None) -> pa.Table:
        """Give every point known of an object, across its packets, in order of time: one copy of each."""
        parts = [self._object_points(key) for key in self._object_keys([object_id], survey)]
        tables = [_points_table(points, self._numbering, key) for key, points in parts]
        return pa.concat_tables(tables) if tables else _points_table(np.zeros(0, POINT), self._numbering, b"\0")

    def _object_points(self, key: bytes) -> tuple[bytes, Any]:
        chunks = [value for chunk, value in self._store.scan_prefix("chunks", key) if len(chunk) == len(key) + 4]
        heads = read_heads([self._store.get("objects", key)])
        points = np.concatenate([np.frombuffer(b"".join(chunks), POINT), heads.points])
        points = points[points["commit"] <= self._last[0]]
        stored = StoredPoints(points, np.array([0, len(points)], np.int64), np.zeros(len(points), np.int64))
        points = distinct_points(stored).points
        return key, points[np.lexsort((points["point_id"], points["band"], points["kind"], points["mjd"]))]

    def _object_keys(self, object_ids: Sequence[str], survey: str | None) -> list[bytes]:
        """Give the keys of objects, in each survey that knows one of the name, in the order asked."""
        found: list[list[bytes]] = [[] for _ in object_ids]
        names = [name.encode() for name in object_ids]
        for number, known in enumerate(self._numbering.surveys):
            if survey in (None, known):
                prefix = bytes([number])
                pixels = self._store.get_all("names", [prefix + name for name in names])
                unnamed = [i for i, pixel in enumerate(pixels) if pixel is None]
                moving = [keys.object_key(number, keys.MOVING, names[i]) for i in unnamed]
                heads = dict(zip(unnamed, zip(moving, self._store.get_all("objects", moving), strict=True), strict=True))
                for i, pixel in enumerate(pixels):
                    if pixel is not None:
                        found[i].append(prefix + pixel + names[i] + b"\0")
                    elif heads[i][1] is not None:
                        found[i].append(heads[i][0])
        return [key for keys_of_one in found for key in keys_of_one]

    def solar_system(self, name: str) -> pa.Table:
        """Give the alerts of a solar-system object, by its designation, in order of time."""
        found = [row_key for _, row_key in self._store.scan_prefix("sso", name.encode() + b"\0")]
        return self._rows(found)

    def designations(self, prefix: str, limit: int = 100) -> list[str]:
        """Give the solar-system objects whose designation begins so, as surveys write it, in alphabetical order, so many at most."""
        found: list[str] = []
        start, stop = prefix.encode(), after_prefix(prefix.encode())
        while len(found) < limit and (entry := next(self._store.scan("sso", start, stop), None)) is not None:
            name = entry[0].partition(b"\0")[0]
            found.append(name.decode())
            start = name + b"\x01"
        return found

    def substream(self, name: str, start: float | None = None, stop: float | None = None, limit: int | None = None) -> pa.Table:
        """Give the alerts that a substream took, the newest first.

        Parameters
        ----------
        start, stop
            Times between which they lie, both included [MJD].
        limit
            How many at most; None gives all.
        """
        prefix = name.encode() + b"\0"
        first = prefix + (keys.float_key(start) if start is not None else b"")
        last = prefix + (keys.float_key(stop) + b"\xff" * 10 if stop is not None else b"\xff" * 8)
        found: list[bytes] = []
        commits: set[bytes] = set()
        for _, value in self._store.scan_back("substreams", first, last):
            if limit is not None and len(found) >= limit:
                break
            if keys.read_integer(value[:8]) <= self._last[0]:
                found.append(value[8:])
                commits.add(value[:8])
        return self._with_said(self._rows(found), name, sorted(commits))

    def substreams_of(self, survey: str, alert_id: int, names: Iterable[str]) -> list[str]:
        """Give those of some substreams that took an alert."""
        number = self._numbering.known_survey(survey)
        row_key = None if number is None else self._store.get("alerts", keys.alert_key(number, alert_id))
        if row_key is None:
            return []
        # a row's key ends with the time and the number of its alert, as that of a substream begins with the time
        moment, found = row_key[-16:-8], []
        for name in names:
            bounds = (name.encode() + b"\0" + moment, name.encode() + b"\0" + moment + b"\xff" * 10)
            if any(
                value[8:] == row_key and keys.read_integer(value[:8]) <= self._last[0]
                for _, value in self._store.scan_back("substreams", *bounds)
            ):
                found.append(name)
        return found

    def _with_said(self, table: pa.Table, substream: str, commits: list[bytes]) -> pa.Table:
        """Add what a substream said of the alerts that it took in some commits, where it says anything."""
        values = self._store.get_all("selections", [commit + substream.encode() + keys.SAID for commit in commits])
        parts = [part for part in map(read_said, values) if part is not None]
        if not parts:
            return table
        said = pa.concat_tables(parts, promote_options="permissive")
        places = pc.index_in(table["alert_id"].combine_chunks(), said["alert_id"].combine_chunks())
        for name in said.column_names:
            if name != "alert_id":
                table = table.append_column(name, said[name].take(places))
        return table

    def night(self, night: int, survey: str | None = None) -> pa.Table:
        """Give every column of the alerts of a night."""
        condition = "night = $night" + (" AND survey = $survey" if survey is not None else "")
        values = {"night": night} | ({"survey": survey} if survey is not None else {})
        return self.sql(f"SELECT * FROM alerts WHERE {condition} ORDER BY mjd, alert_id", values)

    def cone(
        self,
        ra: float,
        dec: float,
        radius_arcsec: float,
        survey: str | None = None,
        start: float | None = None,
        stop: float | None = None,
        *,
        last: bool = False,
    ) -> pa.Table:
        """Give the alerts around a position, the nearest first, with their `separation` [arcsec].

        Parameters
        ----------
        ra, dec
            Centre [deg], ICRS.
        radius_arcsec
            Radius [arcsec], up to 5 degrees.
        start, stop
            Times between which they lie, both included [MJD].
        last
            Whether of each object only the last of these alerts is wanted, which is much less to read.

        Raises
        ------
        NotFoundError
            If the position or the radius is not one.
        """
        radius = radius_arcsec / 3600.0
        if not (np.isfinite(ra) and abs(dec) <= 90.0 and 0.0 <= radius <= LARGEST_RADIUS):
            raise NotFoundError(
                f"there is no cone of {radius_arcsec} arcsec around {ra} {dec}; give degrees, dec from -90 to 90, and up to 18000 arcsec"
            )
        sky_keys, places = self._around(ra, dec, radius, survey)
        if not sky_keys:
            return _with_separation(self._table([]), np.zeros(0))
        positions = np.frombuffer(b"".join([place[:16] for place in places]), "<f8").reshape(-1, 2)
        apart = separation(np.float64(ra), np.float64(dec), positions[:, 0], positions[:, 1])  # type: ignore[arg-type]
        times = keys.read_floats(np.frombuffer(b"".join([key[9:17] for key in sky_keys]), np.uint8).reshape(-1, 8))
        inside = (apart <= radius) & (times >= (-np.inf if start is None else start)) & (times <= (np.inf if stop is None else stop))
        chosen = np.flatnonzero(inside)
        if last:
            chosen = _last_of_each(sky_keys, places, chosen)
        chosen = chosen[np.argsort(apart[chosen], kind="stable")]
        rows = self._store.get_all("rows", [places[i][16:] + sky_keys[i][9:] for i in chosen.tolist()])
        found = [row for row in rows if row is not None]
        visible = read_pointers(found)["commit"] <= self._last[0]
        return _with_separation(self._table(found), apart[chosen][visible] * 3600.0)

    def region(
        self, ranges: NDArray[np.int64], survey: str, start: float | None = None, stop: float | None = None, limit: int | None = None
    ) -> pa.Table:
        """Give the alerts in ranges (k, 2) of nested pixels of the deepest order, by place; so many at most.

        Parameters
        ----------
        start, stop
            Times between which they lie, both included [MJD].
        """
        number = self._numbering.known_survey(survey)
        first = b"" if start is None else keys.float_key(start)
        last = b"\xff" * 8 if stop is None else keys.float_key(stop)
        found: list[bytes] = []
        bounds = [] if number is None else [(keys.sky_bound(number, begin), keys.sky_bound(number, end)) for begin, end in ranges.tolist()]
        for begin, end in bounds:
            for key, place in self._store.scan("sky", begin, end):
                if first <= key[9:17] <= last:
                    found.append(place[16:] + key[9:])
            if limit is not None and len(found) >= limit:
                break
        return self._rows(found[:limit])

    def _around(self, ra: float, dec: float, radius: float, survey: str | None) -> tuple[list[bytes], list[bytes]]:
        """Give the keys and values of `sky` in and near a cap."""
        found: list[tuple[bytes, bytes]] = []
        ranges = cover_cap(ra, dec, radius).tolist()
        for number, known in enumerate(self._numbering.surveys):
            if survey in (None, known):
                for first, last in ranges:
                    found += self._store.scan("sky", keys.sky_bound(number, first), keys.sky_bound(number, last))
        return [key for key, _ in found], [value for _, value in found]

    def _rows(self, row_keys: list[bytes]) -> pa.Table:
        return self._table([row for row in self._store.get_all("rows", row_keys) if row is not None])

    def _table(self, rows: Sequence[bytes]) -> pa.Table:
        """Unpack rows in their order with their `commit`, without those above the last; columns that a row's format lacks are null."""
        numbers = np.array([format_number(row) for row in rows], np.int64)
        parts, places = [], []
        for number in np.unique(numbers).tolist():
            mine = np.flatnonzero(numbers == number)
            chosen = rows if len(mine) == len(rows) else [rows[i] for i in mine.tolist()]
            table, pointers = self._numbering.formats[number].unpack(chosen)
            visible = pointers["commit"] <= self._last[0]
            table = table.append_column("commit", pa.array(pointers["commit"], pa.int64()))
            parts.append(table if visible.all() else table.filter(pa.array(visible)))
            places.append(mine[visible])
        if not parts:
            known = self._numbering.formats[-1].schema if self._numbering.formats else pa.schema([])
            return known.append(pa.field("commit", pa.int64())).empty_table()
        if len(parts) == 1:
            return parts[0]
        joined = pa.concat_tables(parts, promote_options="permissive")
        return joined.take(pa.array(np.argsort(np.concatenate(places), kind="stable")))

    def nights_of(self, rows: Sequence[bytes]) -> NDArray[np.int64]:
        """Give the night of packed rows (n,)."""
        numbers = np.array([format_number(row) for row in rows], np.int64)
        nights = np.zeros(len(rows), np.int64)
        for number in np.unique(numbers).tolist():
            mine = np.flatnonzero(numbers == number)
            nights[mine] = self._numbering.formats[number].unpack([rows[i] for i in mine.tolist()])[0]["night"].to_numpy()
        return nights

    def survey_number(self, name: str) -> int | None:
        """Give the number that stands for a survey in keys; None where the archive holds nothing of it."""
        return self._numbering.known_survey(name)

    def survey_name(self, number: int) -> str:
        """Give the survey that a number in keys stands for."""
        return self._numbering.surveys[number]

    # Wide questions, counts, quarantine

    def sql(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Answer one SELECT over the tables `alerts` and `points` (see `fink.archive.sql`)."""
        with connect(self._lake, _named(text, self.files())) as connection:
            return query(connection, text, parameters)

    def connection(
        self,
        kinds: Collection[Kind],
        surveys: Collection[str],
        nights: tuple[int, int] | None = None,
        *,
        megabytes: int = 2048,
        threads: int = 2,
    ) -> duckdb.DuckDBPyConnection:
        """Open the lake for SQL with the files of some kinds and surveys, and of the nights from one to another where they are named.

        The views of other kinds are empty.
        """
        first, last = nights or (0, sys.maxsize)
        records = {
            name: record
            for name, record in self.files().items()
            if record.kind in kinds and record.survey in surveys and first <= record.night <= last
        }
        return connect(self._lake, records, megabytes=megabytes, threads=threads)

    def alert_columns(
        self, columns: Sequence[str], surveys: Collection[str], nights: tuple[int, int] = (0, sys.maxsize)
    ) -> Iterator[pa.Table]:
        """Give some columns of all alerts of some surveys, from one night to another, part by part; no part is empty.

        This is for questions that read few columns of very many alerts: nothing else is looked at. A column that some alerts were
        archived without is left out of their part.
        """
        chosen = {name: r for name, r in self.files().items() if r.survey in surveys and nights[0] <= r.night <= nights[1]}
        return alert_columns(self._lake, chosen, columns)

    def parts(self, text: str, rows: int = 262_144) -> Iterator[pa.Table]:
        """Answer one SELECT over `alerts` and `points` in parts, for what is too long for one table; no part is empty."""
        with connect(self._lake, _named(text, self.files())) as connection:
            yield from (part for part in stream(connection, text, rows) if part.num_rows)

    def statistics(self) -> dict[str, Any]:
        """Give what each night and survey brought, and the totals."""
        nights = read_nights(self._store)
        return {
            "commits": self._last[0],
            "alerts": sum(night["archived"] for night in nights),
            "objects": sum(night["new_objects"] for night in nights),
            "points": sum(night["points"] for night in nights),
            "nights": nights,
        }

    def ledger(self) -> dict[str, Any]:
        """Account for every item received: archived, quarantined or duplicate, per source and night, module and substream."""
        return read_ledger(self._store)

    def quarantine_items(self) -> list[dict[str, Any]]:
        """Give what is in quarantine, in the order of its commits: identity, source, position, reason, survey, night, size."""
        found = []
        for key, value in self._store.scan("quarantine", b""):
            record = orjson.loads(value)
            if record["state"] == "quarantined" and record["commit"] <= self._last[0]:
                found.append({"id": key.hex(), "size": record["end"] - record["start"], **record})
        return sorted(found, key=lambda item: (item["commit"], item["segment"], item["start"]))

    def quarantine_body(self, identity: str) -> bytes:
        """Give the bytes of a quarantined item.

        Raises
        ------
        NotFoundError
            If there is none of this identity.
        """
        value = self._store.get("quarantine", bytes.fromhex(identity))
        if value is None:
            raise NotFoundError(f"nothing in quarantine has the identity {identity}; fink quarantine list shows what has")
        record = orjson.loads(value)
        return self._lake.read_bytes(SegmentSpan(record["segment"], record["start"], record["end"]))


def _segment(survey: str, night: int, pointer: Any) -> str:
    """Name the segment that a row's packet lies in."""
    kind: Literal["selected", "packets"] = "selected" if pointer["kept"] == IN_SELECTED else "packets"
    return segment_name(kind, survey, night, int(pointer["segment"]))


def _named(text: str, files: Mapping[str, FileRecord]) -> dict[str, FileRecord]:
    """Leave out the files of a table that a query does not name: opening some hundred takes longer than most queries."""
    kinds = {kind for kind, table in (("rows", "alerts"), ("points", "points")) if table in text.lower()}
    return {name: record for name, record in files.items() if record.kind in kinds}


def _last_of_each(sky_keys: Sequence[bytes], places: Sequence[bytes], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep, of some entries of `sky`, the last of each object, and all of what moves."""
    moments = np.frombuffer(b"".join([sky_keys[i][9:25] for i in chosen.tolist()]), ">u8").reshape(-1, 2)
    # what is written later under a name stands
    newest = {places[i][16:]: i for i in chosen[np.lexsort((moments[:, 1], moments[:, 0]))].tolist()}
    moving = [i for i in chosen.tolist() if places[i][17:21] == _MOVING]
    return np.unique(np.array([*newest.values(), *moving], np.int64))


def _with_separation(table: pa.Table, separations: Any) -> pa.Table:
    return table.append_column("separation", pa.array(separations, pa.float64()))


def _points_table(points: Any, numbering: Numbering, key: bytes) -> pa.Table:
    """Make the table of stored points: times, band and kind as text, fluxes."""
    survey = numbering.surveys[key[0]] if key[0] < len(numbering.surveys) else ""
    columns = {name: pa.array(np.ascontiguousarray(points[name]), from_pandas=True) for name in POINT_TYPES}
    names = pa.array(numbering.bands.get(survey, []), pa.string())
    columns["band"] = names.take(pa.array(points["band"].astype(np.int32)))
    columns["kind"] = pa.array(KINDS).take(pa.array(points["kind"].astype(np.int32)))
    return pa.table({"survey": pa.array([survey] * len(points), pa.string()), **columns})
