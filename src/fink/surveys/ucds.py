"""Unified Content Descriptors of columns, told from their names: what a field is called says what kind of quantity it is.

The words are those of the IVOA's list, version 1.5 (https://www.ivoa.net/documents/UCD1+/). Rules are tried in their order.
"""

from __future__ import annotations

import re

_RULES: tuple[tuple[str, str], ...] = (
    (r"flag|pixel_flags|attempted|glint_trail|is_negative", "meta.code.qual"),
    (r"_cov$", "stat.covariance"),
    (r"flux.*_err_mean$", "stat.error;phot.flux;stat.mean"),
    (r"flux.*_err$|flux_diff_err$", "stat.error;phot.flux"),
    (r"_(err|unc)$", "stat.error"),
    (r"flux.*_slope$", "arith.rate;phot.flux;stat.max"),
    (r"flux.*_sigma$", "stat.stdev;phot.flux"),
    (r"flux.*_(ndata|n)$", "meta.number;obs"),
    (r"flux.*_mean$", "phot.flux;stat.mean"),
    (r"flux.*_min$", "phot.flux;stat.min"),
    (r"flux.*_max$", "phot.flux;stat.max"),
    (r"flux", "phot.flux"),
    (r"chi2$", "stat.fit.chi2"),
    (r"ln_l$", "stat.likelihood"),
    (r"rms$", "stat.fit.residual;stat.stdev"),
    (r"ndata$|nobs|nopp", "meta.number;obs"),
    (r"rank$|u_param$|type_int$|algorithm$", "meta.code"),
    (r"version$", "meta.version"),
    (r"reason$|target_name$", "meta.note;obs"),
    (r"(_id|designation)$", "meta.id"),
    (r"period$", "time.period;src.orbital"),
    (r"arc_length|_dt$", "time.duration;obs"),
    (r"mjd|time", "time.epoch"),
    (r"eph_rate", "pos.pm"),
    (r"eph_offset", "pos.angDistance"),
    (r"rate$|_v(x|y|z|tot)$", "phys.veloc"),
    (r"(^|_)ra$", "pos.eq.ra"),
    (r"(^|_)dec$", "pos.eq.dec"),
    (r"ecl_lambda$", "pos.ecliptic.lon"),
    (r"ecl_beta$", "pos.ecliptic.lat"),
    (r"gal_lon$", "pos.galactic.lon"),
    (r"gal_lat$", "pos.galactic.lat"),
    (r"phase_angle$|elongation$", "pos.phaseAng"),
    (r"range$|moid$", "pos.distance"),
    (r"_(helio|topo)_x$", "pos.cartesian.x"),
    (r"_(helio|topo)_y$", "pos.cartesian.y"),
    (r"_(helio|topo)_z$", "pos.cartesian.z"),
    (r"orbit_a$|orbit_q$", "phys.size.smajAxis;src.orbital"),
    (r"orbit_e$", "src.orbital.eccentricity"),
    (r"orbit_i$", "src.orbital.inclination"),
    (r"node$", "src.orbital.node"),
    (r"argperi$", "src.orbital.periastron"),
    (r"mean_anomaly$|mean_motion$|yarkovsky|srp|_a[123]$", "src.orbital"),
    (r"orbit_h$", "phys.magAbs"),
    (r"orbit_g$", "src.orbital;phot"),
    (r"angle$", "pos.posAng"),
    (r"length$", "phys.angSize"),
    (r"i(xx|yy|xy)", "phys.angSize;stat.param"),
    (r"extendedness$", "src.class.starGalaxy"),
    (r"bbox_size$", "phys.angSize;instr.pixel"),
    (r"_x$", "pos.cartesian.x;instr.det"),
    (r"_y$", "pos.cartesian.y;instr.det"),
)

_COMPILED = tuple((re.compile(pattern), ucd) for pattern, ucd in _RULES)


def ucd_of(name: str) -> str:
    """Give the UCD of a column from its name; empty where no rule tells."""
    return next((ucd for pattern, ucd in _COMPILED if pattern.search(name)), "")
