"""A simulated survey: nights of alerts, as packets in the survey's own form, with the truth beside them.

Everything follows from the seed: the same seed gives the same bytes, and a point that several nights' packets mention is the
same in all of them. What is left out: the positions match no real catalogue, movers go straight and have no orbit, and what one
exposure detects is not blended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.codecs.encode import Ranges, encode_records
from fink.codecs.schemas import parse_schema
from fink.errors import ConfigError
from fink.simulator import lsst, ztf
from fink.simulator.night import Form, Points, derive, is_real
from fink.simulator.population import KINDS, make_sky, populate
from fink.simulator.sky import telescope_of
from fink.simulator.stamps import borrowed, scenes_of, write_stamps
from fink.sky import calendar_date
from fink.surveys.fields import read_table
from fink.tables import PADDING, Packets

Ints = NDArray[np.int64]
Drawn = bool | Literal["shared"]

NIGHT = date(2025, 11, 20)
"""The night that is simulated where none is asked for."""
_NAMESPACES = {"ztf": "ztf", "lsst": "lsst.v10_0"}
_VERSIONS = {"ztf": ztf.VERSION, "lsst": lsst.VERSION}
_FORMS: dict[str, Callable[[Points, int], Form]] = {"ztf": ztf.ZtfForm, "lsst": lsst.LsstForm}
_CHUNK = 2000
_SPREAD = ((0.40, 0, 0), (0.40, 1, 30), (0.15, 31, 150), (0.05, 151, 350))
_LASTING = {"rr_lyrae": 0.4, "mira": 0.3, "agn": 0.3}


@dataclass(frozen=True)
class SimulatedNight:
    """One night of a simulated survey.

    Parameters
    ----------
    survey
        The survey.
    night
        YYYYMMDD.
    packets
        Its alerts, in the order of time.
    truth
        One row for each: ``alert_id``, ``object_id``, ``kind``, ``real``, ``mjd``, ``band``, the flux without noise ``true_flux`` and
        with it, ``flux`` and ``flux_err`` [nJy], and the parameters of its kind (null where it has none).
    """

    survey: str
    night: int
    packets: Packets
    truth: pa.Table

    def take(self, rows: Ints) -> Self:
        """Give only these rows of the night."""
        return replace(self, packets=self.packets.take(rows), truth=self.truth.take(pa.array(rows)))


def writer_schema(survey: str, version: tuple[int, int] | None = None) -> bytes:
    """Give the schema of simulated packets, as JSON text."""
    return read_table(survey).schema(version or _VERSIONS[survey], _NAMESPACES[survey])


def simulate_night(
    survey: str, n_alerts: int, seed: int = 0, night: date | int = NIGHT, *, history: bool = True, stamps: Drawn = True
) -> SimulatedNight:
    """Simulate one night of a survey.

    Parameters
    ----------
    survey
        ``ztf`` or ``lsst``.
    n_alerts
        How many alerts it sends.
    seed
        From which everything follows.
    night
        The night, as a date or as YYYYMMDD.
    history
        Whether packets carry earlier points.
    stamps
        Whether packets carry stamps; ``"shared"`` draws a few of each kind and lends them to the others, which is faster.

    Raises
    ------
    ConfigError
        If there is no such survey, or the night or the number of alerts make no sense.
    """
    if n_alerts < 1:
        raise ConfigError(f"a night of {n_alerts} alerts cannot be simulated; ask for at least 1")
    return _simulate(survey, n_alerts, seed, night, 1, history, stamps)[0]


def simulate_nights(
    survey: str, nights: int, n_alerts: int, seed: int = 0, night: date | int = NIGHT, *, history: bool = True, stamps: Drawn = True
) -> list[SimulatedNight]:
    """Simulate consecutive nights of the same objects, which send ``n_alerts`` a night on average; otherwise as `simulate_night`.

    Raises
    ------
    ConfigError
        As `simulate_night`.
    """
    if n_alerts < 1 or nights < 1:
        raise ConfigError(f"{nights} nights of {n_alerts} alerts cannot be simulated; ask for at least 1 of each")
    return _simulate(survey, n_alerts * nights, seed, night, nights, history, stamps)


def simulate_spread(survey: str, n_alerts: int, seed: int = 0, night: date | int = NIGHT, *, stamps: Drawn = "shared") -> SimulatedNight:
    """Simulate a night of LSST whose packets carry the spread of earlier points that speed is promised for.

    Of the packets 40 % carry none, 40 % carry 1 to 30, 15 % carry 31 to 150 and 5 % carry 151 to 350 earlier sources and forced
    measurements together.

    Raises
    ------
    ConfigError
        If the survey is another, or as `simulate_night`.
    """
    if survey != "lsst":
        raise ConfigError(f"the spread of history is that of lsst, not of {survey!r}; use simulate_night")
    date_ = _mjd_of(night)
    telescope = telescope_of(survey)
    sky = make_sky(telescope, np.array([date_]), seed, telescope.lookback)
    population, alerts = populate(sky, n_alerts, seed, _LASTING)
    points = derive(sky, population, seed)
    rng = np.random.default_rng([seed, 6])
    share, low, high = (np.array(column) for column in zip(*_SPREAD, strict=True))
    group = np.searchsorted(np.round(np.cumsum(share) * n_alerts), np.arange(n_alerts), side="right").clip(0, len(share) - 1)
    wanted = np.sort(rng.integers(low[group].astype(np.int64), high[group].astype(np.int64) + 1))
    started = points.before(alerts, ~np.isnan(points.first_mjd))[0]
    limit = np.empty(n_alerts, np.int64)
    limit[np.argsort(np.diff(started), kind="stable")] = wanted
    return _night(points, alerts, seed, date_, True, stamps, limit)


def _simulate(survey: str, n_alerts: int, seed: int, night: date | int, nights: int, history: bool, stamps: Drawn) -> list[SimulatedNight]:
    """Simulate nights of the same objects."""
    telescope = telescope_of(survey)
    dates = _mjd_of(night) + np.arange(nights)
    sky = make_sky(telescope, dates, seed, telescope.lookback if history else 0.0)
    population, alerts = populate(sky, n_alerts, seed)
    points = derive(sky, population, seed)
    on = sky.visits.night[population.visit[alerts]]
    return [_night(points, alerts[on == day], seed, int(day), history, stamps) for day in dates]


def _mjd_of(night: date | int) -> int:
    """Give the MJD of a night's date.

    Raises
    ------
    ConfigError
        If the number is no date.
    """
    if isinstance(night, date):
        return night.toordinal() - 678576
    try:
        return date(night // 10000, night // 100 % 100, night % 100).toordinal() - 678576
    except ValueError as error:
        raise ConfigError(f"the night {night} is no date; write it as YYYYMMDD") from error


def _night(points: Points, alerts: Ints, seed: int, day: int, history: bool, stamps: Drawn, limit: Ints | None = None) -> SimulatedNight:
    """Write one night's packets, some thousands at a time, and its truth."""
    survey = points.sky.telescope.survey
    schema = parse_schema(writer_schema(survey))
    form = _FORMS[survey](points, seed)
    pictures = _stamps(points, form, alerts, stamps)
    buffers: list[NDArray[np.uint8]] = []
    lengths: list[Ints] = [np.zeros(0, np.int64)]
    for first in range(0, len(alerts), _CHUNK):
        part = slice(first, first + _CHUNK)
        records = form.records(alerts[part], history=history, limit=None if limit is None else limit[part])
        values = {**records.values, **form.with_stamps(alerts[part], pictures(part))}
        buffer, offsets = encode_records(schema, replace(records, values=values))
        buffers.append(buffer[: offsets[-1]])
        lengths.append(np.diff(offsets))
    sizes = np.concatenate(lengths)
    ends = np.cumsum(sizes)
    buffer = np.concatenate([*buffers, np.zeros(PADDING, np.uint8)])
    packets = Packets(buffer, ends - sizes, ends, np.zeros(len(alerts), np.int32), (schema.text,))
    night = int(calendar_date(np.array([float(day)]))[0])
    return SimulatedNight(survey, night, packets, _truth(points, form, alerts))


