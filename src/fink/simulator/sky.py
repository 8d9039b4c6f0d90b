"""Where a simulated telescope points: its fields, and the exposures of a night and of the months before it.

Cadence, depth and seeing follow the surveys' own descriptions: ZTF (Bellm et al. 2019, doi:10.1088/1538-3873/aaecbe)
and LSST (Ivezić et al. 2019, doi:10.3847/1538-4357/ab042c).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fink.errors import ConfigError, did_you_mean
from fink.sky import ecliptic, galactic, utc_to_tai

NEW_MOON, MONTH = 51550.26, 29.530588
"""A new moon [MJD] and the mean synodic month [d]."""
EQUINOX, YEAR = 60389.13, 365.2422
"""A March equinox [MJD] and the tropical year [d]."""
BLOCK = 60
"""Fields that are observed one after the other before the telescope comes back to them in another filter."""


@dataclass(frozen=True)
class Telescope:
    """How a survey observes.

    Parameters
    ----------
    survey
        Its name.
    bands
        Names of its filters.
    wavelengths, depths
        Effective wavelength [Angstrom] and median five-sigma limit of a difference image [mag] of each.
    pairs
        The filters (numbers in `bands`) of the two visits that a field gets in a night; one pair is drawn for each night.
    seeing, pixel
        Median full width at half maximum, and pixel size [arcsec].
    half_side
        Half the side of a field [deg].
    declinations
        Southernmost and northernmost field centre [deg].
    cadence
        Nights from one visit of a field to the next.
    begin, slot
        Start of observing, as a fraction of the night's UTC date, and time from one exposure to the next [s].
    exposure_time
        Length of an exposure [s].
    window, lookback
        Days of history that a packet carries, and that are simulated [d].
    n_fields
        Fields that are watched.
    """

    survey: str
    bands: tuple[str, ...]
    wavelengths: tuple[float, ...]
    depths: tuple[float, ...]
    pairs: tuple[tuple[int, int], ...]
    seeing: float
    pixel: float
    half_side: float
    declinations: tuple[float, float]
    cadence: int
    begin: float
    slot: float
    exposure_time: float
    window: float
    lookback: float
    n_fields: int


ZTF = Telescope(
    survey="ztf",
    bands=("g", "r", "i"),
    wavelengths=(4746.5, 6366.4, 7829.0),
    depths=(20.6, 20.4, 19.8),
    pairs=((0, 1),),
    seeing=2.1,
    pixel=1.012,
    half_side=3.4,
    declinations=(-24.0, 76.0),
    cadence=2,
    begin=0.12,
    slot=40.0,
    exposure_time=30.0,
    window=30.0,
    lookback=90.0,
    n_fields=240,
)
LSST = Telescope(
    survey="lsst",
    bands=("u", "g", "r", "i", "z", "y"),
    wavelengths=(3671.0, 4827.0, 6223.0, 7546.0, 8691.0, 9712.0),
    depths=(23.4, 24.5, 24.2, 23.6, 22.9, 21.8),
    pairs=((0, 1), (1, 2), (2, 3), (2, 3), (3, 4), (4, 5), (1, 2), (3, 2), (4, 3)),
    seeing=0.95,
    pixel=0.2,
    half_side=1.5,
    declinations=(-65.0, 4.0),
    cadence=3,
    begin=0.99,
    slot=38.0,
    exposure_time=30.0,
    window=365.0,
    lookback=365.0,
    n_fields=200,
)
TELESCOPES = {"ztf": ZTF, "lsst": LSST}


def telescope_of(survey: str) -> Telescope:
    """Give the telescope of a survey.

    Raises
    ------
    ConfigError
        If there is none; the message offers the nearest name.
    """
    if survey not in TELESCOPES:
        raise ConfigError(f"the simulator knows no survey {survey!r}{did_you_mean(survey, TELESCOPES)}; use one of {sorted(TELESCOPES)}")
    return TELESCOPES[survey]


@dataclass(frozen=True)
class Fields:
    """The ``f`` fields that a telescope watches.

    Parameters
    ----------
    number
        (f,) int32, the field's number.
    ra, dec
        (f,) centre [deg].
    phase
        (f,) int64, on which nights of the cadence it is visited; -1 for a deep field, visited every night.
    """

    number: NDArray[np.int32]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    phase: NDArray[np.int64]


@dataclass(frozen=True)
class Visits:
    """The ``v`` exposures of all fields, ordered by field and then by time.

    Parameters
    ----------
    offsets
        (f + 1,) int64, where the visits of each field begin.
    field
        (v,) int64, index of the field.
    mjd
        (v,) middle of the exposure, TAI [d].
    start
        (v,) start of the exposure, UTC [d].
    night
        (v,) int64, UTC date [MJD] on which the night begins (LSST) or is (ZTF).
    sequence
        (v,) int64, number of the exposure in its night.
    band
        (v,) int8, number of the filter.
    limit_mag
        (v,) five-sigma limit of the difference image [mag].
    seeing
        (v,) full width at half maximum [arcsec].
    """

    offsets: NDArray[np.int64]
    field: NDArray[np.int64]
    mjd: NDArray[np.float64]
    start: NDArray[np.float64]
    night: NDArray[np.int64]
    sequence: NDArray[np.int64]
    band: NDArray[np.int8]
    limit_mag: NDArray[np.float64]
    seeing: NDArray[np.float64]

    def on_nights(self, nights: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which visits are of these nights, (v,)."""
        return np.isin(self.night, nights)


