"""Named cuts: the conditions that substreams share. A cut may use another; a user's filter may use any of them."""

from __future__ import annotations

from fink.filters import Cut

real = Cut("The survey's own score says that the source is real", "real_score >= 0.55")

good = Cut("Nothing speaks against the measurement, and it has five sigma", "good_quality")

positive_detection = Cut("Brighter now than in the template", "positive")

outside_galactic_plane = Cut("More than 10 degrees from the plane of the Milky Way", "abs(galactic_latitude) > 10")

outside_ecliptic = Cut("More than 10 degrees from the paths of the planets", "abs(ecliptic_latitude) > 10")

not_moving = Cut("Neither a known solar-system object nor like one", "NOT is_known_sso AND NOT is_sso_candidate")

not_on_star = Cut("No star lies under the source, and none beside it leaves artefacts", "NOT is_on_star AND NOT is_near_bright_star")

confirmed = Cut("Seen here brighter than the template at least half an hour before", "is_stationary")

young = Cut("First detected at most five days ago", "age <= 5")

clean_transient = Cut(
    "A good measurement of something new and stationary that is brighter than the template, on no star",
    "good AND positive_detection AND not_moving AND not_on_star AND confirmed",
)

high_latitude = Cut("More than 20 degrees from the plane of the Milky Way", "abs(galactic_latitude) > 20")

strong = Cut("A good measurement of six sigma, brighter than the template", "good AND positive AND snr >= 6")

point_shaped = Cut("Nothing says that its shape is not that of a star", "NOT (stellarity <= 0.4)")

simbad_galaxy = Cut(
    "SIMBAD knows a galaxy here, and not one whose nucleus varies much",
    "simbad_family IN ('galaxy', 'galaxy group') OR simbad_code IN ('SyG', 'Sy1', 'Sy2', 'LIN')",
)

unknown_to_simbad = Cut("SIMBAD was asked, and knows nothing here", "simbad_status = 0 AND simbad_type IS NULL")

unknown_to_gaia = Cut(
    "Gaia was asked, here or by the survey, and has nothing here",
    "(gaiadr3_status = 0 AND gaiadr3_separation IS NULL) OR (gaiadr3_separation IS NULL AND gaia_separation > 1.5)",
)

may_be_extragalactic = Cut(
    "SIMBAD knows a galaxy or a transient here, or was asked and knows nothing",
    "simbad_galaxy OR simbad_branch = 'transient' OR unknown_to_simbad",
)

gaia_star = Cut("Gaia sees a parallax of five sigma here", "gaiadr3_parallax > 5 * gaiadr3_parallax_err")

variable_star = Cut(
    "The VSX knows a variable star here, rather than a galaxy or a supernova",
    "vsx_type IS NOT NULL AND NOT (vsx_type IN ('AGN', 'QSO', 'BLLAC', 'GAL', 'GALTR') OR vsx_type LIKE 'SN%')",
)

catalogued_star = Cut("A catalogue knows a star here", "gaia_star OR variable_star OR simbad_branch = 'star'")

has_host = Cut("A catalogued galaxy is likely its host", "host_probability > 0.5")

near_galaxy = Cut(
    "A strong detection in a galaxy, away from the Milky Way's plane, on no star and not of the solar system",
    "strong AND high_latitude AND NOT is_known_sso AND NOT catalogued_star AND (simbad_galaxy OR has_host)",
)

extragalactic = Cut(
    "As near_galaxy, or where SIMBAD and Gaia were asked and know nothing",
    "near_galaxy OR (strong AND high_latitude AND NOT is_known_sso AND NOT catalogued_star AND unknown_to_simbad AND unknown_to_gaia)",
)

uncatalogued = Cut(
    "A good detection where neither the template nor SIMBAD, Gaia or the galaxies' catalogues have anything",
    """
    good AND positive_detection AND NOT is_known_sso AND not_on_star AND unknown_to_simbad AND unknown_to_gaia AND NOT has_host
    AND NOT (reference_separation <= 1.5)
    """,
)
