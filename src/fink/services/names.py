"""Names: whatever somebody types, resolved to objects of the archive, sources of catalogues, minor planets, or a place on the sky.

Everything is found in local tables: the archive and the installed catalogues. Services on the network are asked only where the settings
name them, and only for what no table knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fink.archive.embedded import EmbeddedArchive
from fink.config import Settings
from fink.errors import NetworkError, NotFoundError
from fink.services import designations, outside
from fink.services.name_tables import NamedSource, minor_planets, tables
from fink.services.positions import read_position

Kind = Literal["position", "object", "alert", "transient", "source", "solar system"]

AT_ONE_PLACE = 1.5
"""Farthest object of the archive that is taken for a named source [arcsec]."""

_LSST_NAME = re.compile(r"lsst-[a-z]+-d[os]-(\d+)", re.IGNORECASE)
_SHORTEST_NUMBER = 8
_TRANSIENTS = frozenset({"tns", "oac", "known_tde", "snad"})
_CLASSES = ("type", "name_of_type", "class")


@dataclass(frozen=True)
class Found:
    """Something that a text may name.

    Parameters
    ----------
    name
        How it is properly written.
    kind
        What it is; a ``source`` is one of a catalogue.
    origin
        Who says so: a survey, a catalogue, ``text`` for a position, ``sesame`` or ``ssodnet`` where the network was asked.
    exact
        Whether it is what was written, and does not only begin so.
    ra, dec
        Position [deg], ICRS; None for what moves.
    radius
        Radius that was written behind a position [arcsec].
    type, redshift
        As its catalogue says.
    aliases
        Other names.
    objects
        The archive's objects that it is: survey and id of each; for a minor planet its designation as the survey writes it.
    """

    name: str
    kind: Kind
    origin: str
    exact: bool = True
    ra: float | None = None
    dec: float | None = None
    radius: float | None = None
    type: str | None = None
    redshift: float | None = None
    aliases: tuple[str, ...] = ()
    objects: tuple[Mapping[str, str], ...] = field(default=())

    def row(self) -> dict[str, Any]:
        """Give it as plain values."""
        return asdict(self) | {"aliases": list(self.aliases), "objects": [dict(each) for each in self.objects]}


def resolve(
    text: str,
    archive: EmbeddedArchive,
    settings: Settings,
    *,
    survey: str | None = None,
    origins: frozenset[str] | None = None,
    limit: int = 10,
    beginnings: bool = True,
) -> list[Found]:
    """Give what a text may name, the likeliest first.

    Positions, ids of objects and alerts, names of transients (with the ids that surveys gave them), of catalogued sources, and of
    solar-system objects are known. What only begins as the text does follows after what matches it.

    Parameters
    ----------
    survey
        Only objects and alerts of this survey.
    origins
        Only what these say: surveys, catalogues, ``text``, ``solar system``; None asks all.
    limit
        How many at most.
    beginnings
        Whether names that only begin as the text does are given too, where nothing matches it whole.
    """
    wanted = text.strip()
    if not wanted:
        return []
    found = [each for each in _local(wanted, archive, settings, survey, limit, beginnings) if origins is None or _asked(each, origins)]
    if not any(each.exact for each in found):
        found = [*_remote(wanted, archive, settings, origins), *found]
    exact = [each for each in found if each.exact]
    return (exact or found)[:limit]


def _asked(found: Found, origins: frozenset[str]) -> bool:
    return found.origin in origins or (found.kind == "solar system" and "solar system" in origins)


def _local(text: str, archive: EmbeddedArchive, settings: Settings, survey: str | None, limit: int, beginnings: bool) -> Iterator[Found]:
    place = read_position(text)
    if place is not None:
        yield Found(f"{place.ra:.6f} {place.dec:+.6f}", "position", "text", True, place.ra, place.dec, place.radius)
    yield from _of_archive(text, archive, survey, limit, beginnings)
    for table in tables(settings.artifacts):
        sources = table.find(text, limit, beginnings=False)
        if not sources and beginnings:
            sources = table.find(text, limit, beginnings=True)
        for source in sources:
            yield _of_catalogue(source, archive)
    yield from _moving(text, archive, settings, limit, beginnings)


def _of_archive(text: str, archive: EmbeddedArchive, survey: str | None, limit: int, beginnings: bool) -> Iterator[Found]:
    """Give objects and alerts by their ids; of an object's id the beginning is enough."""
    iau = _LSST_NAME.fullmatch(text)
    name = iau[1] if iau else text if text[:1].isdigit() else _as_ztf_writes(text)
    if (name.isdigit() and len(name) < _SHORTEST_NUMBER) or " " in name:
        return
    for known in (survey,) if survey else ("ztf", "lsst"):
        names = [each for each in archive.object_names(name, known, limit if beginnings else 1) if beginnings or each == name]
        # the object of exactly this name may have longer neighbours
        for each in sorted(names, key=lambda one: one != name):
            yield _object(each, known, archive, exact=each == name)
        if name.lstrip("-").isdigit() and abs(int(name)) < 2**63:
            row = archive.alert(known, int(name))
            if row is not None:
                objects = ({"survey": known, "object_id": str(row["object_id"])},) if row["object_id"] else ()
                yield Found(name, "alert", known, True, row["ra"], row["dec"], objects=objects)


