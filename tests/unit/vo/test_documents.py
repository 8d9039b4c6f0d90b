"""Documents say how a question ended, what times and positions are measured in, and where more is to be had."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pyarrow as pa
import pytest
from astropy.io.votable import parse

from fink.errors import ArchiveError, BusyError, FinkError, NotFoundError, QueryError
from fink.vo.documents import document, problem, services_of
from fink.vo.tables import Table

ROWS = pa.table({"ra": [1.0], "mjd": [60000.0], "alert_id": pa.array([5], pa.int64()), "object_id": ["x"]})


def test_systems_status_and_services_are_in_the_document(tables: Mapping[str, Table]) -> None:
    table = tables["ztf.alerts"]
    meanings = {name: table.columns[name] for name in ROWS.column_names}
    behind = services_of(((name, column, table) for name, column in meanings.items()), "http://here")
    found = parse(io.BytesIO(document(ROWS, meanings, about="Rows", overflow=True, binary=True, behind=behind)), verify="exception")
    assert [info.value for info in found.resources[0].infos] == ["OK", "OVERFLOW"]
    assert found.get_field_by_id("ra").ref == "icrs"
    assert next(iter(found.iter_timesys())).timescale == "TAI"
    urls = [param.value for service in found.resources[1:] for param in service.params if param.name == "accessURL"]
    assert urls == ["http://here/datalink/ztf/alert", "http://here/datalink/ztf/object"]


def test_the_first_service_is_that_of_what_a_row_is(tables: Mapping[str, Table]) -> None:
    objects = tables["lsst.objects"]
    columns = [(name, objects.columns[name], objects) for name in ("alert_id", "object_id")]
    assert services_of(columns, "").index("/object") < services_of(columns, "").index("/alert")
    assert services_of([("n", None, None), ("ra", objects.columns["ra"], objects)], "") == ""


@pytest.mark.parametrize(
    ("error", "status"), [(QueryError("a"), 400), (NotFoundError("b"), 404), (BusyError("c"), 503), (ArchiveError("d"), 500)]
)
def test_errors_are_documents(error: FinkError, status: int) -> None:
    answer = problem(error)
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status == 503)
    found = parse(io.BytesIO(bytes(answer.body)), verify="exception")
    assert [(info.name, info.value, info.content) for info in found.resources[0].infos] == [("QUERY_STATUS", "ERROR", str(error))]
