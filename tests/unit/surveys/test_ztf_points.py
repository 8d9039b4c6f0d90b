"""ZTF's points against astropy's time scales and magnitudes, and against packets that fastavro decodes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import fastavro
import numpy as np
import orjson
import pytest
from astropy import units
from astropy.time import Time, TimeDelta
from hypothesis import given, settings
from hypothesis import strategies as st

from fink.lightcurves import DETECTION, FORCED, LIMIT
from fink.surveys.mapping import Fields, read_fields
from fink.surveys.ztf import survey
from fink.surveys.ztf_points import PATHS, fluxes_of_magnitude, light_curves, mid_exposure, signs
from fink.tables import Packets
from simulated import nights
from unit.surveys.real_packets import Record, write

ALERTS = 60
BANDS = {1: 0, 2: 1, 3: 2}
MAGS = st.floats(8.0, 26.0)
ERRORS = st.floats(0.0, 2.0)


class Point(NamedTuple):
    """One point as it should be: fluxes in nJy, time as MJD in TAI."""

    mjd: float
    band: int
    kind: int
    flux: float
    flux_err: float
    total_flux: float
    total_flux_err: float
    point_id: int
    detector: int


@cache
def njy(mag: float) -> float:
    return float((mag * units.ABmag).to_value(units.nJy))


@cache
def tai_at_middle(jd: float, seconds: float) -> float:
    return float((Time(jd, format="jd", scale="utc").tai + TimeDelta(seconds / 2.0, format="sec")).mjd)


def relative(mag_err: float) -> float:
    """Relative error of a flux for an error of the magnitude."""
    return mag_err * math.log(10.0) / 2.5


def total(item: Record, flux: float, error: float, radius: float) -> tuple[float, float]:
    """Add the template's flux where its nearest source lies within the radius."""
    separation, mag = item["distnr"], item["magnr"]
    if separation is None or not 0.0 <= separation <= radius or mag in (None, -999.0, -99999.0):
        return math.nan, math.nan
    before = njy(mag)
    return before + flux, math.hypot(before * relative(item["sigmagnr"]), error)


def place(item: Record) -> tuple[float, int]:
    seconds = item.get("exptime")
    return tai_at_middle(item["jd"], 30.0 if seconds in (None, -999.0) else seconds), BANDS[item["fid"]]


def measured(item: Record) -> Point:
    """The point of a candidate or of an earlier epoch."""
    if item["candid"] is None:
        return Point(*place(item), LIMIT, math.nan, njy(item["diffmaglim"]) / 5.0, math.nan, math.nan, 0, item["rcid"])
    flux = {"t": 1.0, "1": 1.0, "f": -1.0, "0": -1.0}[item["isdiffpos"]] * njy(item["magpsf"])
    error = abs(flux) * relative(item["sigmapsf"])
    return Point(*place(item), DETECTION, flux, error, *total(item, flux, error, 1.5), item["candid"], item["rcid"])


def forced(item: Record) -> Iterator[Point]:
    """The point of forced photometry, if it has a flux; its template source lies so many arcsec away, of 1.01 to the pixel."""
    counts, error = item["forcediffimflux"], item["forcediffimfluxunc"]
    if counts not in (None, -99999.0):
        unit = njy(item["magzpsci"])
        flux, flux_err = counts * unit, math.nan if error == -99999.0 else error * unit
        yield Point(*place(item), FORCED, flux, flux_err, *total(item, flux, flux_err, 1.5 * 1.01), 0, item["rcid"])


def light_curve(record: Record) -> list[Point]:
    points = [measured(item) for item in (record["candidate"], *(record["prv_candidates"] or []))]
    points += [point for item in record["fp_hists"] or [] for point in forced(item)]
    return sorted(points, key=lambda point: (point.mjd, point.kind))


def records() -> list[Record]:
    """Decode simulated packets with fastavro."""
    packets = nights("ztf", 1, ALERTS)[0].packets
    schema = fastavro.parse_schema(orjson.loads(packets.schemas[0]))
    found = [fastavro.schemaless_reader(io.BytesIO(packets.body(row)), schema, None) for row in range(len(packets))]
    return [record for record in found if isinstance(record, dict)]


def fields_of(alerts: list[Record], schema: bytes) -> Fields:
    ((_, fields),) = read_fields(Packets.from_bodies(write(orjson.loads(schema), alerts), schema), PATHS)
    return fields


def check(alerts: list[Record]) -> list[Point]:
    """Compare the points of alerts with those made here; give these."""
    own, curves = light_curves(fields_of(alerts, nights("ztf", 1, ALERTS)[0].packets.schemas[0]), survey.bands)
    right = [light_curve(record) for record in alerts]
    assert np.diff(curves.offsets).tolist() == [len(points) for points in right]
    flat = [point for points in right for point in points]
    for found, points in ((own, [measured(record["candidate"]) for record in alerts]), (curves.arrays(), flat)):
        for name, values in zip(Point._fields, zip(*points, strict=True), strict=True):
            tolerance = {"mjd": (0.0, 3e-11)}.get(name, (2e-7, 0.0) if "flux" in name else (0.0, 0.0))
            np.testing.assert_allclose(found[name].astype(np.float64), np.array(values, np.float64), *tolerance, err_msg=name)
            assert found[name].dtype.kind == "f" or found[name].tolist() == list(values)
    return flat


def test_points_of_simulated_packets() -> None:
    flat = check(records())
    assert {point.kind for point in flat} == {DETECTION, LIMIT, FORCED}
    assert len(flat) > 20 * ALERTS
    assert {math.copysign(1.0, point.flux) for point in flat if point.kind == DETECTION} == {1.0, -1.0}
    for kind in (DETECTION, FORCED):
        assert {math.isnan(point.total_flux) for point in flat if point.kind == kind} == {True, False}


