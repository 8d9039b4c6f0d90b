"""A real ``fink serve`` on an archive of 1e8 alerts of 1e7 objects, asked over HTTP: alone, and while a ``fink run`` writes at full rate.

The archive is written directly (`benchmarks.direct_archive`), or is that in the folder which ``FINK_BENCH_ARCHIVE`` names; the run writes
to a copy of it that shares its files. The clients are a process of their own, on the same two cores. 32 clients ask for an object each
at random times, some hundred objects a second together; then each asks again as soon as it is answered, which shows how much the server
can do. Every question asks for another object or place. Pages are seen for the first time, not from the server's memory.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
import orjson

from benchmarks.archive import Times, large_archive, random_names
from benchmarks.result import Result, table_text
from fink.archive.embedded import EmbeddedArchive
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_night

ROOT = Path(__file__).resolve().parents[1]
ALERTS = 100_000_000
CLIENTS = 32
A_SECOND = 160.0
"""Objects that the 32 clients ask for in a second, together: each five times."""

LISTED = "i:objectId,i:candid,i:ra,i:dec,i:fid,i:magpsf,i:sigmapsf"
PAGES = {
    "home": "/",
    "partial_name": "/search?q={part}",
    "position": "/search?q={ra:.4f}%20{dec:.4f}",
    "object": "/ztf/object/{name}",
    "substreams": "/substreams",
    "substream": "/ztf/substream/first_detections",
    "filter": "/filter",
    "statistics": "/statistics",
    "schema": "/schema",
    "status": "/status",
}
GOAL = {
    "object_p50_ms_at_most": 5.0,
    "object_p99_ms_at_most": 30.0,
    "cone_1_degree_p50_ms_at_most": 200.0,
    "objects_1000_p50_ms_at_most": 1000.0,
    "slowest_page_p50_ms_at_most": 100.0,
}
WHILE_WRITING = {f"writing_{name}": 2 * most for name, most in GOAL.items()}


class Connection:
    """One client's connection, kept open from question to question."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader, self._writer, self._host = reader, writer, host

    @classmethod
    async def to(cls, url: str) -> Connection:
        """Connect to a server."""
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port), parts.netloc)

    async def ask(self, target: str, body: bytes | None = None) -> bytes:
        """Ask one question and give the body of the answer.

        Raises
        ------
        RuntimeError
            If it is not answered with 200.
        """
        head = f"{'GET' if body is None else 'POST'} {target} HTTP/1.1\r\nHost: {self._host}\r\n"
        head += "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + (body or b""))
        said = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: (\d+)", said)
        answer = await self._reader.readexactly(int(length[1])) if length else await self._chunks()
        if b" 200 " not in said[:15]:
            raise RuntimeError(f"{target} was answered with {said.splitlines()[0].decode()}: {answer[:300]!r}")
        return answer

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self._reader.readline(), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readline()
        await self._reader.readline()
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the connection."""
        self._writer.close()


async def many(url: str, targets: Sequence[str], a_second: float | None) -> tuple[Times, float]:
    """Have 32 clients ask, each at random times or as soon as it is answered; give the times [ms], and the answers a second."""
    connections = [await Connection.to(url) for _ in range(CLIENTS)]
    times: list[float] = []
    pauses = np.random.default_rng(7).exponential(CLIENTS / (a_second or np.inf), len(targets)) if a_second else np.zeros(len(targets))

    async def client(number: int) -> None:
        for i in range(number, len(targets), CLIENTS):
            await asyncio.sleep(pauses[i])
            began = time.perf_counter()
            answer = await connections[number].ask(targets[i])
            times.append(time.perf_counter() - began)
            if len(answer) < 10:
                raise RuntimeError(f"{targets[i]} gave nothing: the archive is not what benchmarks.direct_archive writes")

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    spent = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return np.array(times) * 1e3, len(targets) / spent


async def one_by_one(url: str, questions: Sequence[tuple[str, bytes | None]]) -> Times:
    """Ask one question after another; give the times [ms]."""
    connection = await Connection.to(url)
    times = []
    for target, body in questions:
        began = time.perf_counter()
        await connection.ask(target, body)
        times.append(time.perf_counter() - began)
    connection.close()
    return np.array(times) * 1e3


def of_object(name: str, columns: str = LISTED) -> str:
    """Give the address of an object's alerts."""
    return "/ztf/api/v1/objects?" + urlencode({"objectId": name} | ({"columns": columns} if columns else {}))