def _stamps(points: Points, form: Form, alerts: Ints, stamps: Drawn) -> Callable[[slice], dict[str, Ranges]]:
    """Give what makes the stamps of a part of these alerts: none, their own, or those of a few of each kind, lent to all."""
    survey = points.sky.telescope.survey
    if not stamps:
        return lambda part: {}
    if stamps != "shared":
        return lambda part: write_stamps(survey, scenes_of(points, alerts[part], form.unit(alerts[part]), form.background))
    drawn, shows = borrowed(points.population.kind[points.owner[alerts]])
    lent = write_stamps(survey, scenes_of(points, alerts[drawn], form.unit(alerts[drawn]), form.background), shows)
    return lambda part: {name: Ranges(r.buffer, r.starts[part], r.lengths[part]) for name, r in lent.items()}


def _truth(points: Points, form: Form, alerts: Ints) -> pa.Table:
    """Tell what each alert really is."""
    people, owner = points.population, points.owner[alerts]
    names = pa.array([kind.name for kind in KINDS])
    bands = pa.array(points.sky.telescope.bands)
    return pa.table(
        {
            "alert_id": form.alert_ids(alerts),
            "object_id": form.object_ids(alerts),
            "kind": names.take(pa.array(people.kind[owner])),
            "real": is_real(people)[owner],
            "mjd": points.mjd[alerts],
            "band": bands.take(pa.array(points.band[alerts])),
            "true_flux": people.true_flux[alerts],
            "flux": people.flux[alerts],
            "flux_err": people.flux_err[alerts],
        }
        | {name: pa.array(values[owner], from_pandas=True) for name, values in people.parameters.items()}
    )
