"""Classes have a meaning, changes of class are told, and catalogues without an answer say why."""

from __future__ import annotations

from fink import catalogs
from fink.columns import COLUMNS
from fink.engines.plan import ABSENT, RUN
from fink.science.fink_class import AMBIGUOUS, CLAIMS, UNKNOWN
from fink.services.findings import class_history, classification, host, matches, meaning, packet_neighbours, solar_system


def test_every_class_says_what_it_means() -> None:
    for name in (UNKNOWN, AMBIGUOUS, *CLAIMS):
        assert meaning(name)
    assert "candidate for the type RRLyrae" in meaning("Candidate_RRLyr")
    assert "family active galaxy" in meaning("QSO")
    assert meaning("a type of tomorrow").endswith("a type of tomorrow at this place")
    assert meaning(None) == ""


def test_without_a_class_the_reason_is_given() -> None:
    assert "SIMBAD is not installed" in classification({"simbad_status": ABSENT}, [])["meaning"]


def test_changes_of_class_are_stretches_of_time() -> None:
    rows = [{"mjd": 60000.0 + i, "fink_class": name} for i, name in enumerate(("Unknown", "Unknown", None, "QSO", "Unknown"))]
    found = class_history(rows)
    assert [(each["class"], each["alerts"]) for each in found] == [("Unknown", 2), (None, 1), ("QSO", 1), ("Unknown", 1)]
    assert found[0]["first_mjd"] == 60000.0
    assert found[0]["last_mjd"] == 60001.0


def test_each_catalogue_is_matched_or_without_or_not_asked() -> None:
    alert = {
        "tns_separation": 0.5,
        "tns_name": "SN 2020oi",
        "tns_status": RUN,
        "gcvs_status": RUN,
        "vsx_separation": 0.1,
        "vsx_status": RUN,
    }
    found = matches(alert)
    assert [each["catalogue"] for each in found["found"]] == ["vsx", "tns"]
    assert found["found"][1]["columns"][0]["value"] == "SN 2020oi"
    assert [each["catalogue"] for each in found["without"]] == ["gcvs"]
    assert len(found["unasked"]) == len(catalogs.registry()) - 3
    assert all(each["reason"] for each in found["unasked"])


def test_a_host_that_is_missing_has_its_reason() -> None:
    assert "No catalogue of galaxies that was asked" in host({"host_status": RUN, "no_host_probability": 1.0})["missing"]
    assert "installed" in host({"host_status": RUN})["missing"]
    assert host({"host_status": RUN, "host_probability": 0.9, "host_name": "NGC 1"})["missing"] == ""


def test_neighbours_and_solar_system_show_what_the_packet_names() -> None:
    found = packet_neighbours({"gaia_separation": 1.5, "gaia_mag": 17.0}, COLUMNS)
    assert [each["name"] for each in found] == ["Gaia"]
    known = solar_system({"sso_name": "K20S88J", "sso_mag": 18.5}, COLUMNS)
    assert known["missing"] == ""
    assert known["columns"][1]["unit"] == "mag"
    assert solar_system({}, COLUMNS)["missing"]