def ask_all(url: str, n_objects: int, n: int, seed: int) -> tuple[dict[str, Times], float]:
    """Ask every kind of question; give the times [ms], and how many objects a second are the most."""

    def names(kind: int, count: int) -> list[str]:
        return random_names(n_objects, count, 100 * seed + kind)

    places = [orjson.loads(asyncio.run(_answer(url, of_object(name))))[0] for name in names(1, 20)]
    cones = [{"ra": f"{p['i:ra']:.5f}", "dec": f"{p['i:dec']:.5f}", "radius": "3600", "columns": LISTED} for p in places]
    shown = [{"name": n, "part": n[:9], "ra": p["i:ra"], "dec": p["i:dec"]} for n, p in zip(names(6, 9), places, strict=False)]
    thousand = [orjson.dumps({"objectId": ",".join(names(10 + i, 1000)), "columns": LISTED}) for i in range(5)]
    asyncio.run(many(url, [of_object(name) for name in names(2, 256)], None))
    times = {"object": asyncio.run(many(url, [of_object(name) for name in names(3, n)], A_SECOND))[0]}
    _, most = asyncio.run(many(url, [of_object(name) for name in names(4, n)], None))
    asked: Mapping[str, Sequence[tuple[str, bytes | None]]] = {
        "object_every_column": [(of_object(name, ""), None) for name in names(5, 20)],
        "cone_1_degree": [("/ztf/api/v1/conesearch?" + urlencode(cone), None) for cone in cones],
        "objects_1000": [("/ztf/api/v1/objects", body) for body in thousand],
        "substream_last_1000": [(f"/ztf/api/v1/tags?tag=first_detections&n=1000&columns={LISTED}", None)] * 5,
        **{f"page_{page}": [(target.format(**one), None) for one in shown] for page, target in PAGES.items()},
    }
    for what, questions in asked.items():
        times[what] = asyncio.run(one_by_one(url, questions))
    return times, most


async def _answer(url: str, target: str) -> bytes:
    connection = await Connection.to(url)
    answer = await connection.ask(target)
    connection.close()
    return answer


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Start ``fink serve`` on an archive, give its address, and stop it."""
    command = [str(Path(sys.executable).parent / "fink"), "serve", "--archive", str(folder), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = next((line for line in server.stderr if "http://" in line), "")
        address = re.search(r"http://[^/ ]+", line)
        if address is None:
            raise RuntimeError(f"the server did not start: {line}")
        try:
            yield address[0]
        finally:
            server.terminate()


@contextmanager
def writing(folder: Path, packets: Path) -> Iterator[subprocess.Popen[str]]:
    """Run ``fink run`` on packets into an archive, from its first commit on, and stop it."""
    command = [str(Path(sys.executable).parent / "fink"), "run", str(packets), "--archive", str(folder), "--format", "json"]
    command += ["--set", "retention.packets=none"]
    with EmbeddedArchive.reader(folder) as reader:
        before = reader.last_commit()
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while reader.refresh() <= before:
            if process.poll() is not None:
                raise RuntimeError(f"fink run ended with status {process.returncode} before its first commit")
            time.sleep(0.2)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def linked_copy(folder: Path, target: Path) -> Path:
    """Copy an archive: what is never changed once written is shared with the original, and takes no room."""
    for path in folder.rglob("*"):
        if path.is_file() and "readers" not in path.relative_to(folder).parts:
            copy = target / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in (".sst", ".parquet"):
                os.link(path, copy)
            else:
                shutil.copyfile(path, copy)
    return target


def measure(short: bool = False) -> Result:
    """Serve an archive of 1e8 alerts, or a small one, and ask it; then again beside a run."""
    alerts, n, packets = (100_000, 200, 20_000) if short else (ALERTS, 3000, 120_000)
    with large_archive(alerts) as (original, _), tempfile.TemporaryDirectory(dir=original.parent) as name:
        folder = linked_copy(original, Path(name) / "archive")
        with EmbeddedArchive.reader(folder) as reader:
            total = reader.statistics()
        with served(folder) as url:
            alone, most = ask_all(url, total["objects"], n, 1)
            night = simulate_night("ztf", packets, seed=5, stamps=False)
            write_night(night, Path(name) / "packets" / "night.avro", "container")
            with writing(folder, Path(name) / "packets") as run, EmbeddedArchive.reader(folder) as reader:
                first, began = reader.refresh(), time.monotonic()
                archived = reader.statistics()["alerts"]
                beside, most_beside = ask_all(url, total["objects"], n, 2)
                running = run.poll() is None
                rate = (reader.refresh() and reader.statistics()["alerts"] - archived) / (time.monotonic() - began)
                commits = reader.last_commit() - first
    figures: dict[str, float | str] = {"alerts": total["alerts"], "objects": total["objects"], "clients": float(CLIENTS)}
    figures |= {"objects_asked_per_s": A_SECOND, "objects_per_s": most, "writing_objects_per_s": most_beside}
    figures |= {"written_per_s": rate, "commits": float(commits), "still_writing": float(running)}
    rows = []
    for what, values in alone.items():
        (p50, p99), (slow50, slow99) = (np.percentile(each, [50, 99]).tolist() for each in (values, beside[what]))
        figures |= {f"{what}_p50_ms": p50, f"{what}_p99_ms": p99, f"writing_{what}_p50_ms": slow50, f"writing_{what}_p99_ms": slow99}
        rows.append([what.replace("_", " "), len(values), p50, p99, slow50, slow99])
    for prefix in ("", "writing_"):
        figures[f"{prefix}slowest_page_p50_ms"] = max(float(figures[f"{prefix}page_{page}_p50_ms"]) for page in PAGES)
    rows.append(["objects a second, at most", n, f"{most:,.0f}", "", f"{most_beside:,.0f}", ""])
    title = f"HTTP over {total['alerts']:,} alerts; then while {rate:,.0f} a second are written"
    header = ["question", "asked", "p50 [ms]", "p99 [ms]", "p50 beside", "p99 beside"]
    return Result.of("serve", figures, GOAL | WHILE_WRITING | {"still_writing": 1.0}, table_text(title, header, rows))
