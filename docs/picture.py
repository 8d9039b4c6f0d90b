"""Draw docs/images/demo.svg: what `fink demo` prints, from a real run. ``python docs/picture.py``."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT

from fink.cli import output
from fink.cli.application import run

PICTURE = Path(__file__).resolve().with_name("images") / "demo.svg"
WIDTH = 76
# Without the fonts that the picture would fetch from elsewhere: any monospaced one will do.
FORM = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main() -> None:
    """Run the demonstration and keep what it prints."""
    output.stdout.record = True
    output.stdout.width = WIDTH
    output.stdout.print("[bold]$[/] make demo\n")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if status := run(["demo", "--no-portal"]):
            raise SystemExit(status)
        svg = output.stdout.export_svg(title="Fink", code_format=FORM, unique_id="demo")
        os.chdir(PICTURE.parents[2])
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


if __name__ == "__main__":
    main()
