"""Settings: typed, from file, environment and command line, unknown keys refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fink.config import Settings, load_settings, setting_names
from fink.errors import ConfigError


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fink.toml"
    file.write_text('archive = "from-file"\n[run]\nworkers = 3\ntimeout = 50\n[batch]\nalerts = 7\n')
    monkeypatch.setenv("FINK_ARCHIVE", "from-environment")
    monkeypatch.setenv("FINK_RUN__TIMEOUT", "60")
    settings = load_settings(file, {"run.timeout": 70})
    assert (settings.archive, settings.run.workers, settings.run.timeout, settings.batch.alerts) == (Path("from-environment"), 3, 70, 7)


def test_unknown_keys_are_refused_with_the_nearest_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fink.toml"
    file.write_text("[run]\nworkres = 3\n")
    with pytest.raises(ConfigError, match=r"run.workres; did you mean run.workers"):
        load_settings(file)
    with pytest.raises(ConfigError, match=r"did you mean batch.alerts"):
        load_settings(None, {"batch.alert": 3})
    monkeypatch.setenv("FINK_RUN__WORKRES", "3")
    with pytest.raises(ConfigError, match="FINK_RUN__WORKERS"):
        load_settings(None)


def test_bad_values_name_the_setting_and_the_value(tmp_path: Path) -> None:
    file = tmp_path / "fink.toml"
    file.write_text('[retention]\npackets = "some"\n')
    with pytest.raises(ConfigError, match=r"retention.packets = 'some'.*last:50GB"):
        load_settings(file)
    with pytest.raises(ConfigError, match="no settings file"):
        load_settings(tmp_path / "none.toml")
    file.write_text("[run\n")
    with pytest.raises(ConfigError, match="not TOML"):
        load_settings(file)


def test_every_setting_says_what_it_is() -> None:
    for name in setting_names():
        section, _, key = name.partition(".")
        info = Settings.model_fields[section]
        if key:
            assert isinstance(info.annotation, type)
            info = info.annotation.model_fields[key]
        assert info.description, name


def test_clusters_have_names_and_their_passwords_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fink.toml"
    file.write_text('[kafka_in]\nstart = "latest"\n[kafka_in.clusters.lsst]\nservers = "l:9"\nprotocol = "sasl_ssl"\nusername = "me"\n')
    monkeypatch.setenv("FINK_KAFKA_IN__CLUSTERS__LSST__PASSWORD", "secret")
    settings = load_settings(file, {"kafka_in.outage": 5}).kafka_in
    lsst = settings.cluster("lsst")
    assert (lsst.start, lsst.outage, lsst.servers, lsst.client()["sasl.password"]) == ("latest", 5, "l:9", "secret")
    assert "secret" not in repr(settings)
    assert settings.cluster("broker:9092") is settings
    monkeypatch.setenv("FINK_KAFKA_IN__CLUSTERS__LSST__PASSWRD", "secret")
    with pytest.raises(ConfigError, match=r"no setting kafka_in\.clusters\.lsst\.passwrd"):
        load_settings(file)


@pytest.mark.parametrize("start", ["yesterday", "-1", "1.5"])
def test_where_topics_begin_is_checked(start: str) -> None:
    with pytest.raises(ConfigError, match=r"kafka_in\.start = .*earliest, latest, a time"):
        load_settings(None, {"kafka_in.start": start})
