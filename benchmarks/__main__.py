"""Run the benchmarks: ``python -m benchmarks [NAME] [--short]``.

With a name one is run: its table is printed and, as the last line, one JSON document. Without, all are run and their
sections of ``benchmarks/RESULTS.md`` are written anew; a short run only prints.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import pkgutil
import platform
import re
import sys
from pathlib import Path

import orjson

import benchmarks
from benchmarks.result import Result

RESULTS = Path(__file__).with_name("RESULTS.md")
PREAMBLE = """# Results

Written by `make bench`; each section says what was run, where and when. Rates are per second of processor time unless a
table says otherwise. A goal that is missed is stated below the table.
"""


def names() -> list[str]:
    """Give the benchmarks: each file of this folder that has a function ``measure``."""
    found = sorted(info.name for info in pkgutil.iter_modules(benchmarks.__path__) if not info.name.startswith("_"))
    return [name for name in found if "def measure(" in Path(benchmarks.__path__[0], f"{name}.py").read_text()]


def run(name: str, short: bool) -> Result:
    """Run one benchmark and print what it found; the last line is JSON."""
    result: Result = importlib.import_module(f"benchmarks.{name}").measure(short)
    print(result.table)
    document = {"name": result.name, "figures": result.figures, "goal": result.goal, "holds": result.holds}
    print(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY).decode(), flush=True)
    return result


def machine() -> str:
    """Describe the machine: processor, cores, memory, Python."""
    info = Path("/proc/cpuinfo")
    match = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{match[1] if match else platform.machine()}, {cores} cores, {memory:.0f} GB, Python {platform.python_version()}"


def section(result: Result) -> str:
    """Write the section of one benchmark."""
    today = datetime.datetime.now(datetime.UTC).date()
    verdict = "Every goal is met." if result.holds else "Not every goal is met."
    return f"## {result.name}\n\n`make bench NAME={result.name}`, {today}, on {machine()}. {verdict}\n\n```text\n{result.table}\n```\n"


def update(page: str, result: Result) -> str:
    """Replace or add the section of one benchmark; the other sections stay, in the order of their names."""
    parts = re.split(r"(?m)^(?=## )", page or PREAMBLE)
    sections = {part.splitlines()[0][3:]: part.strip() + "\n" for part in parts[1:]}
    sections[result.name] = section(result)
    return "\n".join([parts[0].rstrip() + "\n", *(sections[name] for name in sorted(sections))])


def main(arguments: list[str]) -> int:
    """Run what was asked for; 0 when every goal is met (a short run sets none), 1 otherwise, 2 for a name that is not there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Fink and compare with the goals.")
    parser.add_argument("name", nargs="?", help=f"one of: {', '.join(names())}; without a name all are run")
    parser.add_argument("--short", action="store_true", help="a quick look, as in continuous integration: it fails only if it cannot run")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md also for a single benchmark")
    options = parser.parse_args(arguments)
    if options.name and options.name not in names():
        parser.error(f"there is no benchmark {options.name}; there are {', '.join(names()) or 'none'}")
    results = []
    for name in [options.name] if options.name else names():
        results.append(run(name, options.short))
        if not options.short and (options.write or not options.name):
            RESULTS.write_text(update(RESULTS.read_text() if RESULTS.exists() else "", results[-1]))
    return 0 if options.short or all(result.holds for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
