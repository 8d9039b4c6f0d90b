"""What the alerts of each night were: visits, known objects, flags, classes; counted in the lake once a night and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from fink.archive.embedded import EmbeddedArchive

COUNTED: Mapping[str, Mapping[str, str]] = {
    "lsst": {
        "visits": "count(DISTINCT visit)",
        "is_sso": "count(*) FILTER (is_known_sso)",
        "is_first": "count(*) FILTER (is_first_appearance)",
        "in_tns": "count(*) FILTER (tns_name IS NOT NULL)",
        "is_cataloged": "count(*) FILTER (is_catalogued)",
        "glint_trail": "count(*) FILTER (lsst_glint_trail)",
        "isDipole": "count(*) FILTER (is_dipole)",
        "pixelFlags_cr": "count(*) FILTER (lsst_pixel_flags_cr)",
        "pixelFlags_saturated": "count(*) FILTER (lsst_pixel_flags_saturated)",
        "pixelFlags_streak": "count(*) FILTER (lsst_pixel_flags_streak)",
    },
    "ztf": {"fields": "count(DISTINCT ztf_field)", "exposures": "count(DISTINCT visit)"},
}
"""By survey: the name that its users know, and how it is counted."""

_MOST_NIGHTS = 10_000


class NightCounts:
    """Counts of the nights that were asked for; a night is counted again when it has grown."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, int], tuple[int, dict[str, int]]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, archive: EmbeddedArchive, survey: str, nights: Mapping[int, int]) -> dict[int, dict[str, int]]:
        """Give the counts of nights, by night.

        Parameters
        ----------
        nights
            The nights, and how many alerts each has.
        """
        with self._lock:
            known = {night: self._kept.get((archive.id, survey, night)) for night in nights}
        found = {night: kept[1] for night, kept in known.items() if kept is not None and kept[0] == nights[night]}
        missing = [night for night in nights if night not in found]
        counted = _counted(archive, survey, missing) if missing else {}
        with self._lock:
            for night in missing:
                self._kept[archive.id, survey, night] = nights[night], counted.get(night, {})
            while len(self._kept) > _MOST_NIGHTS:
                self._kept.popitem(last=False)
        return found | {night: counted.get(night, {}) for night in missing}


def _counted(archive: EmbeddedArchive, survey: str, nights: Sequence[int]) -> dict[int, dict[str, int]]:
    there = set(archive.sql("SELECT * FROM alerts LIMIT 0").column_names)
    counts = {name: text for name, text in COUNTED[survey].items() if _column(text) in there}
    wanted = ", ".join([f'{text} AS "{name}"' for name, text in counts.items()] or ["count(*) AS alerts"])
    condition = f"survey = $survey AND night IN ({', '.join(str(int(night)) for night in nights)})"
    rows = archive.sql(f"SELECT night, {wanted} FROM alerts WHERE {condition} GROUP BY night", {"survey": survey}).to_pylist()
    found: dict[int, dict[str, int]] = {row["night"]: {name: row[name] for name in counts} for row in rows}
    if survey == "ztf" and "fink_class" in there:
        text = f"SELECT night, fink_class, count(*) AS n FROM alerts WHERE {condition} AND fink_class IS NOT NULL GROUP BY ALL ORDER BY ALL"
        for row in archive.sql(text, {"survey": survey}).to_pylist():
            found[row["night"]][f"class:{row['fink_class']}"] = row["n"]
    return found


def _column(text: str) -> str:
    """Give the column that a count is of."""
    return text.replace("count(DISTINCT ", "").replace("count(*) FILTER (", "").rstrip(")").removesuffix(" IS NOT NULL")


KEPT = NightCounts()
"""The counts that this process has made."""
