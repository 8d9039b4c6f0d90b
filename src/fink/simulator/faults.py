"""What goes wrong with streams: damaged, cut and repeated packets, seeded, with a list of what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fink.errors import ConfigError
from fink.simulator.replay import names, single_files, write_night
from fink.simulator.survey import SimulatedNight
from fink.tables import Packets


@dataclass(frozen=True)
class Faulty:
    """Items with faults.

    Parameters
    ----------
    items
        The bytes of each item.
    origin
        (n,) int64, the item that each was made of.
    fault
        (n,) what was done to it: empty, ``flipped``, ``cut`` or ``repeated``.
    """

    items: tuple[bytes, ...]
    origin: NDArray[np.int64]
    fault: tuple[str, ...]


def flip_bits(item: bytes, count: int, rng: np.random.Generator) -> bytes:
    """Turn over this many bits at random places; the places differ, so the bytes do."""
    data = np.frombuffer(item, np.uint8).copy()
    places = rng.choice(8 * len(data), min(count, 8 * len(data)), replace=False)
    np.bitwise_xor.at(data, places // 8, (1 << (places % 8)).astype(np.uint8))
    return data.tobytes()


def cut(item: bytes, rng: np.random.Generator) -> bytes:
    """Keep a random part from the beginning, at least one byte less than all."""
    return item[: int(rng.integers(0, max(len(item), 1)))]


def with_faults(
    items: Sequence[bytes], seed: int, *, flipped: float = 0.0, cut_off: float = 0.0, repeated: float = 0.0, bits: int = 8
) -> Faulty:
    """Damage a part of the items.

    Parameters
    ----------
    items
        Files or packets.
    seed
        From which the choice and the damage follow.
    flipped, cut_off, repeated
        Parts of the items, from 0 to 1, that get ``bits`` turned bits, that end early, and that come twice.

    Raises
    ------
    ConfigError
        If the parts are not between 0 and 1, or exceed 1 together.
    """
    shares = (flipped, cut_off, repeated)
    if min(shares) < 0.0 or sum(shares) > 1.0:
        raise ConfigError(f"the parts of faulty items are {shares}; they must not be negative, nor exceed 1 together")
    rng = np.random.default_rng([seed, 7])
    limits = np.round(np.cumsum(shares) * len(items))
    rank = rng.permutation(len(items))
    fault = np.array(["flipped", "cut", "repeated", ""])[np.searchsorted(limits, rank, side="right")]
    out: list[tuple[bytes, int, str]] = []
    for row, (item, what) in enumerate(zip(items, fault.tolist(), strict=True)):
        if what == "repeated":
            out.append((item, row, ""))
        damaged = flip_bits(item, bits, rng) if what == "flipped" else cut(item, rng) if what == "cut" else item
        out.append((damaged, row, what))
    return Faulty(tuple(x[0] for x in out), np.array([x[1] for x in out], np.int64), tuple(x[2] for x in out))


def repeat(packets: Packets, rows: NDArray[np.int64]) -> Packets:
    """Give the packets with those of some rows once more at the end, in the same buffer."""
    return packets.take(np.concatenate([np.arange(len(packets)), rows]))


def damage(night: SimulatedNight, folder: Path, seed: int, *, cut_off: int = 6, repeated: int = 10) -> list[Path]:
    """Write, beside a night's packets, what goes wrong with it: files that end early, and alerts that come a second time.

    Returns
    -------
    paths
        The files that were written: one for each broken item, and one container of the repeated alerts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 8])
    rows = rng.permutation(len(night.packets))
    broken = night.take(np.sort(rows[:cut_off]))
    paths = [folder / f"{night.survey}_{night.night}_cut_{name}.avro" for name in names(broken)]
    for path, item in zip(paths, single_files(broken), strict=True):
        path.write_bytes(cut(item, rng))
    again = night.take(np.sort(rows[cut_off : cut_off + repeated]))
    if len(again.packets):
        paths.append(write_night(again, folder / f"{night.survey}_{night.night}_repeated", "container"))
    return paths
