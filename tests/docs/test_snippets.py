"""The documentation's code runs: python blocks as they stand, console blocks that are marked with ``<!-- run -->``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
PYTHON = re.compile(r"(?ms)^```python\n(.*?)^```")
CONSOLE = re.compile(r"(?ms)^<!-- run -->\n+```console\n(.*?)^```")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if PYTHON.search(page.read_text())], ids=name)
def test_python_blocks_run_in_the_order_of_the_page(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n".join(PYTHON.findall(page.read_text())))
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if CONSOLE.search(page.read_text())], ids=name)
def test_marked_commands_succeed_in_the_order_of_the_page(page: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in CONSOLE.findall(page.read_text()):
        for command in re.findall(r"(?m)^\$ (.+)$", block):
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600
            )
            assert done.returncode == 0, f"{command}: {done.stderr}"


def test_links_between_pages_lead_somewhere() -> None:
    generated = set(re.findall(r'"([a-z/-]+\.md)": \w+_page', (ROOT / "docs" / "generate.py").read_text()))
    targets = [(page, link) for page in PAGES for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())]
    real = {(ROOT / "docs" / page).resolve() for page in generated}
    assert generated
    assert [
        f"{name(page)}: {link}" for page, link in targets if not (at := (page.parent / link).resolve()).exists() and at not in real
    ] == []
