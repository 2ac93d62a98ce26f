"""Settings come from the environment and the command line, and refuse what is unsafe."""

from dataclasses import fields
from pathlib import Path

import pytest

from server.settings import Settings, SettingsError

TOKEN_SHA256 = "ab" * 32


def test_defaults_are_safe() -> None:
    """Without a token the agent listens on loopback, without TLS."""
    settings = Settings.from_env({})
    assert (settings.host, settings.serves_tls) == ("127.0.0.1", False)


def test_a_token_opens_the_network_and_brings_tls() -> None:
    """With a token the agent listens everywhere, encrypted."""
    settings = Settings.from_env({"EDGERUN_TOKEN_SHA256": TOKEN_SHA256})
    assert (settings.host, settings.serves_tls) == ("0.0.0.0", True)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"EDGERUN_HOST": "0.0.0.0"}, "without a token"),
        ({"EDGERUN_HOST": "192.0.2.1"}, "without a token"),
        ({"EDGERUN_TOKEN_SHA256": TOKEN_SHA256, "EDGERUN_TLS": "off"}, "without TLS"),
        ({"EDGERUN_TOKEN_SHA256": "secret"}, "never the token itself"),
        ({"EDGERUN_WORKERS": "0"}, "EDGERUN_WORKERS must be at least 1"),
        ({"EDGERUN_WORKERS": "many"}, "EDGERUN_WORKERS"),
        ({"EDGERUN_PORT": "70000"}, "EDGERUN_PORT"),
        ({"EDGERUN_DEVICE": "a GPU"}, "EDGERUN_DEVICE takes CPU"),
        ({"EDGERUN_TLS": "maybe"}, "on or off"),
        ({"EDGERUN_REQUEST_TIMEOUT_S": "nan"}, "EDGERUN_REQUEST_TIMEOUT_S"),
    ],
)
def test_unsafe_and_unreadable_settings_are_refused_by_name(environment: dict[str, str], complaint: str) -> None:
    """The message names the setting and what it may be."""
    with pytest.raises(SettingsError, match=complaint):
        Settings.from_env(environment)


def test_tls_may_be_off_on_loopback() -> None:
    """Behind an SSH tunnel the token does not cross a network."""
    environment = {"EDGERUN_TOKEN_SHA256": TOKEN_SHA256, "EDGERUN_TLS": "off", "EDGERUN_HOST": "127.0.0.1"}
    assert not Settings.from_env(environment).serves_tls


def test_options_win_over_the_environment() -> None:
    """--workers beats EDGERUN_WORKERS, and the complaint names what was used."""
    assert Settings.from_env({"EDGERUN_WORKERS": "3"}, workers="1").workers == 1
    with pytest.raises(SettingsError, match="--workers"):
        Settings.from_env({"EDGERUN_WORKERS": "3"}, workers="x")


def test_every_setting_has_help_and_parses_its_own_text(tmp_path: Path) -> None:
    """Help is complete, so `server --help` is."""
    assert all(spec.metadata["help"] for spec in fields(Settings))
    assert Settings.from_env({"EDGERUN_DATA": str(tmp_path)}).data == tmp_path


def test_settings_do_not_change() -> None:
    """A setting cannot be changed behind the agent's back."""
    with pytest.raises(AttributeError):
        Settings.from_env({}).port = 1  # type: ignore[misc]
