"""Packets to alert batches: ZTF container files and LSST records, beside fastavro reading the same bytes with its schema cached.

What is timed is everything from bytes in memory to the core vocabulary and the light curves: the copy of container files into the
batch's buffer and the scan of their headers, the decoding, the conversion of every field, the points in time order. With the survey's
own columns, a hundred for ZTF and two hundred for LSST, is a second figure. fastavro stops at Python objects, and is spared the container.

All that is compared in a line of the table runs in turn, round after round, and each figure is of the fastest of its rounds, in
processor time: what else the machine does meanwhile, which costs caches and memory bandwidth, can only add to it. Batches close as in a
run, at 4,000 alerts or 64 MB, those of LSST at 4,000 alerts alone but for one line: their stamps, which nothing here reads, fill 64 MB
with some five hundred.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import fastavro
import numpy as np
import orjson

from benchmarks.lsst_packets import lsst_packets
from benchmarks.result import Figure, Result, table_text
from fink.codecs.avro import PADDING
from fink.codecs.containers import KnownHeaders, read_containers
from fink.codecs.schemas import WriterSchema, compile_program, parse_schema
from fink.config import BatchSettings
from fink.simulator.replay import single_files
from fink.simulator.survey import simulate_night
from fink.surveys import Survey, registry
from fink.tables import Packets

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the fuzzer of the codecs' tests, and the real packets, where they are

from shared_data import shared_data_folder  # noqa: E402
from unit.codecs.avro_reference import Reference, everything, fuzz  # noqa: E402
from unit.surveys.real_packets import containers_in, schema_of  # noqa: E402

HISTORIES = (0, 30, 350)
ROUNDS = 15
LIMITS = BatchSettings()
GOAL = {
    "ztf_alerts_per_cpu_second": 80_000.0,
    "ztf_ratio": 40.0,
    "lsst_0_alerts_per_cpu_second": 500_000.0,
    "lsst_30_alerts_per_cpu_second": 80_000.0,
    "lsst_350_alerts_per_cpu_second": 8_000.0,
    **{f"lsst_{points}_ratio": 80.0 for points in HISTORIES},
    "fuzz_mistakes_at_most": 0.0,
    "kernels_cold_seconds_at_most": 10.0,
    "kernels_from_disk_seconds_at_most": 1.0,
}
_START = """
import sys, time
begin = time.process_time()
import numba, numpy, pyarrow, scipy.linalg  # the last is loaded by numba with the first kernel
from fink.surveys.ztf import survey
from fink.tables import Packets
schema = survey.writer_schemas()[0]
body = open(sys.argv[1], "rb").read()
pyarrow.array([1.0])  # brings in pandas, where that is installed
imported = time.process_time()
assert len(survey.decode(Packets.from_bodies([body], schema))[0]) == 1
print(imported - begin, time.process_time() - imported)
"""


def measure(short: bool) -> Result:
    """Measure decoding; the short form takes seconds."""
    figures: dict[str, Figure] = {}
    rounds = 3 if short else ROUNDS
    rows = [_ztf(figures, rounds)]
    rows += [_lsst(figures, f"lsst_{points}", points, 400 if points > 100 else LIMITS.alerts, rounds) for points in HISTORIES]
    rows.append(_lsst(figures, "lsst_0_in_64_mb", 0, _in_a_batch(lsst_packets(20, 0, 0).buffer.nbytes / 20), rounds))
    _starts(figures)
    _fuzz(figures, 5_000 if short else 200_000)
    header = ("packets", "batch", "points", "Fink [1/CPU s]", "with own columns", "fastavro [1/CPU s]", "ratio", "us an alert")
    table = table_text("Bytes to the core vocabulary and light curves", header, rows)
    return Result.of("decode", figures, GOAL, "\n".join([table, _remarks(figures)]))


def _remarks(figures: dict[str, Figure]) -> str:
    return (
        f"ZTF from {figures['ztf_packets']} in containers; of its time {figures['ztf_copy_us']:.3g} us are the copy of a file into the "
        f"batch's buffer and {figures['ztf_scan_us']:.3g} us the scan of its header, each by itself.\n"
        f"First alert of a new process, processor time: {figures['imports_seconds']:.3g} s of imports, then "
        f"{figures['kernels_cold_seconds']:.3g} s where the kernels are compiled, {figures['kernels_from_disk_seconds']:.3g} s where they "
        f"come from the disk.\n"
        f"{figures['fuzz_records']:,} damaged packets: {figures['fuzz_mistakes']} read otherwise than by fastavro."
    )


def ztf_files(figures: dict[str, Figure]) -> list[bytes]:
    """Give ZTF container files of schema 4.02: real ones where they are, simulated ones elsewhere."""
    folder = shared_data_folder() / "ztf_alerts"
    found = [data for data in containers_in(folder) if (schema := schema_of(data)) and _is_new(schema)] if folder.exists() else []
    figures["ztf_packets"] = "real packets" if found else "the simulator"
    return found or single_files(simulate_night("ztf", 200))


def _is_new(schema: WriterSchema) -> bool:
    """Say whether a schema is that of ZTF 4.02, as the survey writes it."""
    built_in = parse_schema(registry()["ztf"].writer_schemas()[0])
    return [f["name"] for f in schema.fields()] == [f["name"] for f in built_in.fields()] and schema.document.get("version") == "4.02"


def _in_a_batch(size: float) -> int:
    """Give how many packets of a size [byte] close a batch."""
    return min(LIMITS.alerts, int(LIMITS.megabytes * 1e6 / size))


def _in_turn(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Give the processor time of each of some pieces of work in its fastest round [s]; they are run in turn."""
    spent: list[list[float]] = []
    for _ in range(rounds):
        spent.append([])
        for work in works:
            start = time.process_time()
            work()
            spent[-1].append(time.process_time() - start)
    return [min(times) for times in zip(*spent, strict=True)]


