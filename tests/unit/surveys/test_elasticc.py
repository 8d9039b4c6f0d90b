"""ELAsTiCC packets against what fastavro and astropy give, converted here in plain Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson
import pytest
from astropy import units
from astropy.time import Time

from fink.columns import CORE
from fink.lightcurves import DETECTION, FORCED, LIMIT
from fink.surveys.elasticc import Elasticc, survey
from fink.surveys.fields import read_table
from fink.tables import AlertBatch, Packets
from shared_data import shared_data
from unit.surveys.real_packets import Record, blank, containers_in, differences, read_twice, same, write

NJY = float((27.5 * units.ABmag).to_value(units.nJy))  # flux of FLUXCAL 1
RENAMED = {"zspec": "z", "zspec_err": "z_err"} | {f"zphot_q0{q}": f"zphot_q{q}" for q in range(10, 100, 10)}
GIVEN = {
    "alert_id",
    "object_id",
    "survey",
    "schema_version",
    "night",
    "mjd",
    "visit",
    "ra",
    "dec",
    "band",
    "flux",
    "flux_err",
    "mag",
    "mag_err",
}
GIVEN |= {"snr", "positive", "limit_mag", "n_detections", "first_mjd", "age"}


def own_value(record: Record, column: str) -> Any:
    """One of the survey's own columns."""
    name = column.removeprefix("elasticc_")
    host, _, rest = name.partition("_")
    older = f"{host}_{RENAMED[rest]}" if host.startswith("hostgal") and rest in RENAMED else name
    snake = {"alertId": "alert_id", "parentDiaSourceId": "parent_dia_source_id", "simVersion": "sim_version"}
    for place in (record, record["diaSource"], record["diaObject"]):
        if name in ("ra", "decl") and place is not record["diaObject"]:
            continue
        for field, value in place.items():
            if snake.get(field, field.replace("_Y", "_y")) in (name, older):
                missing = (999.0, -999.0) if "_mag" in name else (-9.0,) if host.startswith("hostgal") else ()
                return None if value in missing else value
    return None


def light_curve(record: Record) -> list[tuple[float, str, float, float, int]]:
    """Time, band, flux, error and number of each detection."""
    found = [record["diaSource"], *(record["prvDiaSources"] or [])]
    points = [(s["midPointTai"], s["filterName"].lower(), s["psFlux"] * NJY, s["psFluxErr"] * NJY, s["diaSourceId"]) for s in found]
    return sorted(points, key=lambda point: (point[0], "ugrizy".index(point[1]), point[4]))


def expected(record: Record) -> dict[str, Any]:
    """Every column of one alert."""
    source = record["diaSource"]
    flux, error = source["psFlux"] * NJY, source["psFluxErr"] * NJY
    first = light_curve(record)[0][0]
    time = Time(source["midPointTai"], format="mjd", scale="tai")
    return (
        {column.name: None for column in CORE}
        | {column.name: own_value(record, column.name) for column in survey.columns}
        | {
            "alert_id": source["diaSourceId"],
            "object_id": str(source["diaObjectId"]),
            "survey": "elasticc",
            "schema_version": "0.9",
            "night": int(Time(time.utc.mjd - 0.5, format="mjd").strftime("%Y%m%d")),
            "mjd": source["midPointTai"],
            "visit": source["ccdVisitId"],
            "ra": source["ra"],
            "dec": source["decl"],
            "band": source["filterName"].lower(),
            "flux": flux,
            "flux_err": error,
            "mag": 31.4 - 2.5 * math.log10(abs(flux)),
            "mag_err": 2.5 / math.log(10.0) * error / abs(flux),
            "snr": flux / error,
            "positive": flux > 0,
            "limit_mag": 31.4 - 2.5 * math.log10(5 * error),
            "n_detections": len(light_curve(record)),
            "first_mjd": first,
            "age": source["midPointTai"] - first,
        }
    )


@pytest.fixture(scope="module")
def real() -> tuple[AlertBatch, list[Record]]:
    batch, records, _ = read_twice(list(containers_in(shared_data("elasticc"))), Elasticc("FLUXCAL"))
    return batch, records


def test_every_column_of_every_real_alert(real: tuple[AlertBatch, list[Record]]) -> None:
    batch, records = real
    assert len(records) == 3994
    right = [expected(record) for record in records]
    assert set(right[0]) == set(batch.alerts.column_names)
    wrong = [text for text in differences(batch.alerts, right, batch.alerts.column_names) if not text.startswith(("mag_err", "snr"))]
    assert wrong == []
    for name in ("mag_err", "snr"):  # a quotient of two float32 values
        assert np.allclose(batch.alerts[name].to_numpy(), [item[name] for item in right], rtol=4e-7, atol=0)
    filled = {name for name in batch.alerts.column_names if batch.alerts[name].null_count < len(records)}
    assert {column.name for column in CORE} & filled == GIVEN


