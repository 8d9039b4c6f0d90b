"""Who is on the sky, and what each exposure measures of them: objects, their points, and which points are detections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fink.lightcurves import gather_points
from fink.simulator import movers, transients, variables
from fink.simulator.kinds import PARAMETERS, Floats, Kind, Parameters, Stage, flux_of, template_flux
from fink.simulator.sky import Fields, Telescope, Visits, choose_fields, field_weights, place_on_detector, scatter, schedule

KINDS: tuple[Kind, ...] = transients.KINDS + variables.KINDS + movers.KINDS
THRESHOLD = 5.0
"""Signal-to-noise ratio from which a difference is a detection."""
_ROUNDS = 40
_EARLIEST = 58194.0
"""Start of the ZTF survey [MJD]: variables have been detected since."""


@dataclass(frozen=True)
class Sky:
    """A telescope, its fields and exposures, and the nights that are wanted."""

    telescope: Telescope
    fields: Fields
    visits: Visits
    nights: NDArray[np.int64]


@dataclass(frozen=True)
class Population:
    """``n`` objects and the ``m`` points measured of them, ordered by object and time.

    A body that moves is one object for each exposure that shows it, as surveys number them.

    Parameters
    ----------
    kind
        (n,) int64, index into `KINDS`.
    field, ra, dec, detector, x, y
        (n,) place on the sky [deg] and on the detector [pixel].
    parameters
        (n,) arrays by name, NaN where a kind has no such parameter.
    earlier, earlier_mjd
        (n,) detections before the first simulated exposure, and the date of the first of them.
    offsets
        (n + 1,) int64, where the points of each object begin.
    visit
        (m,) int64, index into the visits.
    true_flux, flux, flux_err, template
        (m,) difference flux without and with noise, its error, and the flux of the template [nJy].
    """

    kind: NDArray[np.int64]
    field: NDArray[np.int64]
    ra: Floats
    dec: Floats
    detector: NDArray[np.int32]
    x: Floats
    y: Floats
    parameters: dict[str, Floats]
    earlier: NDArray[np.int64]
    earlier_mjd: Floats
    offsets: NDArray[np.int64]
    visit: NDArray[np.int64]
    true_flux: Floats
    flux: Floats
    flux_err: Floats
    template: Floats

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def snr(self) -> Floats:
        """Signal-to-noise ratio of each point, signed, (m,)."""
        return np.asarray(self.flux / self.flux_err)

    @property
    def detected(self) -> NDArray[np.bool_]:
        """Which points are detections, (m,)."""
        return np.abs(self.snr) > THRESHOLD

    def owners(self) -> NDArray[np.int64]:
        """Give the object of each point, (m,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


def make_sky(telescope: Telescope, nights: NDArray[np.int64], seed: int, lookback: float) -> Sky:
    """Choose fields and plan exposures for these nights and what came before."""
    rng = np.random.default_rng([seed, 1])
    fields = choose_fields(telescope, int(nights[0]), rng)
    return Sky(telescope, fields, schedule(telescope, fields, nights, lookback, rng), nights)


def populate(sky: Sky, n_alerts: int, seed: int, shares: dict[str, float] | None = None) -> tuple[Population, NDArray[np.int64]]:
    """Fill the sky until its nights give ``n_alerts`` alerts, each kind its share.

    Returns
    -------
    population
        The objects.
    alerts
        (n_alerts,) int64, the points that are sent as alerts, in the order of time.
    """
    names = shares or {kind.name: kind.share for kind in KINDS}
    total = sum(names.values())
    edges = np.round(np.cumsum([names.get(kind.name, 0.0) for kind in KINDS]) / total * n_alerts).astype(np.int64)
    blocks: list[Population] = []
    chosen: list[NDArray[np.int64]] = []
    n_points = 0
    for number, quota in enumerate(np.diff(edges, prepend=0).tolist()):
        for attempt in range(_ROUNDS):
            if quota <= 0:
                break
            rng = np.random.default_rng([seed, 2, number, attempt])
            block, alerts = _block(sky, number, int(quota * (1.2 if attempt else 0.75)) + 8, quota, rng)
            blocks.append(block)
            chosen.append(alerts + n_points)
            n_points += len(block.visit)
            quota -= len(alerts)
    population = _join(blocks)
    alerts = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    mjd = sky.visits.mjd[population.visit[alerts]]
    return population, alerts[np.lexsort((alerts, mjd))]


def _block(sky: Sky, number: int, n: int, quota: int, rng: np.random.Generator) -> tuple[Population, NDArray[np.int64]]:
    """Draw objects of one kind; keep those with an alert, as many as the quota takes."""
    kind, visits = KINDS[number], sky.visits
    tonight = np.flatnonzero(visits.on_nights(sky.nights))
    weight = field_weights(sky.fields, kind.place)[visits.field[tonight]]
    seen = tonight[np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(n)).clip(0, len(tonight) - 1)]
    field = visits.field[seen]
    ra, dec = scatter(sky.telescope, sky.fields, field, rng)
    stage = Stage(visits.mjd[seen], float(np.median(visits.limit_mag[tonight])))
    parameters = kind.draw(rng, stage)
    if kind.once and "rate" in parameters:
        seen, ra, dec, parameters = _appearances(sky, seen, ra, dec, parameters)
        field = visits.field[seen]
    block = _measure(sky, number, field, ra, dec, parameters, seen, rng)
    return _within_quota(block, visits.on_nights(sky.nights), quota)


