"""Simulated nights as files, in the forms in which the surveys publish them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Literal, get_args

from isal import igzip

from fink.codecs.containers import write_container
from fink.codecs.writers import wire_prefix
from fink.errors import ConfigError, did_you_mean
from fink.simulator.survey import SimulatedNight

Form = Literal["container", "tarball", "wire"]
FORMS: tuple[Form, ...] = get_args(Form)
"""``container``: one Avro file of all alerts. ``tarball``: a night's tar.gz of one Avro file for each, as ZTF publishes. ``wire``: a
folder of one file for each with Confluent's prefix, as LSST sends."""
_WIRE_NUMBERS = {"ztf": 402, "lsst": 1000}


def write_night(night: SimulatedNight, path: Path, form: str = "container", codec: str = "null") -> Path:
    """Write a night's packets.

    Parameters
    ----------
    night
        What `fink.simulator.survey.simulate_night` gave.
    path
        Where to, without an ending: a container gets ``.avro`` and a tarball ``.tar.gz``; ``wire`` makes a folder.
    form
        One of `FORMS`.
    codec
        Compression of a container's blocks.

    Returns
    -------
    path
        What was written.

    Raises
    ------
    ConfigError
        If there is no such form.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "container":
        packets, path = night.packets, path.with_name(f"{path.name}.avro")
        write_container(path, packets.schemas[0], packets.buffer, packets.starts, packets.ends, codec)
    elif form == "tarball":
        path = path.with_name(f"{path.name}.tar.gz")
        _write_tarball(night, path)
    elif form == "wire":
        path.mkdir(exist_ok=True)
        prefix = wire_prefix(_WIRE_NUMBERS[night.survey])
        for row, name in enumerate(names(night)):
            (path / f"{name}.avro").write_bytes(prefix + night.packets.body(row))
    else:
        raise ConfigError(f"no form {form!r} of a night's files{did_you_mean(form, FORMS)}; use one of {', '.join(FORMS)}")
    return path


def names(night: SimulatedNight) -> list[str]:
    """Name each alert's file, without its ending: the alert's number."""
    return [str(number) for number in night.truth["alert_id"].to_pylist()]


def single_files(night: SimulatedNight) -> list[bytes]:
    """Give each alert as an Avro file of its own, as ZTF publishes them."""
    packets = night.packets
    files: list[bytes] = []
    for row in range(len(packets)):
        file = io.BytesIO()
        write_container(file, packets.schemas[0], packets.buffer, packets.starts[row : row + 1], packets.ends[row : row + 1])
        files.append(file.getvalue())
    return files


def _write_tarball(night: SimulatedNight, path: Path) -> None:
    """Write a gzipped archive of single files; the same night gives the same bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, data in zip(names(night), single_files(night), strict=True):
            member = tarfile.TarInfo(f"{name}.avro")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    path.write_bytes(igzip.compress(raw.getvalue(), 1, mtime=0))