def midnight_ra(night: NDArray[np.float64] | NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Right ascension opposite the mean Sun [deg] at these dates [MJD]."""
    return (np.asarray(night, np.float64) - EQUINOX) * 360.0 / YEAR % 360.0 + 180.0


def _grid(telescope: Telescope) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres of the telescope's fields, which tile its part of the sky in rows of declination."""
    step = 2.0 * telescope.half_side
    rows = np.arange(telescope.declinations[0], telescope.declinations[1] + 1e-9, step)
    counts = np.maximum((360.0 * np.cos(np.radians(rows)) / step).astype(np.int64), 1)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return within * 360.0 / np.repeat(counts, counts), np.repeat(rows, counts)


def choose_fields(telescope: Telescope, night: int, rng: np.random.Generator) -> Fields:
    """Choose the fields that a telescope watches around a night: those that are up for hours at midnight."""
    ra, dec = _grid(telescope)
    hour_angle = (ra - midnight_ra(night) + 180.0) % 360.0 - 180.0
    up = np.flatnonzero(np.abs(hour_angle) < 65.0)
    chosen = up[np.sort(rng.permutation(len(up))[: telescope.n_fields])]
    phase = rng.integers(0, telescope.cadence, len(chosen))
    phase[rng.random(len(chosen)) < 0.12] = -1
    return Fields((chosen + 200).astype(np.int32), ra[chosen], dec[chosen], phase)


def schedule(telescope: Telescope, fields: Fields, nights: NDArray[np.int64], lookback: float, rng: np.random.Generator) -> Visits:
    """Plan the exposures of these nights and of the ``lookback`` days before; a fifth of the earlier nights is lost to weather."""
    dates = np.arange(nights[0] - int(lookback), nights[-1] + 1)
    clear = (rng.random(len(dates)) > 0.2) | np.isin(dates, nights)
    due = (fields.phase[:, None] < 0) | ((dates[None, :] + fields.phase[:, None]) % telescope.cadence == 0)
    hour_angle = (fields.ra[:, None] - midnight_ra(dates)[None, :] + 180.0) % 360.0 - 180.0
    day, field = np.nonzero((due & clear & (np.abs(hour_angle) < 75.0)).T)
    # within a night the fields follow one another in hour angle, westernmost first
    order = np.lexsort((hour_angle[field, day], day))
    day, field = day[order], field[order]
    rank = np.arange(len(day)) - np.searchsorted(day, day)
    passes = np.arange(2)[:, None]
    sequence = (rank // BLOCK * 2 * BLOCK + passes * BLOCK + rank % BLOCK).ravel()
    day, field = np.tile(day, 2), np.tile(field, 2)
    pair = rng.integers(0, len(telescope.pairs), len(dates))
    band = np.array(telescope.pairs)[pair[day], np.repeat([0, 1], len(rank))]
    return _observe(telescope, len(fields.ra), dates[day], field, sequence, band, rng)


def _observe(
    telescope: Telescope,
    n_fields: int,
    night: NDArray[np.int64],
    field: NDArray[np.int64],
    sequence: NDArray[np.int64],
    band: NDArray[np.int64],
    rng: np.random.Generator,
) -> Visits:
    """Give each exposure its time, seeing and depth: the Moon brightens the sky, most in the blue."""
    # no two nights begin at the same time, so that periods near the cadence do not hide
    delay = rng.uniform(0.0, 0.02, int(night.max() - night.min()) + 1)[night - night.min()]
    start: NDArray[np.float64] = night + telescope.begin + delay + sequence * telescope.slot / 86400.0
    order = np.lexsort((start, field))
    night, field, sequence, band = (x[order] for x in (night, field, sequence, band))
    start = start[order]
    seeing = telescope.seeing * np.exp(rng.normal(0.0, 0.18, len(start)))
    moon = 0.5 - 0.5 * np.cos(2.0 * np.pi * (start - NEW_MOON) / MONTH)
    blueness = (5500.0 / np.array(telescope.wavelengths))[band] ** 2
    depth = np.array(telescope.depths)[band] - 0.6 * moon * blueness - 1.5 * np.log10(seeing / telescope.seeing)
    mjd = utc_to_tai(start) + telescope.exposure_time / 2.0 / 86400.0
    return Visits(
        offsets=np.searchsorted(field, np.arange(n_fields + 1)).astype(np.int64),
        field=field.astype(np.int64),
        mjd=mjd,
        start=start,
        night=night.astype(np.int64),
        sequence=sequence.astype(np.int64),
        band=band.astype(np.int8),
        limit_mag=depth + rng.normal(0.0, 0.12, len(start)),
        seeing=seeing,
    )


def field_weights(fields: Fields, place: str) -> NDArray[np.float64]:
    """How likely an object of the Galaxy, of the ecliptic or beyond the Galaxy is found in each field, (f,), summing to 1."""
    latitude = np.abs(galactic(fields.ra, fields.dec)[1])
    weight = {
        "galactic": np.exp(-latitude / 15.0) + 0.02,
        "extragalactic": 1.0 - np.exp(-((latitude / 20.0) ** 2)) + 1e-3,
        "ecliptic": np.exp(-np.abs(ecliptic(fields.ra, fields.dec)[1]) / 8.0) + 1e-6,
        "anywhere": np.ones(len(latitude)),
    }[place]
    return np.asarray(weight / weight.sum())


def scatter(
    telescope: Telescope, fields: Fields, field: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw positions [deg] within these fields, (n,) each."""
    x, y = rng.uniform(-telescope.half_side, telescope.half_side, (2, len(field)))
    dec = fields.dec[field] + y
    return (fields.ra[field] + x / np.cos(np.radians(dec))) % 360.0, dec


def place_on_detector(
    telescope: Telescope, fields: Fields, field: NDArray[np.int64], ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """Give the detector (ZTF: read-out channel, 0 to 63; LSST: 0 to 188) that sees a position, and the pixel (x, y) on it."""
    side = 8 if telescope.survey == "ztf" else 14
    pixels = 3072.0 if telescope.survey == "ztf" else 4000.0
    x = ((ra - fields.ra[field] + 180.0) % 360.0 - 180.0) * np.cos(np.radians(dec)) / telescope.half_side
    y = (dec - fields.dec[field]) / telescope.half_side
    u, v = (np.clip((w + 1.0) / 2.0 * side, 0.0, side - 1e-6) for w in (x, y))
    detector = np.floor(v).astype(np.int32) * side + np.floor(u).astype(np.int32)
    return detector % (64 if side == 8 else 189), (u % 1.0) * pixels, (v % 1.0) * pixels
