"""Public names: how the users of a survey know the columns that Fink adds, in packets and in the API.

A column goes by its own name, in the group that its survey sets; where users already know it by another name, it stands in the table
below. A new column needs no entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
        },
        "lsst": {
            "is_known_sso": PublicName("is_sso", "pred"),
            "is_first_appearance": PublicName("is_first", "pred"),
            "first_detection_mjd": PublicName("firstDiaSourceMjdTaiFink", "misc"),
        },
    }
)
"""By survey and column: the names that users already know."""


def public_name(survey: str, column: str, group: str = "") -> PublicName:
    """Give the public name of a column that Fink adds.

    Parameters
    ----------
    group
        The group of the survey's columns that have no name of their own in the table.
    """
    return ALIASES.get(survey, {}).get(column) or PublicName(column, group)
