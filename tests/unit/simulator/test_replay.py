"""Nights as files, and what goes wrong with them."""

from __future__ import annotations

import io
import tarfile
from functools import cache
from pathlib import Path

import fastavro
import numpy as np
import pytest

from fink.errors import ConfigError
from fink.simulator.faults import damage, flip_bits, repeat, with_faults
from fink.simulator.replay import names, single_files, write_night
from fink.simulator.survey import SimulatedNight, simulate_night


@cache
def night(survey: str = "ztf") -> SimulatedNight:
    return simulate_night(survey, 30, seed=4, stamps="shared")


def test_a_container_holds_every_alert(tmp_path: Path) -> None:
    path = write_night(night(), tmp_path / "night", codec="deflate")
    assert path.name == "night.avro"
    with path.open("rb") as file:
        assert [record["candid"] for record in fastavro.reader(file)] == night().truth["alert_id"].to_pylist()


def test_a_tarball_holds_one_file_for_each_alert_and_is_the_same_each_time(tmp_path: Path) -> None:
    first, again = (write_night(night(), tmp_path / name, "tarball") for name in ("a", "b"))
    assert first.read_bytes() == again.read_bytes()
    with tarfile.open(first) as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == [f"{name}.avro" for name in names(night())]
        file = archive.extractfile(members[3])
        assert file is not None
        (record,) = fastavro.reader(io.BytesIO(file.read()))
    assert record["candid"] == night().truth["alert_id"][3].as_py()


def test_wire_files_begin_with_the_schemas_number(tmp_path: Path) -> None:
    folder = write_night(night("lsst"), tmp_path / "wire", "wire")
    row = 7
    data = (folder / f"{names(night('lsst'))[row]}.avro").read_bytes()
    assert data[:5] == b"\x00" + (1000).to_bytes(4, "big")
    assert data[5:] == night("lsst").packets.body(row)
    assert len(list(folder.iterdir())) == 30


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean tarball"):
        write_night(night(), tmp_path / "x", "tarbal")


def test_faults_are_what_the_list_says() -> None:
    items = single_files(night())
    faulty = with_faults(items, 1, flipped=0.2, cut_off=0.2, repeated=0.1)
    assert [faulty.fault.count(kind) for kind in ("flipped", "cut", "repeated")] == [6, 6, 3]
    assert len(faulty.items) == 33
    for item, origin, fault in zip(faulty.items, faulty.origin.tolist(), faulty.fault, strict=True):
        whole = items[origin]
        assert (item == whole) == (fault in ("", "repeated"))
        assert fault != "cut" or whole.startswith(item)
        assert fault != "flipped" or len(item) == len(whole)
    assert with_faults(items, 1, flipped=0.2, cut_off=0.2, repeated=0.1).items == faulty.items


def test_flipped_bits_are_counted() -> None:
    item = bytes(100)
    flipped = np.frombuffer(flip_bits(item, 5, np.random.default_rng(1)), np.uint8)
    assert np.unpackbits(flipped).sum() == 5


def test_repeated_packets_share_the_buffer() -> None:
    packets = repeat(night().packets, np.array([2, 5]))
    assert len(packets) == 32
    assert packets.body(30) == packets.body(2)
    assert packets.buffer is night().packets.buffer


def test_shares_of_faults_are_checked() -> None:
    with pytest.raises(ConfigError, match="exceed 1"):
        with_faults([b"x"], 1, flipped=0.7, cut_off=0.7)


def test_damage_beside_a_night_is_as_it_says(tmp_path: Path) -> None:
    *broken, again = damage(night(), tmp_path / "packets", 3)
    whole = dict(zip(names(night()), single_files(night()), strict=True))
    assert len(broken) == 6
    for path in broken:
        original = whole[path.stem.rpartition("_")[2]]
        assert original.startswith(path.read_bytes())
        assert path.stat().st_size < len(original)
    with again.open("rb") as file:
        repeated = [record["candid"] for record in fastavro.reader(file)]
    assert len(repeated) == 10
    assert set(map(str, repeated)) <= set(whole)
