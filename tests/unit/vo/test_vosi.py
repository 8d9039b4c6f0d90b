"""The service describes itself as the standards' schemas have it, and its examples are answered."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping

import pytest

from fink.config import VoSettings
from fink.errors import NotFoundError
from fink.vo import vosi
from fink.vo.expressions import FUNCTIONS, GEOMETRIES
from fink.vo.tables import KEYS, Table, shown_name
from fink.vo.tap import FORMATS
from unit.vo.conftest import Ask


def read(body: bytes | memoryview) -> ET.Element:
    return ET.fromstring(bytes(body).decode())


def test_capabilities_name_languages_forms_and_limits() -> None:
    found = read(vosi.capabilities("http://here", VoSettings.model_validate({"rows": 7, "most_rows": 11})).body)
    standards = [each.get("standardID") or "" for each in found]
    assert standards[0] == "ivo://ivoa.net/std/TAP"
    assert "ivo://ivoa.net/std/VOSI#tables-1.1" in standards
    tap = found[0]
    assert [each.text for each in tap.findall("language/version")] == ["2.0", "2.1"]
    features = {feature.text for feature in tap.findall("language/languageFeatures/feature/form")}
    assert set(GEOMETRIES) <= features
    assert {name for name, function in FUNCTIONS.items() if function.about} == {
        form.split("(")[0] for form in features if form and "->" in form
    }
    assert [each.text for each in tap.findall("outputFormat/mime")] == [form.media_type for form in FORMATS]
    assert [each.text for each in tap.findall("outputLimit/*")] == ["7", "11"]
    urls = [each.text or "" for each in found.iter("accessURL")]
    assert all(url.startswith("http://here/") for url in urls)


def test_every_table_and_column_is_listed(tables: Mapping[str, Table]) -> None:
    found = read(vosi.tableset(tables).body)
    listed = {
        each.findtext("name"): [column.findtext("name") for column in each.findall("column")] for each in found.findall("schema/table")
    }
    assert listed == {name: [shown_name(column) for column in table.columns.values()] for name, table in tables.items()}
    assert len(found.findall("schema/table/foreignKey")) == len(KEYS)
    brief = read(vosi.tableset(tables, brief=True).body)
    assert len(brief.findall("schema/table")) == len(tables)
    assert not list(brief.iter("column"))


def test_one_table(tables: Mapping[str, Table]) -> None:
    found = read(vosi.tableset(tables, name="ztf.alerts").body)
    assert found.findtext("name") == "ztf.alerts"
    ra = next(column for column in found.findall("column") if column.findtext("name") == "ra")
    assert [ra.findtext(part) for part in ("unit", "ucd", "dataType", "flag")] == ["deg", "pos.eq.ra;meta.main", "double", "indexed"]
    with pytest.raises(NotFoundError, match=r"did you mean ztf\.alerts"):
        vosi.tableset(tables, name="ztf.alert")


def test_it_is_available() -> None:
    assert read(vosi.availability().body)[0].text == "true"


@pytest.mark.parametrize("example", vosi.EXAMPLES, ids=lambda example: example.name)
def test_examples_are_answered_and_shown(ask: Ask, example: vosi.Example) -> None:
    assert ask(example.query).table.num_columns > 0
    page = read(vosi.examples().body)
    space = "{http://www.w3.org/1999/xhtml}"
    assert example.query in [each.text for each in page.iter(f"{space}pre") if each.get("property") == "query"]
