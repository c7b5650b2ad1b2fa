from __future__ import annotations

from pathlib import Path

import pytest

from zhilu.errors import SettingsError
from zhilu.home import Home
from zhilu.settings import DESCRIPTIONS, Settings, describe_settings, load_settings, store_setting, unset_setting


def test_file_below_env_below_flag_and_each_value_knows_its_source(own_home: Path) -> None:
    store_setting(Home(own_home), "port", 1111)
    store_setting(Home(own_home), "model", "from-file")
    store_setting(Home(own_home), "threads", "3")
    env = {"ZHILU_HOME": str(own_home), "ZHILU_PORT": "2222", "ZHILU_THREADS": "4"}
    settings = load_settings({"port": 3333, "host": None}, env)
    assert (settings.port, settings.threads, settings.model, settings.host) == (3333, 4, "from-file", "127.0.0.1")
    assert [settings.source_of(key) for key in ("port", "threads", "model", "host")] == [
        "flag",
        "env",
        "file",
        "default",
    ]


def test_all_mistakes_at_once_each_with_the_nearest_name(own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "settings.toml").write_text('prot = 3\nlang = "fr"\n')
    with pytest.raises(SettingsError) as caught:
        load_settings({}, {"ZHILU_HOME": str(own_home), "ZHILU_MODLE": "x", "ZHILU_THREADS": "-1"})
    text = caught.value.message.en
    assert "did you mean port" in text
    assert "ZHILU_MODLE" in text and "did you mean model" in text
    assert "lang" in text and "threads" in text
    assert "是不是 port" in caught.value.message.zh


def test_a_broken_file_says_which(own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "settings.toml").write_text("port = = 1")
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        load_settings()


def test_a_refused_value_leaves_the_file_as_it_was(own_home: Path) -> None:
    home = Home(own_home)
    store_setting(home, "port", 9000)
    before = home.settings_file.read_bytes()
    with pytest.raises(SettingsError):
        store_setting(home, "port", 70000)
    with pytest.raises(SettingsError):
        store_setting(home, "home", "/elsewhere")
    with pytest.raises(SettingsError):
        unset_setting(home, "nothing_like_it")
    assert home.settings_file.read_bytes() == before
    unset_setting(home, "port")
    assert load_settings().port == 8642


def test_secrets_are_masked_everywhere(own_home: Path) -> None:
    store_setting(Home(own_home), "api_key", "k" * 20)
    rows = {row["key"]: row for row in describe_settings(load_settings())}
    assert "k" not in str(rows["api_key"]["value"])
    with pytest.raises(SettingsError) as caught:
        load_settings({"api_key": "tooshort"})
    assert "tooshort" not in caught.value.message.en


def test_every_setting_is_described_in_both_languages() -> None:
    assert set(DESCRIPTIONS) == set(Settings.model_fields)
    assert all(text.en and text.zh and text.en != text.zh for text in DESCRIPTIONS.values())


def test_variables_of_other_meaning_are_not_taken_for_settings(own_home: Path) -> None:
    assert load_settings({}, {"ZHILU_HOME": str(own_home), "ZHILU_DATA": "/data", "ZHILU_KILLS": "3"}).port == 8642


def test_a_password_in_a_url_is_shown_nowhere(own_home: Path) -> None:
    url = "https://anna:s3cret@models.example/v1"
    store_setting(Home(own_home), "base_url", url)
    settings = load_settings()
    assert settings.base_url == url  # what is used
    rows = {row["key"]: row for row in describe_settings(settings)}
    assert rows["base_url"]["value"] == "https://***@models.example/v1"
    with pytest.raises(SettingsError) as caught:
        load_settings({"base_url": "ftp://anna:s3cret@models.example"})
    assert "s3cret" not in str(caught.value.message) and "anna" not in str(caught.value.message)
    with pytest.raises(SettingsError, match="whole URL"):
        store_setting(Home(own_home), "base_url", rows["base_url"]["value"])  # what the page shows, sent back
    assert load_settings().base_url == url
