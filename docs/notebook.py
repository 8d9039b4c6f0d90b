"""Run the cells of a notebook and keep what they show. ``python docs/notebook.py docs/guide/light-curves.ipynb``."""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

Cell = dict[str, Any]


def read(path: Path) -> dict[str, Any]:
    """Read a notebook."""
    notebook: dict[str, Any] = json.loads(path.read_text())
    return notebook


def run(notebook: dict[str, Any]) -> None:
    """Run every cell in order, in one name space, and put what it prints, gives and draws beside it."""
    import matplotlib

    matplotlib.use("Agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    number = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            number += 1
            cell["execution_count"], cell["outputs"] = number, _run_cell("".join(cell["source"]), names, number)


def _run_cell(source: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Run a cell; its last expression is what it gives, unless a semicolon ends it."""
    tree, printed, value = ast.parse(source), io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"<cell {number}>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"<cell {number}>", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(keepends=True)})
    if value is not None and not source.rstrip().endswith(";"):
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        outputs.append({"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data})
    return outputs + [{"output_type": "display_data", "metadata": {}, "data": {"image/png": png}} for png in _figures()]


def _figures() -> list[str]:
    """Give the open figures as PNG in base 64, and close them."""
    from matplotlib import pyplot

    pictures = []
    for number in pyplot.get_fignums():
        sink = io.BytesIO()
        pyplot.figure(number).savefig(sink, format="png", dpi=80, metadata={"Software": None})
        pictures.append(base64.b64encode(sink.getvalue()).decode())
    pyplot.close("all")
    return pictures


def main(path: Path) -> None:
    """Run a notebook and keep what it shows."""
    notebook = read(path)
    run(notebook)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
