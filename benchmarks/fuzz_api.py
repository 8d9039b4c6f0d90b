"""Ask a server of Fink very many questions that nobody would ask, and look for an answer that should never be given.

``python -m benchmarks.fuzz_api --n 50000`` (``make fuzz-api N=50000``). Schemathesis makes the questions from the interface's own
description: valid and invalid ones, half of them with some of the documented examples put back, so that they get past the first
checks. No answer may be a server error, every refusal must be a problem document (RFC 9457), and every JSON must be JSON.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.result import Ok

from fink.archive.state import State
from fink.config import ServeSettings
from fink.services.access import Access
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights

EXAMPLES = (("filters", {"name": "fuzzed_filter", "where": "mag < 19"}), ("jobs", {"sql": "SELECT 1"}), ("transfers", {"survey": "ztf"}))
"""What is made first, so that its name can be asked for."""
_UNLIMITED = {"COSTLY_PER_MINUTE": 10**9, "ANONYMOUS_COSTLY_PER_MINUTE": 10**9, "JOBS_AT_ONCE": 10**6, "ROWS_PER_DAY": 10**12}
_SLOW = 20.0
"""A question that takes longer is told of [s]."""


@dataclass(frozen=True)
class Failure:
    """An answer that should never be given."""

    operation: str
    why: str
    question: str
    answer: str


@dataclass
class Report:
    """What came of many questions."""

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    slow: list[tuple[float, str]] = field(default_factory=list)

    def note(self, operation: str, question: str, answer: httpx.Response | httpx.HTTPError, seconds: float) -> None:
        """Count an answer, and keep it where it should not have been given."""
        self.asked += 1
        if seconds > _SLOW:
            self.slow.append((seconds, question))
        if isinstance(answer, httpx.HTTPError):
            self.failures.append(Failure(operation, f"no answer: {type(answer).__name__} {answer}", question, ""))
            return
        self.statuses[answer.status_code] += 1
        why = wrong(answer)
        if why:
            self.failures.append(Failure(operation, why, question, answer.text[:500]))

    def distinct(self) -> list[Failure]:
        """Give one failure of each operation and kind."""
        found: dict[tuple[str, str], Failure] = {}
        for failure in self.failures:
            found.setdefault((failure.operation, failure.why), failure)
        return list(found.values())


def wrong(answer: httpx.Response) -> str:
    """Say why an answer should never be given; nothing where it may."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status_code >= 500 and answer.status_code != 503:
        return f"status {answer.status_code}"
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        if kind != "application/problem+json":
            return f"status {answer.status_code} as {kind}"
        if set(answer.json()) != {"type", "title", "status", "detail", "instance"}:
            return "a problem document of another shape"
    if kind in ("application/json", "application/problem+json") and answer.content:
        try:
            json.loads(answer.content, parse_constant=_no_constant)
        except ValueError as error:
            return f"JSON that is none: {error}"
    return ""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def fuzz(url: str, token: str, n: int, *, first_seed: int = 0, paths: str = "") -> Report:
    """Ask about ``n`` questions of a server.

    Parameters
    ----------
    token
        What is sent with most questions.
    first_seed
        Another one asks other questions.
    paths
        A regular expression that paths match.
    """
    report = Report()
    with httpx.Client(base_url=url, timeout=120) as client:
        document = client.get("/api/openapi.json").json()
        names = _prepared(client, token)
        schema = schemathesis.openapi.from_dict(document)
        found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
        # the live feed has no end
        operations = [each for each in found if not each.path.endswith("/live") and re.search(paths, each.path)]
        of_each = max(1, round(n / max(len(operations), 1)))
        for index, operation in enumerate(operations):
            examples = _documented(document, operation)
            _fuzz_one(client, operation, examples, names, token, of_each, first_seed + index, report)
    return report


def _prepared(client: httpx.Client, token: str) -> dict[str, str]:
    """Make something of each kind, and give the names by which it can be asked for."""
    names = {}
    for kind, body in EXAMPLES:
        answer = client.post(f"/api/v1/{kind}", json=body, headers={"Authorization": f"Bearer {token}"})
        names[kind] = answer.json().get("name", body.get("name", ""))
    return names | {"watchlists": names["filters"], "areas": names["filters"]}


def _documented(document: Mapping[str, Any], operation: APIOperation[Any, Any, Any, Any]) -> tuple[dict[str, Any], Any]:
    """Give the documented examples of an operation's arguments and of its body."""
    declared = document["paths"][operation.path][operation.method]
    query = {each["name"]: each["example"] for each in declared.get("parameters", []) if each["in"] == "query" and "example" in each}
    bodies = [each["example"] for each in declared.get("requestBody", {}).get("content", {}).values() if "example" in each]
    return query, bodies[0] if bodies else None


