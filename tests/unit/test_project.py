"""The project keeps its own rules: where files lie, how long they are, what they may not say, and that the locks fit."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "fink"
LONG_FILES: dict[str, str] = {
    "codecs/kernel.py": "one compiled interpreter: numba compiles and caches it as a whole",
}
GENERIC_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "processor", "misc"}


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: which files belong to the project is unknown")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def tracked_texts() -> dict[str, str]:
    texts = {}
    for path in tracked_files():
        raw = path.read_bytes()
        if b"\0" not in raw[:8000] and path.suffix not in {".svg"}:
            texts[str(path.relative_to(ROOT))] = raw.decode("utf-8", errors="replace")
    return texts


def source_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("the home or work folder of some machine", r"(?<![\w.:/])/(?:root|work|home/\w+|Users/\w+)/"),
        ("where packages are fetched from", r"(?i)\b(?:index[-_]url|extra[-_]index[-_]url|find[-_]links|goproxy)\s*[= ]\s*[\"']?https?://"),
        ("an address in a private network", r"(?<![\d.])(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}(?![\d.])"),
        ("something left unfinished", r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|raise NotImplemented" + "Error"),
    ],
)
def test_no_tracked_file_says(what: str, pattern: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in tracked_texts().items()
        if name != "tests/unit/test_project.py"
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, f"{what}: {found}"


def test_files_are_named_for_what_they_are() -> None:
    vague = [str(path.relative_to(ROOT)) for path in tracked_files() if GENERIC_NAMES & set(re.split(r"[_.]", path.name))]
    assert not vague


def test_every_module_has_a_unit_test_that_mirrors_it() -> None:
    untested = []
    for path in source_files():
        relative = path.relative_to(SOURCE)
        private = path.stem.startswith("_")
        mirror = ROOT / "tests" / "unit" / relative.with_name(f"test_{path.stem}.py")
        if not private and functions(path) and not mirror.exists():
            untested.append(str(relative))
    assert not untested, "no tests/unit/…/test_<name>.py for these modules"


def test_private_files_are_tested_through_their_package() -> None:
    packages = {path.parent for path in source_files() if path.stem.startswith("_") and path.stem != "__init__"} - {SOURCE}
    unit = ROOT / "tests" / "unit"
    untested = [
        str(package.relative_to(SOURCE))
        for package in packages
        if not (unit / package.relative_to(SOURCE).with_name(f"test_{package.name}.py")).exists()
        and not list((unit / package.relative_to(SOURCE)).glob("test_*.py"))
    ]
    assert not untested


def test_functions_are_short() -> None:
    lengths = {f"{path.relative_to(SOURCE)}:{node.name}": length(node) for path in source_files() for node in functions(path)}
    assert not {name: lines for name, lines in lengths.items() if lines > 60}, "functions over 60 lines"
    assert statistics.median(lengths.values()) <= 15
    under = sum(lines < 45 for lines in lengths.values()) / len(lengths)
    assert under >= 0.9, f"only {under:.0%} of the functions are under 45 lines"


def test_files_are_short_or_say_why_not() -> None:
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in source_files()}
    assert not {name: lines for name, lines in lengths.items() if lines > 600 and name not in LONG_FILES}
    assert not [name for name in LONG_FILES if lengths.get(name, 0) <= 600], "no longer long: take these off the list"


def test_broad_except_stands_in_one_function_only() -> None:
    broad = []
    for path in source_files():
        for node in functions(path):
            handlers = [inner for inner in ast.walk(node) if isinstance(inner, ast.ExceptHandler)]
            if any(h.type is None or (isinstance(h.type, ast.Name) and h.type.id in {"Exception", "BaseException"}) for h in handlers):
                broad.append(f"{path.relative_to(SOURCE)}:{node.name}")
    assert len(broad) <= 1, broad


def test_every_assertion_can_fail() -> None:
    silent = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in functions(path):
            checks = any(
                isinstance(inner, ast.Assert)
                or (isinstance(inner, ast.Call) and re.search(r"raises|assert|check|expect", ast.unparse(inner.func)))
                for inner in ast.walk(node)
            )
            if node.name.startswith("test_") and not checks:
                silent.append(f"{path.relative_to(ROOT)}:{node.name}")
    assert not silent, "tests that assert nothing"


def locked(name: str) -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        match = re.match(r"([a-z0-9._-]+)==([^ ;\\]+)", line)
        if match:
            versions.setdefault(match[1], []).append(match[2])
    return versions


@pytest.mark.parametrize(("lock", "development"), [("requirements.lock", False), ("requirements-dev.lock", True)])
def test_the_lock_holds_every_dependency_at_a_version_that_is_allowed(lock: str, development: bool) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"])
    if development:
        wanted += project["dependency-groups"]["dev"]
    versions = locked(lock)
    requirements = [Requirement(text) for text in wanted]
    missing = [str(one) for one in requirements if not all(one.specifier.contains(v) for v in versions.get(one.name.lower(), ["0"]))]
    assert not missing, "run make lock"


def test_the_lock_checks_every_file_by_its_hash() -> None:
    entries = re.split(r"(?m)^(?=[a-z])", (ROOT / "requirements-dev.lock").read_text())
    assert [entry.split()[0] for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []


def test_the_run_time_lock_is_a_part_of_the_development_lock() -> None:
    development = locked("requirements-dev.lock")
    assert {name: v for name, v in locked("requirements.lock").items() if development.get(name) != v} == {}
