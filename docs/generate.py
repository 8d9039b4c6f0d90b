"""Pages of the documentation that are written from the code when the site is built, so that they cannot go stale."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _column_table(columns: Iterable[Any]) -> str:
    rows = [(f"`{c.name}`", c.type, c.unit, f"`{c.ucd}`" if c.ucd else "", c.about) for c in columns]
    return _table(("Column", "Type", "Unit", "UCD", "Meaning"), rows)


def columns_page() -> str:
    """Write the page of columns: the core vocabulary, then what each survey and each science module adds."""
    parts = ["# Columns", "A quantity has one name, type, unit and meaning. Missing is null.", "## Every survey"]
    parts.append(_column_table(import_module("fink.columns").COLUMNS.values()))
    for survey in import_module("fink.surveys").registry().values():
        if survey.columns:
            parts += [f"## {survey.name} only", _column_table(survey.columns)]
    for module in import_module("fink.science").registry().values():
        parts += [f"## Added by `{module.name}`", _column_table(module.outputs)]
    return "\n\n".join(parts)


MODULES_INTRODUCTION = """
A module is a function of an alert's columns and of its light curve: what the packet carries, and from the archive what is older.
It sees one alert at a time, as far as its answer goes, and knows no survey, no clock and no network. Where it has no answer its
columns are null. Each module also adds `<module>_status`, which says why: 0 it ran, and a null is its answer; 1 its condition left
the alert out; 2 it failed on this alert; 3 a map, catalogue or model that it reads is not there.
[How to write one](../develop/write-a-module.md)."""


def modules_page() -> str:
    """Write the page of science modules."""
    parts = ["# Science modules", "What each one measures, what it needs, and which columns it adds.", MODULES_INTRODUCTION]
    for module in import_module("fink.science").registry().values():
        parts += [f"## {module.name}", module.description]
        facts = [("Version", module.version), ("Needs", ", ".join(f"`{name}`" for name in module.inputs))]
        facts += [("Runs where", f"`{module.where}`")] if module.where else []
        facts += [("Reads", artifact.about) for artifact in module.artifacts]
        facts += [("Reference", module.reference)] if module.reference else []
        parts += [_table(("", ""), facts), _column_table(module.outputs)]
    return "\n\n".join(parts)


def filters_page() -> str:
    """Write the page of filters, the named cuts among them where there are any."""
    filters = import_module("fink.filters")
    parts = ["# Filters", "Each filter is one condition, and defines the substream of its name."]
    for name, one in filters.registry().items():
        parts += [f"## {name}", one.about, f"```sql\n{one.where}\n```"]
        if one.surveys:
            parts.append(f"Surveys: {', '.join(one.surveys)}.")
        if one.per_night:
            parts.append(f"Expected in a night: {one.per_night[0]} to {one.per_night[1]}.")
    if find_spec("fink.filters.cuts"):
        rows = [(f"`{name}`", cut.about, f"`{cut.where}`") for name, cut in filters.named_cuts().items()]
        parts += ["## Named cuts", _table(("Cut", "Meaning", "Condition"), rows)]
    return "\n\n".join(parts)


def settings_page() -> str:
    """Write the page of settings: each with its type, default and meaning."""
    parts = ["# Settings", "From the command line, the environment (`FINK_SECTION__KEY`) and `fink.toml`; the first that says wins."]
    top, sections = [], []
    for name, info in import_module("fink.config").Settings.model_fields.items():
        fields = getattr(info.annotation, "model_fields", None)
        if fields is None:
            top.append(_setting(name, info))
        else:
            about = " ".join((info.annotation.__doc__ or "").split())
            rows = [_setting(key, value) for key, value in fields.items()]
            sections += [f"## {name}", about, _table(("Setting", "Type", "Default", "Meaning"), rows)]
    return "\n\n".join([*parts, _table(("Setting", "Type", "Default", "Meaning"), top), *sections])


def _setting(name: str, info: Any) -> tuple[str, str, str, str]:
    kind = info.annotation.__name__ if isinstance(info.annotation, type) else str(info.annotation)
    default = "by the machine" if info.default_factory else info.default
    return f"`{name}`", f"`{kind}`", f"`{default}`", info.description or ""


def commands_page() -> str:
    """Write the page of commands from the help that they print themselves."""
    command = import_module("typer.main").get_command(import_module("fink.cli").app)
    return "\n\n".join(["# Commands", *_commands("fink", command)])


def _commands(path: str, command: Any) -> list[str]:
    children = getattr(command, "commands", {})
    parts = [] if path == "fink" else [f"## {path}", (command.help or "").replace("\b", "").strip()]
    rows = [(f"`{'`, `'.join(p.opts)}`", getattr(p, "help", None) or "") for p in command.params if "--help" not in p.opts]
    if rows and path != "fink":
        parts.append(_table(("Argument or option", "Meaning"), rows))
    for name, child in children.items():
        if not child.hidden:
            parts += _commands(f"{path} {name}", child)
    return parts


def notebook_page() -> str:
    """Write the notebook: its text, its code, and what each cell showed when it was last run."""
    parts = []
    for cell in json.loads((ROOT / "docs" / "guide" / "light-curves.ipynb").read_text())["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_shown(output) for output in cell.get("outputs", [])]
    return "\n\n".join(parts)


def _shown(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f"![What this cell draws](data:image/png;base64,{data['image/png']})"
    return "```text\n" + "".join(output.get("text") or data["text/plain"]).rstrip() + "\n```"


CATALOGUES_INTRODUCTION = """
Every alert is matched with every catalogue that is installed, at the place and time at which it was seen. It gets the columns of the
best match, which is the nearest source within the radius (or, where sources are ellipses, that with the smallest fraction of the way
to its edge), and `<catalogue>_separation`, which is null where nothing is near enough. A list of the survey's own objects has no
positions: it is matched by the object's name, and gives no separation. `<catalogue>_status` is 0 where it was matched,
and 3 where the catalogue is not installed. What is kept beside is not put on alerts; it stands in the catalogue's `rows.parquet`.
[How to install and update them](../operate/catalogues.md); [what agrees with the present broker](../science/recorded-matches.md)."""


def catalogues_page() -> str:
    """Write the page of catalogues: a list, then each with its columns, radius, citation and licence."""
    known = import_module("fink.catalogs").registry()
    rows = [
        (f"[{name}](#{name})", one.about, "by the object's name" if one.object_field else f"{one.radius:g}") for name, one in known.items()
    ]
    parts = ["# Catalogues", CATALOGUES_INTRODUCTION, _table(("Catalogue", "What it is", "Radius [arcsec]"), rows)]
    for name, one in known.items():
        facts = [("Citation", one.citation), ("Licence", one.licence)]
        facts += [("Fetched from", f"`{one.download.url}`" if one.download else "a file that you have")]
        kept = [one.column(field) for field in one.fields if not field.on_alerts]
        parts += [f"## {name}", one.description, _table(("", ""), facts), _column_table(one.columns)]
        parts += [f"Kept beside: {', '.join(f'`{column.name}` ({column.about})' for column in kept)}."] if kept else []
    return "\n\n".join(parts)


PAGES: dict[str, Callable[[], str]] = {
    "guide/catalogues.md": catalogues_page,
    "guide/columns.md": columns_page,
    "guide/filters.md": filters_page,
    "guide/commands.md": commands_page,
    "guide/light-curves.md": notebook_page,
    "science/modules.md": modules_page,
    "operate/settings.md": settings_page,
}


def benchmarks_table() -> str:
    """Write the table of benchmarks: the name of each, and the first sentence of its file."""
    rows = []
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        tree = ast.parse(path.read_text())
        if any(isinstance(node, ast.FunctionDef) and node.name == "measure" for node in tree.body):
            rows.append((f"`{path.stem}`", (ast.get_docstring(tree) or "").split("\n\n")[0]))
    return _table(("Name", "What is measured"), rows)


def decisions_list() -> str:
    """Write the list of decisions: the question that each page has for its title."""
    pages = [path for path in (ROOT / "docs" / "decisions").glob("*.md") if path.name != "index.md"]
    titles = {path.read_text().split("\n", 1)[0].removeprefix("# "): path.name for path in pages}
    return "\n".join(f"- [{title}]({titles[title]})" for title in sorted(titles))


def routes_list() -> str:
    """Write the routes of the interface with their arguments."""
    parts = []
    for route in import_module("fink.api.registry").ROUTES:
        rows = [(f"`{a.name}`", a.kind, "required" if a.required else a.default, a.about) for a in route.arguments]
        bases = ", ".join(f"`/{survey}/api/v1{route.path}`" for survey in route.surveys)
        parts.append(f"### {bases}\n\n{route.about}." + (f"\n\n{_table(('Argument', 'Kind', 'Default', 'Meaning'), rows)}" if rows else ""))
    return "\n\n".join(parts)


def orders_list() -> str:
    """Write the routes that need a token or cost something, with the scope that each needs."""
    build = import_module("fink.api.application").build_application
    described = import_module("fink.api.documentation").described
    paths = described(build(None, {}), {"ztf": {}, "lsst": {}})["paths"]
    rows = [
        (f"`{method.upper()} {path}`", each["summary"].rstrip("."), re.findall(r"with the scope (\w+)", each["description"]))
        for path, methods in paths.items()
        for method, each in methods.items()
        if "security" in each
    ]
    return _table(("Request", "What it does", "Scope"), [(path, about, "".join(scope) or "–") for path, about, scope in rows])


PARTS: dict[str, Callable[[], str]] = {
    "<!-- benchmarks -->": benchmarks_table,
    "<!-- decisions -->": decisions_list,
    "<!-- orders -->": orders_list,
    "<!-- routes -->": routes_list,
}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the parts of pages by hand that are written from the code; MkDocs calls it."""
    for mark, write in PARTS.items():
        markdown = markdown.replace(mark, write())
    return markdown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those by hand; MkDocs calls it."""
    for path, write in PAGES.items():
        files.append(File.generated(config, path, content=write() + "\n"))
    return files
