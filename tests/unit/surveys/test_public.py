"""Public columns: one name each, in the form that scripts have read for years."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from astropy.time import Time

from fink.archive.rows import declared_columns
from fink.columns import COLUMNS
from fink.surveys.public import exposure_start, public_columns, published, runtime_columns


@pytest.mark.parametrize(("survey", "prefixes"), [("ztf", ("i:", "d:")), ("lsst", ("r:", "f:"))])
def test_names_have_the_surveys_prefixes_and_no_other_surveys_columns(survey: str, prefixes: tuple[str, ...]) -> None:
    found = public_columns(survey, declared_columns().values())
    assert all(name.startswith(prefixes) for name in found)
    other = {"ztf": "lsst_", "lsst": "ztf_"}[survey]
    assert not [column.name for column in found.values() if column.name.startswith(other)]
    assert set(COLUMNS) <= {column.name for column in found.values()}


def test_values_are_in_their_public_form_and_absent_columns_null() -> None:
    table = pa.table({"band": ["g", "i", None], "positive": [True, False, None], "sso_name": ["8467", None, None]})
    names = {
        name: column for name, column in public_columns("ztf", COLUMNS.values()).items() if column.name in (*table.column_names, "mag")
    }
    found = published(table, "ztf", names)
    assert found["i:fid"].to_pylist() == [1, 3, None]
    assert found["i:isdiffpos"].to_pylist() == ["t", "f", None]
    assert found["i:ssnamenr"].to_pylist() == ["8467", "null", "null"]
    assert found["i:magpsf"].to_pylist() == [None] * 3
    lsst = published(pa.table({"object_id": ["170081433198198979", None]}), "lsst", {"r:diaObjectId": COLUMNS["object_id"]})
    assert lsst["r:diaObjectId"].to_pylist() == [170081433198198979, None]


def test_dates_are_those_of_astropy() -> None:
    mjd = np.array([58000.25, 61000.123456])
    alerts = pa.table({"mjd": mjd, "first_mjd": mjd - 10.5})
    found = {name: values.to_pylist() for name, (values, _) in runtime_columns("ztf", alerts).items()}
    assert found["v:lastdate"] == [moment.iso for moment in Time(mjd, format="mjd", scale="tai").utc]
    assert found["v:lapse"] == pytest.approx([10.5, 10.5])
    start = Time(mjd, format="mjd", scale="tai").utc.jd - 15 / 86400
    np.testing.assert_allclose(exposure_start(mjd), start, rtol=0, atol=6e-8)
    assert runtime_columns("lsst", alerts) == {}
