"""The pages of an object and of a body of the solar system, and images of the sky around an object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from markupsafe import Markup

from fink.api.arguments import Argument
from fink.errors import NotFoundError
from fink.portal.pages import Answer, Page, Visit
from fink.services import finder_charts
from fink.services import light_curve_charts as charts
from fink.services.object_pages import band_order, object_page
from fink.services.pictures import STRETCHES
from fink.services.solar_system_pages import solar_system_page

COLOURS = ("gray", "viridis", "magma", "inferno", "cividis", "gray_r")
"""Colour maps of stamps that the page offers; the interface knows more."""

_ALERT = Argument("alert", "integer", "Number of the alert whose columns, stamps and fits are shown; the last one where it is left out")

ALADIN = "https://aladin.cds.unistra.fr"
"""Where Aladin Lite comes from, when somebody asks for it; its licence (LGPL 3) lets us load it, and not carry it along."""

_SKY_SOURCES = {
    "script-src": f"{ALADIN} 'wasm-unsafe-eval' blob:",
    "connect-src": "https:",
    "img-src": "https:",
    "font-src": f"{ALADIN} data:",
    "worker-src": "blob:",
    "frame-ancestors": "'self'",
}


def show_object(visit: Visit) -> Answer:
    """Give everything about an object."""
    assert visit.survey is not None
    found = object_page(
        visit.archive,
        visit.survey,
        visit.path["id"],
        visit.vocabulary,
        alert_id=visit.query["alert"],
        artifacts=visit.settings.artifacts,
        base=visit.base,
    )
    return {**found, "stretches": list(STRETCHES), "colours": list(COLOURS)}


def show_solar_system(visit: Visit) -> Answer:
    """Give everything about a body of the solar system."""
    found = solar_system_page(visit.archive, visit.path["name"], visit.vocabulary, alert_id=visit.query["alert"], base=visit.base)
    return {**found, "stretches": list(STRETCHES), "colours": list(COLOURS)}


def show_sky(visit: Visit) -> Answer:
    """Give the place of an object, for images of the sky from elsewhere."""
    rows = visit.archive.object_alerts(visit.path["id"], visit.survey)
    if not rows.num_rows:
        raise NotFoundError(f"the archive has no object {visit.path['id']} of {visit.survey}")
    ra, dec = (float(rows[name].to_numpy()[-1]) for name in ("ra", "dec"))
    return {"survey": visit.survey, "object_id": visit.path["id"], "ra": ra, "dec": dec, "source": ALADIN}


PAGES: tuple[Page, ...] = (
    Page("/{survey}/object/{id}", "Object", "object.html", show_object, (_ALERT,)),
    Page("/sso/{name:path}", "Solar-system object", "sso.html", show_solar_system, (_ALERT,)),
    Page("/{survey}/object/{id}/sky", "Sky view", "sky.html", show_sky, outside=_SKY_SOURCES),
)


def quantity(value: Any, digits: int = 6) -> str:
    """Write a value for a reader: yes and no, numbers with so many digits, a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if 10.0**digits <= abs(value) < 1e9 else f"{value:.{digits}g}"
    return str(value)


def decimals(value: float | None, places: int = 2) -> str:
    """Write a number with so many places, a dash where there is none."""
    return "–" if value is None else f"{value:.{places}f}"


def _curve(page: Mapping[str, Any]) -> Markup:
    models = page["models"]
    return Markup(charts.light_curve_svg(page["light_curve"], page["chosen"]["mjd"], models[0] if models else None))


def _phase_curve(page: Mapping[str, Any]) -> Markup:
    return Markup(charts.scatter_svg(page["predictions"], "phase_angle", "reduced_mag", "Phase angle (deg)", "Reduced magnitude"))


def _residuals(page: Mapping[str, Any]) -> Markup:
    rows = [
        {**row, "residual": row["mag"] - row["predicted_mag"]}
        for row in page["predictions"]
        if row["mag"] is not None and row["predicted_mag"] is not None
    ]
    return Markup(charts.scatter_svg(rows, "mjd", "residual", "MJD (TAI)", "Observed − predicted (mag)"))


def _finder(page: Mapping[str, Any]) -> Markup:
    science = next((stamp for stamp in page["cutouts"] if stamp["kind"] == "science" and stamp["affine"]), None)
    return Markup(finder_charts.finder_svg(page["finder"], science))


def _marker(band: str, kind: str = "detection") -> Markup:
    return Markup(charts.marker_svg(band, kind))


def by_wavelength(bands: Iterable[str]) -> list[str]:
    """Give each filter once, from blue to red."""
    return sorted(set(bands), key=band_order)


DRAWINGS: Mapping[str, Callable[..., Any]] = {
    "by_wavelength": by_wavelength,
    "light_curve_svg": _curve,
    "phase_curve_svg": _phase_curve,
    "residuals_svg": _residuals,
    "finder_svg": _finder,
    "marker_svg": _marker,
    "quantity": quantity,
    "decimals": decimals,
}