def _row(figures: dict[str, Figure], name: str, n: int, points: int, rates: Sequence[float]) -> tuple[object, ...]:
    """Enter the rates of Fink, of Fink with the survey's own columns and of fastavro; give the line of the table."""
    ours, with_own, theirs = rates
    figures[f"{name}_alerts_per_cpu_second"], figures[f"{name}_fastavro_per_cpu_second"] = ours, theirs
    figures[f"{name}_with_own_columns_per_cpu_second"] = with_own
    figures[f"{name}_ratio"] = ours / theirs
    return name, n, round(points / n, 1), ours, with_own, theirs, ours / theirs, 1e6 / ours


def _ztf(figures: dict[str, Figure], rounds: int) -> tuple[object, ...]:
    """Read a batch of ZTF container files."""
    survey, known = registry()["ztf"], KnownHeaders()
    distinct = [data for data in ztf_files(figures) if _reads(data)]
    n = _in_a_batch(sum(map(len, distinct)) / len(distinct))
    files = [distinct[i % len(distinct)] for i in range(n)]
    ends = np.cumsum([len(data) for data in files])
    starts = ends - [len(data) for data in files]
    buffer = np.zeros(int(ends[-1]) + PADDING, np.uint8)

    def copy() -> None:
        view = memoryview(buffer)  # type: ignore[arg-type]  # an array gives its buffer
        for data, start, end in zip(files, starts.tolist(), ends.tolist(), strict=True):
            view[start:end] = data

    def scan() -> Packets:
        records, _ = read_containers(buffer, starts, ends, known)
        numbers = np.repeat(np.arange(len(records)), [len(part.starts) for part in records]).astype(np.int32)
        texts = tuple(part.schema.text for part in records)
        same = {text: texts.index(text) for text in texts}
        schema = np.array([same[text] for text in texts], np.int32)[numbers]
        joined = [np.concatenate([getattr(part, name) for part in records]) for name in ("starts", "ends")]
        return Packets(buffer, joined[0], joined[1], schema, texts)

    def read(own: bool = False) -> int:
        copy()
        batch, _, refusals = survey.decode(scan(), own=own)
        assert (len(batch), refusals) == (n, ())
        return batch.lightcurves.n_points

    records, _ = read_containers(*_joined(distinct))
    bodies = [(Reference(part.schema), part.buffer[a:b].tobytes()) for part in records for a, b in zip(part.starts, part.ends, strict=True)]
    works = (read, lambda: read(own=True), lambda: [reference.read(body) for reference, body in bodies], copy, scan)
    ours, with_own, theirs, copying, scanning = _in_turn(rounds, *works)
    figures["ztf_copy_us"], figures["ztf_scan_us"] = 1e6 * copying / n, 1e6 * scanning / n
    return _row(figures, "ztf", n, read(), (n / ours, n / with_own, len(bodies) / theirs))


