"""Public names of added columns: the survey's rule, and the table of what users know by other names."""

from __future__ import annotations

import pytest

from fink import surveys
from fink.surveys.names import PublicName, public_name


@pytest.mark.parametrize(
    ("survey", "column", "path"),
    [
        ("ztf", "mag_rate", "mag_rate"),
        ("ztf", "mag_rate_upper", "upper_rate"),
        ("lsst", "mag_rate", "misc.mag_rate"),
        ("lsst", "gaiadr3_pm_ra", "xm.gaiadr3_pm_ra"),
        ("lsst", "known_tde_name", "xm.known_tde_name"),
        ("lsst", "simbad_code", "pred.main_label_crossmatch"),
        ("ztf", "gaiadr3_pm_ra", "gaiadr3_pm_ra"),
        ("lsst", "is_known_sso", "pred.is_sso"),
        ("lsst", "first_detection_mjd", "misc.firstDiaSourceMjdTaiFink"),
        ("elasticc", "mag_rate", "mag_rate"),
    ],
)
def test_a_column_has_a_place_in_the_packets_of_each_survey(survey: str, column: str, path: str) -> None:
    assert surveys.registry()[survey].packet_name(column).path == path


def test_the_same_table_names_columns_in_the_interface() -> None:
    ztf, lsst = surveys.registry()["ztf"], surveys.registry()["lsst"]
    assert ztf.public_name("mag_rate_upper") == "d:upper_rate"
    assert lsst.public_name("is_known_sso") == "f:is_sso"
    assert ztf.public_name("simbad_former_type") == "d:cdsxmatch"
    assert lsst.public_name("simbad_type") == "f:xm_simbad_otype"
    assert lsst.packet_name("simbad_type").path == "xm.simbad_otype"


def test_a_column_without_an_entry_keeps_its_name() -> None:
    assert public_name("ztf", "never_heard_of") == PublicName("never_heard_of")
    assert public_name("lsst", "never_heard_of", "misc") == PublicName("never_heard_of", "misc")
    assert public_name("another", "mag_rate_upper", "").path == "mag_rate_upper"
