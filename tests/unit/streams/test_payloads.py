"""Bytes of files and of members of tarballs: the same however they are packed, and never silently fewer."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fink.errors import PacketError, SourceError
from fink.streams.payloads import FileState, PayloadReader, Unit, units_of, unpack

PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress, "none": bytes}
BODIES = [np.random.default_rng(i).bytes(5000 + i) for i in range(6)]
MOST = 1 << 20


def tarball(bodies: list[bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        folder = tarfile.TarInfo("night")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for number, body in enumerate(bodies):
            member = tarfile.TarInfo(f"night/{number}.avro")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return raw.getvalue()


def reader_of(path: Path) -> PayloadReader:
    status = path.stat()
    return PayloadReader({path: FileState(status.st_size, status.st_mtime_ns)})


@pytest.mark.parametrize("packing", PACKERS)
def test_members_of_a_tarball_come_in_order_and_can_be_read_again(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "night"
    path.write_bytes(PACKERS[packing](tarball(BODIES)))
    found = list(units_of(path, MOST))
    assert [data for _, data in found] == BODIES
    assert [unit.member for unit, _ in found] == [f"night/{i}.avro" for i in range(6)]
    reader = reader_of(path)
    for row in (0, 2, 5, 1, 1, 0):
        assert reader.read(found[row][0]) == BODIES[row]
    reader.close()


def test_a_packed_tarball_is_read_in_one_pass_when_asked_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "night.tar.gz"
    path.write_bytes(gzip.compress(tarball(BODIES)))
    found = list(units_of(path, MOST))
    opened: list[str] = []
    real = os.open

    def noted(name: str | Path, flags: int) -> int:
        opened.append(str(name))
        return real(name, flags)

    monkeypatch.setattr(os, "open", noted)
    reader = reader_of(path)
    assert [reader.read(unit) for unit, _ in found] == BODIES
    reader.close()
    assert opened == [str(path)]


@pytest.mark.parametrize("packing", PACKERS)
def test_a_plain_file_is_one_unit(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "packet.avro"
    path.write_bytes(PACKERS[packing](BODIES[0]))
    ((unit, data),) = units_of(path, MOST)
    assert (unit.member, unit.offset, unit.size) == ("", 0, path.stat().st_size)
    assert data is not None
    assert unpack(data) == BODIES[0]
    assert reader_of(path).read(unit) == data


def test_a_large_file_is_left_to_be_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large.avro"
    path.write_bytes(BODIES[0])
    assert list(units_of(path, 100)) == [(Unit(path, "", 0, 5000), None)]


def test_a_large_packed_file_is_given_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.avro.gz"
    path.write_bytes(gzip.compress(BODIES[0]))
    ((_, data),) = units_of(path, 600)
    assert data is not None
    assert unpack(data) == BODIES[0]


@pytest.mark.parametrize("packing", ["none", "gzip", "xz"])
@pytest.mark.parametrize("part", [0.4, 0.6, 0.8])
def test_a_tarball_that_breaks_off_gives_what_stands_before(tmp_path: Path, packing: str, part: float) -> None:
    packed = PACKERS[packing](tarball(BODIES))
    path = tmp_path / "night"
    path.write_bytes(packed[: int(len(packed) * part)])
    found: list[bytes | None] = []
    with pytest.raises(PacketError, match="breaks off"):
        found += (data for _, data in units_of(path, MOST))
    assert found == BODIES[: len(found)]


@pytest.mark.parametrize("block", range(1, 6))
def test_a_damaged_header_inside_a_tarball_is_a_break_and_not_the_end(tmp_path: Path, block: int) -> None:
    data = bytearray(tarball(BODIES))
    at = data.index(f"night/{block}.avro".encode())
    data[at + 150] ^= 255
    path = tmp_path / "night.tar"
    path.write_bytes(data)
    found: list[bytes | None] = []
    with pytest.raises(PacketError, match="breaks off"):
        found.extend(data for _, data in units_of(path, MOST))
    assert found == BODIES[:block]


def test_a_tarball_without_its_end_mark_is_a_break_unless_its_packing_ends_well(tmp_path: Path) -> None:
    data = tarball(BODIES)
    end = data.rindex(BODIES[-1][-100:]) + 100
    path = tmp_path / "night.tar"
    path.write_bytes(gzip.compress(data[: end + (-end % 512)]))
    assert [data for _, data in units_of(path, MOST)] == BODIES
    path.write_bytes(data[: end + (-end % 512)])
    found: list[bytes | None] = []
    with pytest.raises(PacketError, match="end mark"):
        found.extend(data for _, data in units_of(path, MOST))
    assert found == BODIES


def test_a_wrong_checksum_at_the_end_of_a_packed_tarball_is_told(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(tarball(BODIES)))
    packed[-6] ^= 1
    path = tmp_path / "night.tar.gz"
    path.write_bytes(packed)
    with pytest.raises(PacketError, match="breaks off"):
        list(units_of(path, MOST))


@pytest.mark.parametrize("packing", ["gzip", "xz", "bzip2"])
def test_damaged_packing_is_refused_with_its_name(packing: str) -> None:
    packed = PACKERS[packing](BODIES[0])
    with pytest.raises(PacketError, match=packing):
        unpack(packed[: len(packed) // 2])


def test_a_packed_tarball_that_breaks_before_its_first_member_is_one_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "night.tar.bz2"
    path.write_bytes(bz2.compress(tarball(BODIES))[:200])
    ((_, data),) = units_of(path, MOST)
    assert data is not None
    with pytest.raises(PacketError, match="bzip2"):
        unpack(data)


def test_a_file_that_vanishes_shrinks_or_changes_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "packet.avro"
    path.write_bytes(BODIES[0])
    ((unit, _),) = units_of(path, MOST)
    reader = reader_of(path)
    path.write_bytes(BODIES[0][:100])
    with pytest.raises(SourceError, match=r"packet\.avro changed while it was read"):
        reader.read(unit)
    path.unlink()
    with pytest.raises(SourceError, match=r"packet\.avro cannot be read again: No such file"):
        reader.read(unit)


def test_a_packed_tarball_that_changes_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "night.tar.gz"
    path.write_bytes(gzip.compress(tarball(BODIES)))
    found = list(units_of(path, MOST))
    reader = reader_of(path)
    path.write_bytes(gzip.compress(tarball(BODIES[::-1])) + b"more")
    with pytest.raises(SourceError, match="changed while it was read"):
        reader.read(found[0][0])


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        list(units_of(Path("/proc/self/mem"), MOST))
    with pytest.raises(SourceError, match="cannot be read"):
        list(units_of(tmp_path / "absent", MOST))
