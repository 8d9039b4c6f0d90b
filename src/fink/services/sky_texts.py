"""Positions and times as people write them: sexagesimal, Galactic, calendar dates, nights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fink.sky import ecliptic, galactic, tai_to_utc

_MJD_EPOCH = np.datetime64("1858-11-17", "s")


def sexagesimal(ra: float, dec: float, *, separator: str = ":") -> str:
    """Write a position [deg] in hours and degrees, to 0.001 s and 0.01 arcsec."""
    hours = round((ra % 360.0) / 15.0 * 3_600_000) % 86_400_000
    arc = round(abs(dec) * 360_000)
    sign = "-" if dec < 0 else "+"
    right = separator.join((f"{hours // 3_600_000:02d}", f"{hours // 60_000 % 60:02d}", f"{hours % 60_000 / 1000:06.3f}"))
    up = separator.join((f"{arc // 360_000:02d}", f"{arc // 6000 % 60:02d}", f"{arc % 6000 / 100:05.2f}"))
    return f"{right} {sign}{up}"


def iau_name(ra: float, dec: float) -> str:
    """Write a position [deg] as in the names of sources: J123456.78+123456.7, cut and not rounded."""
    hours, arc = int((ra % 360.0) / 15.0 * 360_000), int(abs(dec) * 36_000)
    right = f"{hours // 360_000:02d}{hours // 6000 % 60:02d}{hours // 100 % 60:02d}.{hours % 100:02d}"
    return f"J{right}{'-' if dec < 0 else '+'}{arc // 36_000:02d}{arc // 600 % 60:02d}{arc // 10 % 60:02d}.{arc % 10}"


def position_texts(ra: float, dec: float) -> dict[str, str | float]:
    """Give a position [deg] in every notation that is asked for."""
    longitude, latitude = (float(x) for x in galactic(np.float64(ra), np.float64(dec)))  # type: ignore[arg-type]
    lam, beta = (float(x) for x in ecliptic(np.float64(ra), np.float64(dec)))  # type: ignore[arg-type]
    return {
        "ra": ra,
        "dec": dec,
        "degrees": f"{ra:.6f} {dec:+.6f}",
        "sexagesimal": sexagesimal(ra, dec),
        "galactic": f"{longitude:.5f} {latitude:+.5f}",
        "ecliptic": f"{lam:.5f} {beta:+.5f}",
        "name": iau_name(ra, dec),
    }


def date_text(mjd: float | None, *, seconds: bool = True) -> str | None:
    """Write a time, MJD in TAI, as a calendar date in UTC; None where there is none."""
    return None if mjd is None or not np.isfinite(mjd) else date_texts(np.array([mjd]), seconds=seconds)[0]


def date_texts(mjd: NDArray[np.float64], *, seconds: bool = True) -> list[str]:
    """Write times, MJD in TAI, as calendar dates in UTC."""
    moments = _MJD_EPOCH + np.round(tai_to_utc(mjd) * 86400.0).astype("timedelta64[s]")
    return [text.replace("T", " ") for text in np.datetime_as_string(moments, "s" if seconds else "D").tolist()]


def duration_text(days: float) -> str:
    """Write a stretch of time in the unit that suits it."""
    if days >= 730.0:
        return f"{days / 365.25:.1f} years"
    if days >= 2.0:
        return f"{days:.0f} days"
    return f"{days:.2f} days" if days >= 1.0 else f"{days * 24.0:.1f} hours"