def _as_ztf_writes(name: str) -> str:
    return name[:3].upper() + name[3:].lower() if name[:3].lower() == "ztf" else name


def _object(name: str, survey: str, archive: EmbeddedArchive, *, exact: bool) -> Found:
    alerts = archive.object_alerts(name, survey)
    ra, dec = (alerts[column][-1].as_py() if alerts.num_rows else None for column in ("ra", "dec"))
    return Found(name, "object", survey, exact, ra, dec, objects=({"survey": survey, "object_id": name},))


def _of_catalogue(source: NamedSource, archive: EmbeddedArchive) -> Found:
    """Give a catalogue's source with the archive's objects at its place."""
    values = source.values
    kind: Kind = "transient" if source.catalogue in _TRANSIENTS else "source"
    type_ = next((str(values[name]) for name in _CLASSES if values.get(name)), None)
    aliases = tuple(alias.strip() for alias in str(values.get("internal_names") or "").split(",") if alias.strip())
    objects = objects_at(archive, source.ra, source.dec)
    return Found(
        source.name, kind, source.catalogue, source.exact, source.ra, source.dec, None, type_, values.get("redshift"), aliases, objects
    )


def objects_at(archive: EmbeddedArchive, ra: float | None, dec: float | None) -> tuple[Mapping[str, str], ...]:
    """Give survey and id of the archive's objects at a place [deg], the nearest first."""
    if ra is None or dec is None:
        return ()
    near = archive.cone(ra, dec, AT_ONE_PLACE)
    if not near.num_rows:
        return ()
    pairs = zip(near["survey"].to_pylist(), near["object_id"].to_pylist(), strict=True)
    return tuple({"survey": survey, "object_id": name} for survey, name in dict.fromkeys(pair for pair in pairs if pair[1]))


def _moving(text: str, archive: EmbeddedArchive, settings: Settings, limit: int, beginnings: bool) -> Iterator[Found]:
    """Give solar-system objects by number, name or designation, packed or not."""
    planets = minor_planets(settings.artifacts, text, limit)
    for planet in planets:
        aliases = tuple(name for name in (planet.number, planet.designation) if name)
        yield Found(
            planet.name or text, "solar system", "minor planets", aliases=aliases, objects=_observed(archive, (planet.name, *aliases))
        )
    own = _observed(archive, (text,))
    if not planets and own:
        yield Found(designations.unpack(own[0]["object_id"]) or own[0]["object_id"], "solar system", "archive", objects=own)
    elif not planets and beginnings and len(text) > 2:
        for name in archive.designations(text, limit):
            yield Found(name, "solar system", "archive", False, objects=({"survey": "", "object_id": name},))


def _observed(archive: EmbeddedArchive, names: tuple[str, ...]) -> tuple[Mapping[str, str], ...]:
    """Give the designations under which surveys saw an object that has these names."""
    tried = dict.fromkeys(spelling for name in names if name for spelling in designations.spellings(name))
    return tuple({"survey": "", "object_id": name} for name in tried if name in archive.designations(name, 1))


def designations_of(text: str, archive: EmbeddedArchive, settings: Settings) -> list[str]:
    """Give the designations under which the archive has alerts of a solar-system object; none where it has no alert of it."""
    moving = [found for found in _moving(text, archive, settings, 1, False) if found.objects]
    if not moving and settings.network.quaero:
        moving = _of_ssodnet(text, archive, settings)
    return list(dict.fromkeys(each["object_id"] for found in moving for each in found.objects))


def _remote(text: str, archive: EmbeddedArchive, settings: Settings, origins: frozenset[str] | None) -> list[Found]:
    """Ask the services that the settings name; one that does not answer knows nothing."""
    found: list[Found] = []
    for name, address, ask in (("simbad", settings.network.sesame, _of_sesame), ("solar system", settings.network.quaero, _of_ssodnet)):
        if address and not found and (origins is None or name in origins):
            try:
                found = ask(text, archive, settings)
            except (NetworkError, NotFoundError):
                continue
    return found


def _of_sesame(text: str, archive: EmbeddedArchive, settings: Settings) -> list[Found]:
    rows = outside.ask_sesame(text, settings.network)
    return [
        Found(
            str(row.get("oname") or text),
            "source",
            "sesame",
            True,
            row["jradeg"],
            row["jdedeg"],
            type=row.get("otype"),
            objects=objects_at(archive, row["jradeg"], row["jdedeg"]),
        )
        for row in rows
    ]


def _of_ssodnet(text: str, archive: EmbeddedArchive, settings: Settings) -> list[Found]:
    rows = outside.ask_quaero(text, settings.network)
    return [
        Found(
            row["name"],
            "solar system",
            "ssodnet",
            type=row["type"] or None,
            aliases=tuple(row["aliases"]),
            objects=_observed(archive, (row["name"], *row["aliases"])),
        )
        for row in rows[:1]
    ]
