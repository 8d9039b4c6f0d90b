"""LSST packets for measurements: of the size and shape of real ones, with a history of any length."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import numpy as np
import orjson

from fink.codecs.cutouts import write_fits
from fink.codecs.schemas import WriterSchema, parse_schema
from fink.codecs.writers import wire_prefix
from fink.surveys.fields import Version
from fink.surveys.lsst import writer_schema
from fink.tables import Packets


class _Maker:
    """Fills the records of one version with seeded values of every field's type."""

    def __init__(self, version: Version, seed: int) -> None:
        self.schema: WriterSchema = parse_schema(writer_schema(*version))
        self.random = np.random.default_rng(seed)
        self.number = 1 << 40

    def record(self, name: str, **known: Any) -> dict[str, Any]:
        """Make one record of a named type; what is not known is drawn."""
        fields = self.schema.types[f"{self.schema.namespace}.{name}"]["fields"]
        return {f["name"]: known[f["name"]] if f["name"] in known else self.value(f["type"]) for f in fields}

    def value(self, kind: Any) -> Any:
        """Draw a value of a type; a union gives its value, not its null."""
        kind = kind[1] if isinstance(kind, list) else kind
        kind = kind["type"] if isinstance(kind, dict) else kind
        self.number += 1
        drawn: dict[str, Any] = {
            "long": self.number,
            "int": int(self.random.integers(190)),
            "float": float(self.random.normal(500, 100)),
            "double": float(self.random.uniform(0, 80)),
            "boolean": bool(self.random.random() < 0.02),
            "string": "r",
        }
        return drawn[kind]

    def history(self, name: str, points: int) -> list[dict[str, Any]] | None:
        """Make the points of a year in time order; none is null, as the survey writes it."""
        times = np.sort(self.random.uniform(61000, 61365, points))
        bands = self.random.choice(list("ugrizy"), points)
        return [self.record(name, midpointMjdTai=float(t), band=str(b)) for t, b in zip(times, bands, strict=True)] or None

    def packet(self, sources: int, forced: int) -> dict[str, Any]:
        """Make one alert."""
        noise = self.random.normal(0, 10, (3, 51, 51)).astype(np.float32)
        psf = np.ones((41, 41), np.float32)
        stamps = [write_fits(image, uncertainty=np.abs(image), psf=psf) for image in noise]
        return {
            "diaSourceId": self.number,
            "diaSource": self.record("diaSource", midpointMjdTai=61365.5, band="r"),
            "diaObject": self.record("diaObject"),
            "prvDiaSources": self.history("diaSource", sources),
            "prvDiaForcedSources": self.history("diaForcedSource", forced),
            "cutoutScience": stamps[0],
            "cutoutTemplate": stamps[1],
            "cutoutDifference": stamps[2],
        }


def lsst_messages(n: int, sources: int, forced: int, *, version: Version = (10, 0), seed: int = 1) -> list[bytes]:
    """Make ``n`` different messages in the wire format, with so many earlier sources and forced points each."""
    maker = _Maker(version, seed)
    schema = fastavro.parse_schema(orjson.loads(maker.schema.text))
    messages = []
    for _ in range(n):
        stream = io.BytesIO(wire_prefix(100 * version[0] + version[1]))
        stream.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(stream, schema, maker.packet(sources, forced))
        messages.append(stream.getvalue())
    return messages


def lsst_packets(n: int, sources: int, forced: int, *, distinct: int = 50, version: Version = (10, 0)) -> Packets:
    """Make ``n`` packets, of which so many are distinct, one behind the other in a buffer of their own."""
    messages = lsst_messages(min(n, distinct), sources, forced, version=version)
    return Packets.from_bodies([messages[i % len(messages)][5:] for i in range(n)], writer_schema(*version))