def _reads(data: bytes) -> bool:
    """Say whether fastavro reads a file to its end."""
    try:
        return len(list(fastavro.reader(io.BytesIO(data)))) == 1
    except (EOFError, ValueError, IndexError, UnicodeDecodeError):
        return False


def _joined(files: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ends = np.cumsum([len(data) for data in files])
    return np.frombuffer(b"".join(files) + bytes(PADDING), np.uint8), ends - [len(data) for data in files], ends


def _lsst(figures: dict[str, Figure], name: str, points: int, n: int, rounds: int) -> tuple[object, ...]:
    """Read LSST records with so many earlier sources and as many forced points."""
    survey: Survey = registry()["lsst"]
    packets = lsst_packets(n, points, points, distinct=20)
    batch, _, refusals = survey.decode(packets)
    assert (len(batch), refusals) == (n, ())
    reference = Reference(parse_schema(packets.schemas[0]))
    bodies = [packets.body(i) for i in range(20)]
    works = (lambda: survey.decode(packets, own=False), lambda: survey.decode(packets), lambda: [reference.read(body) for body in bodies])
    ours, with_own, theirs = _in_turn(rounds, *works)
    return _row(figures, name, n, batch.lightcurves.n_points, (n / ours, n / with_own, len(bodies) / theirs))


def _starts(figures: dict[str, Figure]) -> None:
    """Time imports and first alert of a new process, with an empty cache of kernels and then with a filled one."""
    survey = registry()["ztf"]
    schema = parse_schema(survey.writer_schemas()[0])
    night = simulate_night("ztf", 20)
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder, "packet")
        part = read_containers(*_joined(single_files(night)[:1]))[0][0]
        assert [f["name"] for f in part.schema.fields()] == [f["name"] for f in schema.fields()]
        body.write_bytes(part.buffer[part.starts[0] : part.ends[0]].tobytes())
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(Path(folder, "kernels"))}
        for name in ("kernels_cold_seconds", "kernels_from_disk_seconds"):
            command = [sys.executable, "-c", _START, str(body)]
            told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
            figures["imports_seconds"], figures[name] = float(told[0]), float(told[1])


def _fuzz(figures: dict[str, Figure], n: int) -> None:
    """Decode damaged packets of both surveys, and compare what can still be read with fastavro."""
    start = time.perf_counter()
    ztf = read_containers(*_joined([data for data in ztf_files({}) if _reads(data)][:8]))[0]
    lsst = lsst_packets(8, 2, 2, distinct=8)
    sets = [(part.schema, [part.buffer[a:b].tobytes() for a, b in zip(part.starts, part.ends, strict=True)]) for part in ztf[:1]]
    sets.append((parse_schema(lsst.schemas[0]), [lsst.body(i) for i in range(8)]))
    results = [fuzz(compile_program(schema, everything), bodies, n // 2, seed=i) for i, (schema, bodies) in enumerate(sets)]
    figures["fuzz_records"] = n
    figures["fuzz_mistakes"] = sum(len(result.mistakes) for result in results)
    figures["fuzz_refused_by_fink_alone"] = orjson.dumps({k: v for result in results for k, v in result.stricter.items()}).decode()
    figures["fuzz_seconds"] = time.perf_counter() - start