@pytest.mark.parametrize("seconds", [None, -999.0, 30.0, 90.0])
@pytest.mark.parametrize(("separation", "mag"), [(1.49, 18.0), (1.51, 18.0), (1.52, 18.0), (-999.0, 18.0), (None, 18.0), (1.0, None)])
def test_exposures_and_templates_that_are_not_known(seconds: float | None, separation: float | None, mag: float | None) -> None:
    alerts = records()[:10]
    for record in alerts:
        record["candidate"] |= {"exptime": seconds}
        for item in (record["candidate"], *(record["prv_candidates"] or []), *(record["fp_hists"] or [])):
            item |= {"distnr": separation, "magnr": mag, "sigmagnr": 0.05}
        for item in record["fp_hists"] or []:
            item |= {"exptime": seconds}
    flat = check(alerts)
    with_total = {point.kind for point in flat if not math.isnan(point.total_flux)}
    near = mag is not None and separation is not None and separation > 0.0
    # 1.51 is too far in pixels and near enough in arcsec
    assert with_total == {kind for kind, radius in ((DETECTION, 1.5), (FORCED, 1.515)) if near and (separation or 0.0) <= radius}


def test_missing_counts_give_no_point_and_missing_errors_none() -> None:
    alerts = records()
    items = [item for record in alerts for item in record["fp_hists"] or []]
    items[0]["forcediffimflux"] = items[1]["forcediffimflux"] = -99999.0
    for item in items[2:20]:
        item["forcediffimfluxunc"] = -99999.0
    flat = check(alerts)
    given = [item for item in items if item["forcediffimflux"] not in (None, -99999.0)]
    assert sum(point.kind == FORCED for point in flat) == len(given) < len(items)
    assert any(point.kind == FORCED and math.isnan(point.flux_err) for point in flat)


@given(st.floats(2458000.0, 2462000.0), st.sampled_from([0.0, 30.0, 300.0]) | st.floats(1.0, 600.0))
def test_middle_of_an_exposure(jd: float, seconds: float) -> None:
    middle = Time(jd, format="jd", scale="tai") + TimeDelta(seconds / 2.0, format="sec")
    assert mid_exposure(jd, seconds) == pytest.approx(float(middle.mjd), rel=0.0, abs=3e-11)
    assert mid_exposure(jd, -999.0) == mid_exposure(jd, math.nan) == mid_exposure(jd, 30.0)


@settings(deadline=None)
@given(st.sampled_from([1.0, -1.0]), MAGS, ERRORS, MAGS, ERRORS, st.floats(0.0, 3.0))
def test_fluxes_of_magnitudes(sign: float, mag: float, mag_err: float, before: float, before_err: float, separation: float) -> None:
    flux, error, both, both_err = fluxes_of_magnitude(sign, mag, mag_err, before, before_err, separation)
    template = njy(before)
    assert flux == pytest.approx(sign * njy(mag), rel=1e-12)
    assert error == pytest.approx(njy(mag) * relative(mag_err), rel=1e-12)
    if separation > 1.5:
        assert math.isnan(both)
        assert math.isnan(both_err)
    else:
        assert both == pytest.approx(template + sign * njy(mag), rel=1e-11, abs=1e-11 * template)
        assert both_err == pytest.approx(math.hypot(template * relative(before_err), njy(mag) * relative(mag_err)), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "unknown"),
    [
        ({}, ""),
        ({"sign": math.nan}, "flux total"),
        ({"mag": -999.0}, "flux error total total_err"),
        ({"mag": math.nan}, "flux error total total_err"),
        ({"mag_err": -999.0}, "error total_err"),
        ({"mag_err": math.nan}, "error total_err"),
        ({"before": -999.0}, "total total_err"),
        ({"before": -99999.0}, "total total_err"),
        ({"before_err": math.nan}, "total_err"),
        ({"before_err": -999.0}, "total_err"),
        ({"before_err": -99999.0}, "total_err"),
        ({"separation": 1.5}, ""),
        ({"separation": np.nextafter(1.5, 2.0)}, "total total_err"),
        ({"separation": -999.0}, "total total_err"),
        ({"separation": math.nan}, "total total_err"),
    ],
)
def test_what_is_not_known_leaves_the_rest(change: dict[str, float], unknown: str) -> None:
    known = {"sign": 1.0, "mag": 18.0, "mag_err": 0.1, "before": 19.0, "before_err": 0.05, "separation": 0.5}
    fluxes = dict(zip(("flux", "error", "total", "total_err"), fluxes_of_magnitude(*(known | change).values()), strict=True))
    assert [name for name, flux in fluxes.items() if math.isnan(flux)] == unknown.split()


@pytest.mark.parametrize(
    ("kind", "values", "right"),
    [
        ("string", ["t", "1", "f", "0", "true", "false", "", "?", None], [1, 1, -1, -1, 1, -1, None, None, None]),
        ("int", [1, 0, -1, 5, None], [1, -1, -1, 1, None]),
    ],
)
def test_signs(kind: str, values: list[Any], right: list[float | None]) -> None:
    candidate = {"type": "record", "name": "candidate", "fields": [{"name": "isdiffpos", "type": ["null", kind]}]}
    schema = {"type": "record", "name": "alert", "fields": [{"name": "candidate", "type": candidate}]}
    fields = fields_of([{"candidate": {"isdiffpos": value}} for value in values], orjson.dumps(schema))
    found = signs(fields, "candidate.isdiffpos").tolist()
    assert [None if math.isnan(sign) else sign for sign in found] == right
