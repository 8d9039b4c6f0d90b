"""Tables in every form, read back by other programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse_single_table

from fink.columns import COLUMNS, Column
from fink.errors import FinkError
from fink.services.exports import FORMS, Form, export, export_parts, form_of

LARGE = 2**62 + 1
POINT = pa.struct([("mjd", pa.float64()), ("flux", pa.float32())])
TABLE = pa.table(
    {
        "alert_id": pa.array([LARGE, -5, 0], pa.int64()),
        "object_id": pa.array(["ZTF18é", None, 'with "quotes", and <tags>']),
        "mag": pa.array([18.25, None, 20.5], pa.float32()),
        "mjd": pa.array([60000.123456789, 60001.0, 60002.0], pa.float64()),
        "positive": pa.array([True, False, None]),
        "n_detections": pa.array([1, None, 3], pa.int32()),
        "unheard_of": pa.array([1.0, float("nan"), float("inf")], pa.float64()),
        "lightcurve": pa.array(
            [[{"mjd": 1.0, "flux": None}], [], None], pa.list_(pa.struct([("mjd", pa.float64()), ("flux", pa.float32())]))
        ),
    }
)


def test_json_is_valid_and_has_null_for_what_is_not_a_number() -> None:
    rows = json.loads(export(TABLE, "json", COLUMNS), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert [row["mag"] for row in rows] == [18.25, None, 20.5]
    assert [row["unheard_of"] for row in rows] == [1.0, None, None]
    assert rows[0]["alert_id"] == LARGE
    assert rows[0]["lightcurve"] == [{"mjd": 1.0, "flux": None}]
    assert rows[0]["object_id"] == "ZTF18é"


def test_csv_is_read_back_without_the_nested_columns() -> None:
    rows = list(csv.DictReader(io.StringIO(export(TABLE, "csv", COLUMNS).decode())))
    assert "lightcurve" not in rows[0]
    assert [row["alert_id"] for row in rows] == [str(LARGE), "-5", "0"]
    assert rows[2]["object_id"] == 'with "quotes", and <tags>'
    assert float(rows[0]["mjd"]) == 60000.123456789
    assert (rows[1]["mag"], rows[1]["n_detections"]) == ("", "")


def test_parquet_is_the_table_with_units_and_meanings() -> None:
    found = pq.read_table(io.BytesIO(export(TABLE, "parquet", COLUMNS)))
    assert found.drop_columns(["unheard_of"]).equals(TABLE.drop_columns(["unheard_of"]))
    assert found.schema.field("mag").metadata[b"unit"] == b"mag"


def read_votable(table: pa.Table, vocabulary: dict[str, Column] = COLUMNS) -> Any:
    return parse_single_table(io.BytesIO(export(table, "votable", vocabulary)))


def test_votable_carries_values_units_ucds_and_nulls() -> None:
    found = read_votable(TABLE)
    for name in ("mag", "mjd", "alert_id"):
        field = found.get_field_by_id_or_name(name)
        assert (str(field.unit or ""), field.ucd, field.description) == (COLUMNS[name].unit, COLUMNS[name].ucd, COLUMNS[name].about)
    values = found.to_table()
    assert values["alert_id"].tolist() == [LARGE, -5, 0]
    assert values["mag"].tolist() == [18.25, None, 20.5] or np.isnan(values["mag"][1])
    assert np.ma.is_masked(values["n_detections"][1])
    assert values["n_detections"][2] == 3
    assert values["mjd"][0] == 60000.123456789
    assert [str(v) for v in values["object_id"]][::2] == ["ZTF18é", 'with "quotes", and <tags>']


def test_an_empty_table_and_an_all_null_column_can_be_written_in_every_form() -> None:
    null = pa.table({"mag": pa.nulls(2, pa.float32()), "object_id": pa.nulls(2, pa.string()), "n_visits": pa.nulls(2, pa.int32())})
    for form in FORMS:
        assert export(TABLE.slice(0, 0), form, COLUMNS)
        assert export(null, form, COLUMNS)
    assert len(read_votable(TABLE.slice(0, 0)).array) == 0
    assert len(read_votable(null).array) == 2


def test_forms_are_told_by_the_name() -> None:
    assert [form_of(Path(name)) for name in ("a.json", "a.csv", "a.parquet", "a.vot")] == list(FORMS)
    with pytest.raises(FinkError, match="does not say its form"):
        form_of(Path("a.txt"))
    with pytest.raises(FinkError, match="no form"):
        export(TABLE, "xlsx", COLUMNS)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lengths", [[3], [1, 2], [0, 1, 0, 1, 1], [0], []])
def test_parts_together_are_the_whole(form: Form, lengths: list[int]) -> None:
    ends = np.cumsum([0, *lengths])
    parts = [TABLE.slice(start, length) for start, length in zip(ends, lengths, strict=False)]
    whole, written = TABLE.slice(0, ends[-1]), b"".join(export_parts(parts, TABLE.schema, form, COLUMNS, pandas=True))
    match form:
        case "json" | "csv":
            assert written == export(whole, form, COLUMNS)
        case "parquet":
            mine, known = (pq.read_table(io.BytesIO(data)) for data in (written, export(whole, form, COLUMNS, pandas=True)))
            assert mine.schema.equals(known.schema, check_metadata=True)
            assert mine.drop_columns(["unheard_of"]).equals(known.drop_columns(["unheard_of"]))
        case _:
            first, second = (parse_single_table(io.BytesIO(text)) for text in (written, export(whole, form, COLUMNS)))
            assert [field.name for field in first.fields] == [field.name for field in second.fields]
            assert list(first.array["alert_id"]) == list(second.array["alert_id"])
