"""What a catalogue's own file says: its columns and where they come from, how near a match must be, whom to cite, where to fetch it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from fink.columns import Column

Expression = str | tuple[str, ...]
"""An SQL expression over the columns of a distribution, or several: the first whose columns are all there is used."""


@dataclass(frozen=True)
class Field:
    """One quantity of a catalogue.

    Parameters
    ----------
    name
        Its name without that of the catalogue, which is put before it.
    source
        Where it comes from; where a distribution has none of its columns it is null.
    type, unit, ucd, about
        As of a `fink.columns.Column`.
    on_alerts
        Whether alerts get it; otherwise it is kept in the catalogue, for those who read that.
    """

    name: str
    source: Expression
    type: pa.DataType
    unit: str
    ucd: str
    about: str
    on_alerts: bool = True

    @property
    def expressions(self) -> tuple[str, ...]:
        """The expressions in order of preference."""
        return alternatives(self.source)


@dataclass(frozen=True)
class Download:
    """Files that are fetched from the network when somebody asks for it.

    Parameters
    ----------
    url
        Address; ``{piece}`` in it stands for each of `pieces`, ``{NAME}`` for the environment variable FINK_NAME.
    pieces
        What is fetched one after the other, where one file would be too large.
    headers, form
        What is sent along; with a form the request is a POST. Names stand for environment variables as in the address.
    suffix
        Ending of the file's name, which says what it is: ``.fits``, ``.csv``, ``.vot``, ``.parquet``, ``.csv.zip``. Empty for
        a HATS catalogue, of which only what is needed is read.
    """

    url: str
    suffix: str
    pieces: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """A catalogue that alerts are matched with.

    Parameters
    ----------
    fields
        Its columns. Alerts also get ``<catalogue>_separation``.
    radius
        Largest separation of a match [arcsec]; where sources have radii of their own, of those that lack one.
    citation
        DOI or URL of the paper to cite.
    licence
        What its makers allow, in a few words.
    download
        How its public distribution is fetched; None where it is only read from a file that somebody has.
    ra, dec
        Expressions that give the position, ICRS: degrees, or text in hours and degrees (12:34:56.7 or 12 34 56.7).
    own_radius, axis_ratio, position_angle
        Of the ellipse within which a position matches [arcsec, -, deg north through east]; empty where all have the same radius.
    pm_ra, pm_dec
        Proper motion, in right ascension times cos dec [mas / yr]; empty where sources stay.
    epoch
        Julian year of the positions.
    object_field
        Name of the field that holds the survey's name of the object, for a list of the survey's own objects: alerts are matched by it,
        and the entries have no positions. Empty where alerts are matched by place.
    where
        Rows to keep, as an SQL condition (or several, as for columns); empty keeps all.
    version
        Changes whenever this declaration would give alerts other values.
    name, about, description
        Filled in from its file: the name, the first paragraph and all of its docstring.
    """

    fields: tuple[Field, ...]
    radius: float
    citation: str
    licence: str
    download: Download | None = None
    ra: Expression = ("ra", "RAJ2000", "RA_ICRS", "RAdeg", "_RA")
    dec: Expression = ("dec", "DEJ2000", "DE_ICRS", "DEdeg", "_DE")
    own_radius: Expression = ""
    axis_ratio: Expression = ""
    position_angle: Expression = ""
    pm_ra: Expression = ""
    pm_dec: Expression = ""
    epoch: float = 2000.0
    object_field: str = ""
    where: Expression = ""
    version: str = "1.0"
    name: str = ""
    about: str = ""
    description: str = ""

    @property
    def separation(self) -> Column:
        """The column that says how far an alert is from its match; null where there is none."""
        about = f"Distance to the matching source of {self.name}; null where none is near enough"
        return Column(f"{self.name}_separation", pa.float32(), "arcsec", "pos.angDistance", about)

    @property
    def columns(self) -> tuple[Column, ...]:
        """What alerts get, the separation first where there is one."""
        given = tuple(self.column(one) for one in self.fields if one.on_alerts)
        return given if self.object_field else (self.separation, *given)

    def column(self, one: Field) -> Column:
        """Declare a field under its full name."""
        return Column(f"{self.name}_{one.name}", one.type, one.unit, one.ucd, one.about)


def vizier(table: str, columns: str) -> str:
    """Give the address of columns of a whole table at VizieR, as binary FITS."""
    return f"https://vizier.cds.unistra.fr/viz-bin/asu-binfits?-source={table}&-out={columns}&-out.max=unlimited"


def alternatives(source: Expression) -> tuple[str, ...]:
    """Give expressions in order of preference; none where there are none."""
    if isinstance(source, str):
        return (source,) if source else ()
    return source
