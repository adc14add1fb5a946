"""AUTH_MODE and SECRET_KEY, as they follow from the address that the server listens on."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from server.app import create_app
from server.http.exposure import resolve_exposure
from server.settings import Settings, SettingsError, read_settings
from tests.people import SECRET_KEY
from tests.server.cli.test_cli import COMMAND, environment

LOOPBACK = ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LocalHost"]
# Addresses that other machines reach, or may reach.
EXPOSED = ["0.0.0.0", "::", "", "192.0.2.1", "::ffff:192.0.2.1", "[::1]", "localhost.example", "unix:/run/x", "/run/x"]


@pytest.fixture(autouse=True)
def restored_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings that are exported to the processes of a server do not reach other tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("AUTH_MODE", "SECRET_KEY", "ENVIRONMENT"):
        # Empty counts as missing; monkeypatch restores the value at the end.
        monkeypatch.setenv(name, "")


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)


@pytest.mark.parametrize("host", LOOPBACK)
def test_on_a_loopback_address_the_server_is_open(host: str) -> None:
    assert resolve_exposure(settings(), host, insecure_open=False) == []
    decided = read_settings()
    assert decided.is_open
    assert len(decided.secrets[0]) >= 32


@pytest.mark.parametrize("host", EXPOSED)
def test_on_other_addresses_authentication_is_required(host: str) -> None:
    [warning] = resolve_exposure(settings(), host, insecure_open=False)
    assert warning == "SECRET_KEY is not set: sessions end when the server stops."
    assert read_settings().auth_mode == "required"
    assert resolve_exposure(settings(secret_key=SECRET_KEY), host, insecure_open=True) == []


@pytest.mark.parametrize("host", EXPOSED)
def test_on_other_addresses_open_needs_a_flag(host: str) -> None:
    with pytest.raises(SettingsError, match=r"AUTH_MODE=open lets every client .* --insecure-open"):
        resolve_exposure(settings(auth_mode="open"), host, insecure_open=False)
    assert read_settings().auth_mode is None
    [warning] = resolve_exposure(settings(auth_mode="open"), host, insecure_open=True)
    assert warning == f"Open: every client that reaches {host} can see and change everything."
    assert read_settings().is_open


def test_in_production_authentication_is_required_on_any_address() -> None:
    production = settings(environment="production", secret_key=SECRET_KEY)
    assert resolve_exposure(production, "127.0.0.1", insecure_open=False) == []
    assert read_settings().auth_mode == "required"


def test_in_production_a_key_must_be_given() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY must be set"):
        resolve_exposure(settings(environment="production"), "127.0.0.1", insecure_open=False)
    assert os.environ["SECRET_KEY"] == ""
    # Also without `candlegraph serve`.
    with pytest.raises(SettingsError, match="SECRET_KEY must be set"):
        create_app(settings(environment="production", auth_mode="open"))


def test_without_a_decision_the_server_is_not_open() -> None:
    assert not settings().is_open


@pytest.mark.parametrize(
    ("given", "arguments", "message"),
    [
        ({"AUTH_MODE": "open"}, ["--host", "0.0.0.0"], "Error: AUTH_MODE=open lets every client that reaches 0.0.0.0 "),
        ({"ENVIRONMENT": "production"}, [], "Error: In production, SECRET_KEY must be set: openssl rand -hex 32\n"),
    ],
)
def test_serve_fails_with_one_line(tmp_path: Path, given: dict[str, str], arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [*COMMAND, "serve", *arguments],
        cwd=tmp_path,
        env=environment() | given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []
