"""Sky maps of where something happened (gravitational waves, gamma-ray bursts): the smallest region that holds a share of the probability.

Both forms of HEALPix in FITS are read: multi-order (UNIQ) and flat, ring or nested, whole or sparse.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import re
import warnings
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fink.archive.keys import SKY_ORDER
from fink.errors import RequestError
from fink.sky import healpix, utc_to_tai

MOST_BYTES = 1_000_000_000
"""Bytes that a map may have once it is unpacked."""
_LARGEST_ORDER = 13
_FULL_SPHERE = 4.0 * np.pi
_PROBABILITY = ("PROB", "PROBABILITY", "PROBDENSITY", "T", "DENSITY")


@dataclass(frozen=True)
class Skymap:
    """Probability on the sky.

    Parameters
    ----------
    order
        (n,) HEALPix order of each pixel.
    pixel
        (n,) number of the pixel, nested unless ``ring``.
    probability
        (n,) of the pixel; together 1.
    ring
        Whether pixels are numbered ring by ring.
    mjd
        Time of the event [MJD, TAI]; None where the map does not say.
    """

    order: NDArray[np.int64]
    pixel: NDArray[np.int64]
    probability: NDArray[np.float64]
    ring: bool
    mjd: float | None

    def region(self, level: float) -> NDArray[np.int64]:
        """Give the smallest region that holds a share of the probability, as (k, 2) ranges of nested pixels of the deepest order."""
        density = self.probability * 4.0**self.order
        sequence = np.argsort(-density, kind="stable")
        before = np.cumsum(self.probability[sequence]) - self.probability[sequence]
        chosen = sequence[(before < level) & (density[sequence] > 0)]
        order, pixel = self.order[chosen], self.pixel[chosen]
        nested = ring_to_nested(int(order[0]), pixel) if self.ring and len(order) else pixel
        shift = 2 * (SKY_ORDER - order)
        return joined(np.column_stack([nested << shift, (nested + 1) << shift]))


def joined(ranges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort ranges (n, 2) and join those that touch."""
    if not len(ranges):
        return ranges
    ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
    begins = np.concatenate([[True], ranges[1:, 0] > np.maximum.accumulate(ranges[:-1, 1])])
    groups = np.flatnonzero(begins)
    return np.column_stack([ranges[groups, 0], np.maximum.reduceat(ranges[:, 1], groups)])


def area(ranges: NDArray[np.int64]) -> float:
    """Give the area of ranges of the deepest order [deg2]."""
    return float((ranges[:, 1] - ranges[:, 0]).sum()) / (12.0 * 4.0**SKY_ORDER) * _FULL_SPHERE * (180.0 / np.pi) ** 2


