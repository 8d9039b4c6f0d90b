"""Public names: how the users of a survey know the columns that Fink adds, in packets and in the API.

A column goes by its own name, in the group that its survey sets; where users already know it by another name, it stands in the table
below. A new column needs no entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class PublicName:
    """The place of an added column in the packets that Fink sends.

    Parameters
    ----------
    field
        Name of the field.
    group
        Record that holds it; empty where it stands beside the survey's own fields.
    """

    field: str
    group: str = ""

    @property
    def path(self) -> str:
        """Give the field with its group, as in ``pred.is_sso``."""
        return f"{self.group}.{self.field}" if self.group else self.field


ALIASES: Mapping[str, dict[str, PublicName]] = MappingProxyType(
    {
        "ztf": {
            "mag_rate_lower": PublicName("lower_rate"),
            "mag_rate_upper": PublicName("upper_rate"),
            "mag_rate_gap": PublicName("delta_time"),
            "mag_rate_from_limit": PublicName("from_upper"),
            "n_detection_points": PublicName("nalerthist"),
            "fink_class": PublicName("finkclass"),
            "simbad_former_type": PublicName("cdsxmatch"),
            "tns_type": PublicName("tns"),
            "gaiadr3_source_id": PublicName("DR3Name"),
            "gaiadr3_parallax": PublicName("Plx"),
            "gaiadr3_parallax_err": PublicName("e_Plx"),
            "gaiadr3_variable": PublicName("gaiaVarFlag"),
            "gaiavar_class": PublicName("gaiaClass"),
            "vsx_type": PublicName("vsx"),
            "gcvs_type": PublicName("gcvs"),
            "x3hsp_name": PublicName("x3hsp"),
            "x4lac_name": PublicName("x4lac"),
            "spicy_number": PublicName("spicy_id"),
        },
        "lsst": {
            "is_known_sso": PublicName("is_sso", "pred"),
            "is_first_appearance": PublicName("is_first", "pred"),
            "first_detection_mjd": PublicName("firstDiaSourceMjdTaiFink", "misc"),
            "is_catalogued": PublicName("is_cataloged", "pred"),
            "simbad_code": PublicName("main_label_crossmatch", "pred"),
            "simbad_type": PublicName("simbad_otype", "xm"),
            "tns_name": PublicName("tns_fullname", "xm"),
            "tns_type": PublicName("tns_type", "xm"),
            "tns_redshift": PublicName("tns_redshift", "xm"),
            "gaiadr3_source_id": PublicName("gaiadr3_DR3Name", "xm"),
            "gaiadr3_parallax": PublicName("gaiadr3_Plx", "xm"),
            "gaiadr3_parallax_err": PublicName("gaiadr3_e_Plx", "xm"),
            "gaiadr3_variable": PublicName("gaiadr3_VarFlag", "xm"),
            "vsx_type": PublicName("vsx_Type", "xm"),
            "gcvs_type": PublicName("gcvs_type", "xm"),
            "x3hsp_name": PublicName("x3hsp_type", "xm"),
            "x4lac_name": PublicName("x4lac_type", "xm"),
            "spicy_number": PublicName("spicy_SPICY", "xm"),
            "spicy_class": PublicName("spicy_class", "xm"),
            "mangrove_hyperleda_name": PublicName("mangrove_HyperLEDA_name", "xm"),
            "mangrove_twomass_name": PublicName("mangrove_2MASS_name", "xm"),
            "mangrove_luminosity_distance": PublicName("mangrove_lum_dist", "xm"),
            "mangrove_angular_distance": PublicName("mangrove_ang_dist", "xm"),
            "legacy_redshift": PublicName("legacydr8_zphot", "xm"),
            "legacy_redshift_err": PublicName("legacydr8_e_zphot", "xm"),
            "legacy_star_probability": PublicName("legacydr8_pstar", "xm"),
            "legacy_clean": PublicName("legacydr8_fqual", "xm"),
        },
    }
)
"""By survey and column: the names that users already know."""


@cache
def _catalogues() -> frozenset[str]:
    """Name what is declared in the folder of catalogues, a file each."""
    return frozenset(path.stem for path in (Path(__file__).parents[1] / "catalogs").glob("*.py"))


def is_of_catalogue(column: str) -> bool:
    """Say whether a column is what a catalogue says of an alert's match: its name begins with that of the catalogue's file."""
    words = column.split("_")
    return any("_".join(words[:count]) in _catalogues() for count in range(1, len(words)))


def public_name(survey: str, column: str, group: str = "") -> PublicName:
    """Give the public name of a column that Fink adds.

    Parameters
    ----------
    group
        The group of the survey's columns that have no name of their own in the table.
    """
    return ALIASES.get(survey, {}).get(column) or PublicName(column, group)