def test_every_point_of_every_real_alert(real: tuple[AlertBatch, list[Record]]) -> None:
    batch, records = real
    curves = batch.lightcurves
    right = [light_curve(record) for record in records]
    assert np.diff(curves.offsets).tolist() == [len(points) for points in right]
    flat = [point for points in right for point in points]
    assert len(flat) > 50_000
    assert curves.mjd.tolist() == [point[0] for point in flat]
    assert [curves.bands[number].name for number in curves.band] == [point[1] for point in flat]
    assert curves.point_id.tolist() == [point[4] for point in flat]
    assert (curves.kind == DETECTION).all()
    for name, place in (("flux", 2), ("flux_err", 3)):
        assert all(same(got, point[place], 2e-7) for got, point in zip(getattr(curves, name).tolist(), flat, strict=True))


def decode(version: tuple[int, int], namespace: str, changes: dict[str, Any], unit: Any = "nJy") -> AlertBatch:
    """Decode one packet of a version that says little but what is given."""
    schema = read_table("elasticc").schema(version, namespace)
    types: dict[str, Any] = {}
    record: Record = blank(orjson.loads(schema), types)
    record["diaSource"] |= {"midPointTai": 60000.0, "filterName": "Y", "psFlux": -100.0, "psFluxErr": 10.0, "diaSourceId": 4}
    record["diaObject"] = blank(_definition(orjson.loads(schema), "diaObject"), types)
    for path, value in changes.items():
        place, _, name = path.partition(".")
        record[place] = value if not name else record[place] | {name: value}
    batch, rows, refusals = Elasticc(unit).decode(Packets.from_bodies(write(orjson.loads(schema), [record]), schema))
    assert (rows.tolist(), refusals) == ([0], ())
    return batch


def _definition(schema: Any, name: str) -> Any:
    return next(field["type"][1] for field in schema["fields"] if field["name"] == name)


def test_flux_unit_is_a_setting() -> None:
    plain = decode((0, 91), "elasticc.v0_9_1", {})
    scaled = decode((0, 91), "elasticc.v0_9_1", {}, "FLUXCAL")
    assert plain.alerts["flux"].to_pylist() == [-100.0]
    assert scaled.alerts["flux"][0].as_py() == pytest.approx(-100.0 * NJY, rel=1e-6)
    assert scaled.lightcurves.flux[0] == scaled.alerts["flux"][0].as_py()
    assert plain.alerts["snr"].equals(scaled.alerts["snr"])


def test_newer_version_and_its_missing_values() -> None:
    changes = {
        "diaObject.hostgal_zspec": 0.5,
        "diaObject.hostgal2_zspec": -9.0,
        "diaObject.hostgal_mag_Y": math.nan,
        "diaObject.simVersion": "2.0",
    }
    alert = decode((0, 91), "elasticc.v0_9_1", changes).alerts.to_pylist()[0]
    assert alert["schema_version"] == "0.9.1"
    assert alert["elasticc_hostgal_zspec"] == 0.5
    assert alert["elasticc_sim_version"] == "2.0"
    assert [alert[name] for name in ("elasticc_hostgal2_zspec", "elasticc_hostgal_mag_y", "elasticc_mwebv", "elasticc_nobs")] == [None] * 4
    assert (alert["band"], alert["positive"], alert["object_id"]) == ("y", False, None)


def test_forced_photometry_and_limits_are_points() -> None:
    forced = {
        "diaForcedSourceId": 9,
        "ccdVisitId": 1,
        "diaObjectId": 1,
        "midPointTai": 59990.0,
        "filterName": "u",
        "psFlux": 3.0,
        "psFluxErr": 1.0,
    }
    limit = {"ccdVisitId": 1, "midPointTai": 59980.0, "filterName": "g", "diaNoise": 2.0}
    changes = {"prvDiaForcedSources": [forced | {"totFlux": 8.0, "totFluxErr": 1.5}], "prvDiaNondetectionLimits": [limit]}
    curves = decode((0, 90), "elasticc.v0_9", changes).lightcurves
    assert curves.kind.tolist() == [LIMIT, FORCED, DETECTION]
    assert curves.flux_err.tolist() == [2.0, 1.0, 10.0]
    assert curves.total_flux[1:2].tolist() == [8.0]
    assert np.isnan(curves.flux[0])


def test_recognised_by_namespace() -> None:
    table = read_table("elasticc")
    assert survey.recognises(table.schema((0, 90), "elasticc.v0_9"))
    assert survey.recognises(table.schema((0, 91), "elasticc.v0_9_1"))
    assert not survey.recognises(table.schema((0, 91), "lsst.v9_0"))


def test_public_names_are_the_packets() -> None:
    assert survey.public_name("elasticc_hostgal_zspec") == "hostgal_zspec"
    assert survey.public_name("alert_id") == "diaSourceId"
    assert survey.public_name("rise_rate") == "rise_rate"