def ring_to_nested(order: int, pixel: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the nested numbers of pixels that are numbered ring by ring, by the places of their centres (doi:10.1086/427976, sec. 4.1)."""
    n = 1 << order
    last = 12 * n * n - 1
    south = pixel > last // 2
    # the south is the north upside down, and turned the other way
    north = np.where(south, last - pixel, pixel)
    in_cap = north < 2 * n * (n - 1)
    half = (north + 1) / 2.0
    ring = np.where(in_cap, np.floor(np.sqrt(half - np.sqrt(np.floor(half)))) + 1, (north - 2 * n * (n - 1)) // (4 * n) + n)
    place = np.where(in_cap, north + 1 - 2 * ring * (ring - 1), (north - 2 * n * (n - 1)) % (4 * n) + 1)
    z = np.where(in_cap, 1 - ring**2 / (3.0 * n * n), 4.0 / 3.0 - 2.0 * ring / (3.0 * n))
    first = np.where(in_cap | ((ring - n) % 2 == 0), 0.5, np.where(south, 0.0, 1.0))
    longitude = np.where(in_cap, 90.0 / ring, 90.0 / n) * (place - first)
    latitude = np.degrees(np.arcsin(z))
    nested: NDArray[np.int64] = healpix(order, np.where(south, 360.0 - longitude, longitude) % 360.0, np.where(south, -latitude, latitude))
    return nested


def as_bytes(sent: Any) -> bytes:
    """Give a file that was sent as it is, in base64, or as Python writes bytes (``b'...'``), which is read and never evaluated.

    Raises
    ------
    RequestError
        If it is none of these.
    """
    if isinstance(sent, bytes):
        return sent
    text = str(sent).strip()
    if re.match(r"b(['\"]).*\1\Z", text, re.DOTALL):
        try:
            with warnings.catch_warnings():
                # an escape that Python does not know stands for itself, as in Python
                warnings.simplefilter("ignore", DeprecationWarning)
                return text[2:-1].encode("latin-1").decode("unicode_escape").encode("latin-1")
        except (UnicodeError, ValueError) as error:
            raise RequestError("the sky map is written as Python writes bytes, and cannot be read; send it in base64") from error
    try:
        return base64.b64decode("".join(text.split()).replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError("the sky map is neither a file nor base64; send the bytes of the FITS file in base64") from error


def read_skymap(data: bytes) -> Skymap:
    """Read a sky map, packed with gzip or not.

    Raises
    ------
    RequestError
        If it is no FITS file, holds no HEALPix map, or is too large.
    """
    from astropy.io import fits

    plain = _unpacked(data)
    if not plain.startswith(b"SIMPLE"):
        raise RequestError("the sky map is no FITS file; send bayestar.multiorder.fits or bayestar.fits.gz, as it was published")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(io.BytesIO(plain), memmap=False, lazy_load_hdus=False) as units:
                tables = [unit for unit in units if isinstance(unit, fits.BinTableHDU)]
                if not tables:
                    raise RequestError("the FITS file holds no table; a sky map is a table of HEALPix pixels")
                return _of_table(tables[0].data, {**units[0].header, **tables[0].header})
    except (OSError, ValueError, KeyError, TypeError, IndexError, fits.VerifyError) as error:
        raise RequestError(f"the sky map cannot be read: {error}; send it as it was published") from error


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        plain = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(f"the sky map is packed with gzip, and damaged: {error}; send it again") from error
    if len(plain) > MOST_BYTES:
        raise RequestError(f"the sky map has more than {MOST_BYTES} bytes unpacked; send the multi-order form")
    return plain


def _of_table(table: Any, header: Any) -> Skymap:
    columns = {name.upper(): name for name in table.names}
    pixel: NDArray[np.int64] | None
    if "UNIQ" in columns:
        uniq = np.asarray(table[columns["UNIQ"]], np.int64)
        order = (np.frexp(uniq.astype(np.float64) / 4.0)[1].astype(np.int64) - 1) // 2
        pixel = uniq - 4 * (np.int64(1) << (2 * order))
    else:
        nside = int(header["NSIDE"])
        order = np.array([nside.bit_length() - 1], np.int64)
        sparse = next((columns[name] for name in ("PIXEL", "IPIX") if name in columns), None)
        pixel = None if sparse is None else np.asarray(table[sparse], np.int64).ravel()
    values = np.asarray(table[next(columns[name] for name in (*_PROBABILITY, *columns) if name in columns and name != "UNIQ")], np.float64)
    values = np.where(np.isfinite(values) & (values > 0), values, 0.0).ravel()
    pixel = np.arange(len(values)) if pixel is None else pixel
    order = np.broadcast_to(order, pixel.shape)
    if len(pixel) != len(values) or not len(values) or order.min() < 0 or order.max() > SKY_ORDER:
        raise RequestError("the sky map's pixels and probabilities do not belong together; send it as it was published")
    if "UNIQ" not in columns and (order[0] > _LARGEST_ORDER or 1 << int(order[0]) != int(header["NSIDE"])):
        raise RequestError(f"NSIDE = {header['NSIDE']} is no power of two up to {1 << _LARGEST_ORDER}")
    if (pixel < 0).any() or (pixel >= 12 * (np.int64(1) << (2 * order))).any():
        raise RequestError("the sky map has pixels that are not on the sky; send it as it was published")
    dense = "UNIQ" in columns or "PROBDENSITY" in columns
    probability = values * 4.0 ** (-order.astype(np.float64)) if dense else values
    if probability.sum() <= 0:
        raise RequestError("the sky map has no probability anywhere; send it as it was published")
    ring = "UNIQ" not in columns and str(header.get("ORDERING", "RING")).strip().upper().startswith("RING")
    return Skymap(order, pixel, probability / probability.sum(), ring, _time(header))


def _time(header: Any) -> float | None:
    """Give the time of the event, as MJD in TAI."""
    if "MJD-OBS" in header:
        utc = float(header["MJD-OBS"])
    elif header.get("DATE-OBS"):
        try:
            moment = datetime.fromisoformat(str(header["DATE-OBS"]).strip().replace("Z", "+00:00"))
        except ValueError:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        utc = 40587.0 + moment.timestamp() / 86400.0
    else:
        return None
    return float(utc_to_tai(np.array([utc]))[0]) if np.isfinite(utc) else None