def _appearances(
    sky: Sky, seen: NDArray[np.int64], ra: Floats, dec: Floats, parameters: dict[str, Floats]
) -> tuple[NDArray[np.int64], Floats, Floats, dict[str, Floats]]:
    """Turn bodies into one object for each exposure of the nights at their field."""
    offsets, visit = gather_points(sky.visits.offsets, sky.visits.field[seen])
    body = np.repeat(np.arange(len(seen)), np.diff(offsets))
    wanted = sky.visits.on_nights(sky.nights)[visit]
    body, visit = body[wanted], visit[wanted]
    moved = {name: values[body] for name, values in parameters.items()}
    along_ra, along_dec = movers.displacement(sky.visits.mjd[visit], moved)
    inside = np.hypot(along_ra, along_dec) < sky.telescope.half_side
    new_dec = np.clip(dec[body] + along_dec, -89.9, 89.9)
    new_ra = (ra[body] + along_ra / np.cos(np.radians(new_dec))) % 360.0
    return visit[inside], new_ra[inside], new_dec[inside], {name: values[inside] for name, values in moved.items()}


def _measure(
    sky: Sky,
    number: int,
    field: NDArray[np.int64],
    ra: Floats,
    dec: Floats,
    parameters: dict[str, Floats],
    seen: NDArray[np.int64],
    rng: np.random.Generator,
) -> Population:
    """Measure every object in every exposure of its field, with the noise of each."""
    kind, visits, telescope = KINDS[number], sky.visits, sky.telescope
    offsets, visit = gather_points(visits.offsets, field)
    if kind.once:
        offsets, visit = _near_appearance(visits, telescope, offsets, visit, seen)
    counts = np.diff(offsets)
    at: Parameters = {name: np.repeat(values, counts) for name, values in parameters.items()}
    wavelength = np.array(telescope.wavelengths)[visits.band[visit]]
    true = kind.flux(visits.mjd[visit], wavelength, at)
    if kind.once:
        true = np.where(visit == np.repeat(seen, counts), true, 0.0)
    template = template_flux(wavelength, visits.seeing[visit], at)
    error = noise(visits.limit_mag[visit], np.abs(true) + template)
    flux = true + error * rng.standard_normal(len(visit))
    detector, x, y = place_on_detector(telescope, sky.fields, field, ra, dec)
    earlier, earlier_mjd = _earlier(sky, kind, offsets, np.abs(flux / error) > THRESHOLD, rng)
    return Population(
        np.full(len(field), number),
        field,
        ra,
        dec,
        detector,
        x,
        y,
        parameters,
        earlier,
        earlier_mjd,
        offsets,
        visit,
        true,
        flux,
        error,
        template,
    )


def noise(limit_mag: Floats, total_flux: Floats) -> Floats:
    """Error [nJy] of a difference flux: the sky's, the photons', and 0.3 per cent; after Ivezić et al. 2019, equation 5."""
    five = flux_of(limit_mag)
    return np.sqrt((five / THRESHOLD) ** 2 + 0.001 * five * total_flux + (0.003 * total_flux) ** 2)


def _near_appearance(
    visits: Visits, telescope: Telescope, offsets: NDArray[np.int64], visit: NDArray[np.int64], seen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep, of what is seen once, the exposures that its packet may mention: its own, and for ZTF the window before."""
    own = np.repeat(seen, np.diff(offsets))
    reach = telescope.window if telescope.survey == "ztf" else 0.0
    keep = (visit <= own) & (visits.mjd[visit] >= visits.mjd[own] - reach)
    kept = np.concatenate(([0], np.cumsum(keep)))
    return kept[offsets], visit[keep]


def _earlier(
    sky: Sky, kind: Kind, offsets: NDArray[np.int64], detected: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.int64], Floats]:
    """Count what a lasting variable has shown before the first simulated exposure, at the rate that it shows since."""
    n = len(offsets) - 1
    start = float(sky.visits.mjd.min())
    span = max(float(sky.visits.mjd.max()) - start, 1.0)
    none = np.zeros(n, np.int64), np.full(n, np.nan)
    if sky.telescope.survey != "ztf" or kind.once or kind not in variables.LASTING or start - _EARLIEST < 1.0:
        return none
    since = _EARLIEST + rng.uniform(0.0, 0.3, n) * (start - _EARLIEST)
    shown = np.concatenate(([0], np.cumsum(detected)))
    rate = np.diff(shown[offsets]) / span
    count = (rate * (start - since) * 0.6).astype(np.int64)
    return count, np.where(count > 0, since, np.nan)


def _within_quota(block: Population, tonight: NDArray[np.bool_], quota: int) -> tuple[Population, NDArray[np.int64]]:
    """Keep the objects with alerts until the quota is reached, and give the alerts' points."""
    alert = block.detected & tonight[block.visit]
    before = np.concatenate(([0], np.cumsum(alert)))[block.offsets]
    objects = np.flatnonzero((np.diff(before) > 0) & (before[:-1] < quota))
    offsets, points = gather_points(block.offsets, objects)
    kept = Population(
        block.kind[objects],
        block.field[objects],
        block.ra[objects],
        block.dec[objects],
        block.detector[objects],
        block.x[objects],
        block.y[objects],
        {name: values[objects] for name, values in block.parameters.items()},
        block.earlier[objects],
        block.earlier_mjd[objects],
        offsets,
        *(array[points] for array in (block.visit, block.true_flux, block.flux, block.flux_err, block.template)),
    )
    return kept, np.flatnonzero(alert[points])[:quota]


def _join(blocks: list[Population]) -> Population:
    """Put the objects of all kinds under one another."""
    parameters = {
        name: np.concatenate([block.parameters.get(name, np.full(len(block), np.nan)) for block in blocks]) for name in PARAMETERS
    }
    sizes = np.concatenate([np.diff(block.offsets) for block in blocks])
    joined = {
        name: np.concatenate([getattr(block, name) for block in blocks])
        for name in Population.__dataclass_fields__
        if name not in ("parameters", "offsets")
    }
    return Population(parameters=parameters, offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64), **joined)
