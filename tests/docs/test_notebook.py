"""The notebook of the documentation runs, and says what its page says."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "guide" / "light-curves.ipynb"


def said(notebook: dict[str, Any]) -> list[str]:
    """Give what its cells print and give, without pictures."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return ["".join(output.get("text") or output["data"].get("text/plain", [])) for output in outputs]


def test_the_notebook_runs_and_shows_what_it_showed(tmp_path: Path) -> None:
    kept = json.loads(NOTEBOOK.read_text())
    bare = copy.deepcopy(kept)
    for cell in bare["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    (tmp_path / "notebook.ipynb").write_text(json.dumps(bare))
    command = [sys.executable, str(ROOT / "docs" / "notebook.py"), "notebook.ipynb"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"COLUMNS": "80"}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "notebook.ipynb").read_text())
    assert said(again) == said(kept), "run python docs/notebook.py docs/guide/light-curves.ipynb"
    assert sum("image/png" in o.get("data", {}) for cell in again["cells"] for o in cell.get("outputs", [])) == 2
    assert [cell["source"] for cell in again["cells"]] == [cell["source"] for cell in kept["cells"]]


def test_the_page_holds_every_cell_and_picture() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page, notebook = generate.notebook_page(), json.loads(NOTEBOOK.read_text())
    assert [cell["id"] for cell in notebook["cells"] if "".join(cell["source"]) not in page] == []
    assert page.count("data:image/png;base64,") == 2
    assert "median error of the maximum" in page
