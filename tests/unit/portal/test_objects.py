"""The pages of objects answer people and programs; what they offer to be run runs."""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from fink.cli.application import run
from fink.portal.objects import by_wavelength, decimals, quantity
from unit.api.conftest import Served

SURVEYS = ("ztf", "lsst")


def name_of(served: Served, survey: str) -> str:
    names = served.archive.object_names("", survey, 100)
    return max(names, key=lambda name: served.archive.object_alerts(name, survey).num_rows)


@pytest.mark.parametrize("survey", SURVEYS)
def test_the_twin_holds_what_the_page_shows(survey: str, served: Served) -> None:
    name = name_of(served, survey)
    twin = served.client.get(f"/{survey}/object/{name}", params={"format": "json"}).json()
    text = served.client.get(f"/{survey}/object/{name}").text
    assert twin["object_id"] == name
    for shown in (
        name,
        twin["position"]["sexagesimal"],
        *(each["alert_id"] for each in twin["alerts"]),
        *(each["name"] for each in twin["links"]),
    ):
        assert shown in text
    for group in twin["columns"]:
        assert all(f"<code>{each['name']}</code>" in text for each in group["columns"])


@pytest.mark.parametrize("survey", SURVEYS)
def test_stamps_and_downloads_are_there(survey: str, served: Served) -> None:
    twin = served.client.get(f"/{survey}/object/{name_of(served, survey)}", params={"format": "json"}).json()
    for stamp in twin["cutouts"]:
        assert served.client.get(stamp["url"]).headers["content-type"] == "image/png"
    for download in twin["downloads"]:
        assert served.client.get(download["url"]).status_code == 200
    for link in twin["links"]:
        if link["url"].startswith("/"):
            assert served.client.get(link["url"]).status_code == 200


@pytest.mark.parametrize("survey", SURVEYS)
def test_snippets_run_as_they_are(survey: str, served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = name_of(served, survey)
    twin = served.client.get(f"/{survey}/object/{name}", params={"format": "json"}).json()
    code = {each["name"]: each["code"] for each in twin["snippets"]}
    alerts = len(twin["alerts"])

    program = subprocess.run([sys.executable, "-c", code["Python"]], capture_output=True, text=True, check=True)
    assert len(program.stdout.splitlines()) >= alerts

    if shutil.which("curl"):
        subprocess.run(code["curl"], shell=True, cwd=tmp_path, check=True)
        assert pl.read_csv(tmp_path / f"{name}.csv", infer_schema_length=None).height == alerts

    words = shlex.split(code["SQL"])
    assert run([*words[1:], "--archive", str(served.archive.folder), "--format", "csv"]) == 0
    assert pl.read_csv(io.StringIO(capsys.readouterr().out)).height == alerts


def test_the_snippets_of_a_body_run(served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = served.archive.designations("", 1)[0]
    twin = served.client.get(f"/sso/{name}", params={"format": "json"}).json()
    code = {each["name"]: each["code"] for each in twin["snippets"]}
    assert run([*shlex.split(code["SQL"])[1:], "--archive", str(served.archive.folder), "--format", "csv"]) == 0
    assert pl.read_csv(io.StringIO(capsys.readouterr().out)).height == len(twin["alerts"])
    if shutil.which("curl"):
        subprocess.run(code["curl"], shell=True, cwd=tmp_path, check=True)
        mine = [each for each in twin["alerts"] if each["survey"] == twin["survey"]]
        assert pl.read_csv(next(tmp_path.iterdir()), infer_schema_length=None).height == len(mine)
    for download in twin["downloads"]:
        assert served.client.get(download["url"]).status_code == 200


def test_what_is_not_there_is_said_with_the_right_status(served: Served) -> None:
    name = name_of(served, "ztf")
    for address in ("/ztf/object/ZTF00nothing", f"/ztf/object/{name}?alert=12", "/ztf/object/ZTF00nothing/sky", "/sso/Vulcan"):
        assert served.client.get(address).status_code == 404, address
    assert served.client.get(f"/ztf/object/{name}?alert=twelve").status_code == 400


def test_only_the_sky_view_lets_something_from_outside_in(served: Served) -> None:
    name = name_of(served, "ztf")
    policy = {
        path: served.client.get(path).headers["content-security-policy"] for path in (f"/ztf/object/{name}", f"/ztf/object/{name}/sky")
    }
    plain, sky = policy.values()
    assert "https:" not in plain
    assert "https://aladin.cds.unistra.fr" in sky
    assert "frame-ancestors 'self'" in sky


def test_values_are_written_for_readers() -> None:
    assert [quantity(value) for value in (None, True, False, 7, "QSO")] == ["–", "yes", "no", "7", "QSO"]
    assert [quantity(value) for value in (0.0052, 2457000.4, 1.5e-20)] == ["0.0052", "2,457,000", "1.5e-20"]
    assert [decimals(value) for value in (None, 18.605, -0.5)] == ["–", "18.61", "-0.50"]
    assert by_wavelength(["z", "g", "r", "g"]) == ["g", "r", "z"]