def _fuzz_one(
    client: httpx.Client,
    operation: APIOperation[Any, Any, Any, Any],
    documented: tuple[dict[str, Any], Any],
    names: Mapping[str, str],
    token: str,
    n: int,
    seeded: int,
    report: Report,
) -> None:
    """Ask an operation ``n`` questions."""
    valid, invalid = (operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))
    query, body = documented
    kind = operation.path.split("/")[3] if operation.path.count("/") > 2 else ""

    @seed(seeded)
    @settings(
        max_examples=n, database=None, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), derandomize=False
    )
    @given(case=st.one_of(valid, valid, invalid), mix=st.sets(st.integers(0, 30)), known=st.booleans(), bearing=st.integers(0, 9))
    def ask(case: Case[Any], mix: set[int], known: bool, bearing: int) -> None:
        asked = dict(case.query or {})
        sent = copy.copy(case.body)
        if known:
            asked |= {name: value for place, (name, value) in enumerate(query.items()) if place not in mix}
            if isinstance(body, dict) and isinstance(sent, dict):
                sent = sent | {name: value for place, (name, value) in enumerate(body.items()) if place not in mix}
            elif body is not None and not mix:
                sent = body
        place = {name: names.get(kind, "x") if known else value for name, value in (case.path_parameters or {}).items()}
        request = _request(client, operation, place, asked, sent, case.media_type, token if bearing else "")
        began = time.monotonic()
        answer: httpx.Response | httpx.HTTPError
        try:
            answer = client.send(request)
        except httpx.HTTPError as error:
            answer = error
        question = f"{request.method} {request.url} {request.content[:400]!r}"
        report.note(f"{operation.method} {operation.path}", question, answer, time.monotonic() - began)

    ask()


def _request(
    client: httpx.Client,
    operation: APIOperation[Any, Any, Any, Any],
    place: Mapping[str, Any],
    query: Mapping[str, Any],
    body: Any,
    media: str | None,
    token: str,
) -> httpx.Request:
    path = operation.path
    for name, value in place.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe="", errors="replace") or "%20")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    content: bytes | None = None
    if media is not None:
        headers["Content-Type"] = media
        content = _bytes(body, media)
    pairs = [(name, each) for name, value in query.items() for each in (value if isinstance(value, list) else [value])]
    return client.build_request(
        operation.method.upper(), path, params=[(name, _text(each)) for name, each in pairs], content=content, headers=headers
    )


def _bytes(body: Any, media: str) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, str) and "json" not in media:
        return body.encode("utf-8", "surrogatepass")
    try:
        return json.dumps(body).encode()
    except TypeError:
        return str(body).encode("utf-8", "surrogatepass")


def _text(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, bool | dict | list) else "" if value is None else str(value)
    return text.encode("utf-8", "replace").decode()


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str, subprocess.Popen[str]]]:
    """Make a small archive of two surveys and serve it; give the address, a token that allows everything, and the server."""
    for survey, alerts in (("ztf", 60), ("lsst", 30)):
        for night in simulate_nights(survey, 2, alerts, 3, stamps=True):
            write_night(night, folder / "packets" / f"{survey}_{night.night}")
    archive = folder / "archive"
    # the ledger that this prints is of no interest here
    with (folder / "run.json").open("w") as ledger:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "fink.cli",
                "run",
                str(folder / "packets"),
                "--workers",
                "0",
                "--archive",
                str(archive),
                "--format",
                "json",
            ],
            check=True,
            stdout=ledger,
        )
    _, token = Access(State(archive), ServeSettings()).create("fuzz", ["admin"])
    variables = {f"FINK_SERVE__{name}": str(value) for name, value in _UNLIMITED.items()}
    variables |= {"FINK_USERS__CHANGES_PER_HOUR": str(10**9), "FINK_USERS__PER_OWNER": str(10**6)}
    command = [sys.executable, "-m", "fink.cli", "serve", "--archive", str(archive), "--port", "0"]
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}) as server,
    ):
        assert server.stderr is not None
        line = next((line for line in server.stderr if "http://" in line), "")
        address = re.search(r"http://[^/]+", line)
        if address is None:
            raise SystemExit(f"the server did not start: {line}")
        follow = threading.Thread(target=log.writelines, args=(server.stderr,), daemon=True)
        follow.start()
        try:
            yield address[0], token, server
        finally:
            server.terminate()
            server.wait(30)
            follow.join()


def show(report: Report, seconds: float) -> int:
    """Print what came of it; give the number of distinct failures."""
    failures = report.distinct()
    for failure in failures:
        print(f"{failure.operation}: {failure.why}\n  {failure.question}\n  {failure.answer}\n")
    for taken, question in sorted(report.slow, reverse=True)[:10]:
        print(f"{taken:.1f} s: {question}")
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(report.statuses.items()))
    print(f"{report.asked:,} questions in {seconds:.0f} s; {statuses}")
    print(json.dumps({"name": "fuzz_api", "figures": {"cases": report.asked, "failures": len(failures)}, "holds": not failures}))
    return len(failures)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=50_000, help="questions")
    parser.add_argument("--paths", default="", help="only paths that match this regular expression")
    parser.add_argument("--seed", type=int, default=0, help="another number asks other questions")
    parser.add_argument("--log", type=Path, help="where what the server says is copied to")
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        with served(Path(folder)) as (url, token, server):
            report = fuzz(url, token, chosen.n, first_seed=chosen.seed, paths=chosen.paths)
            alive = server.poll() is None
        if chosen.log:
            chosen.log.write_text((Path(folder) / "server.log").read_text())
    failures = show(report, time.monotonic() - began)
    if not alive:
        print("the server died")
    sys.exit(1 if failures or not alive else 0)


if __name__ == "__main__":
    main()
