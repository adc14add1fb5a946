"""Whom the server lets in, by where it listens."""

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
# What is no address of this machine alone, or not known to be one.
EXPOSED = ["0.0.0.0", "::", "", "192.0.2.1", "::ffff:192.0.2.1", "[::1]", "localhost.example", "unix:/run/x", "/run/x"]


@pytest.fixture(autouse=True)
def undone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is settled for the processes of a server is no concern of other tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("AUTH_MODE", "SECRET_KEY", "ENVIRONMENT"):
        # Empty is as good as missing; what was there before comes back.
        monkeypatch.setenv(name, "")


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)


@pytest.mark.parametrize("host", LOOPBACK)
def test_on_this_machine_alone_it_is_open(host: str) -> None:
    assert resolve_exposure(settings(), host, insecure_open=False) == []
    decided = read_settings()
    assert decided.is_open
    assert len(decided.secrets[0]) >= 32


@pytest.mark.parametrize("host", EXPOSED)
def test_where_others_reach_it_people_sign_in(host: str) -> None:
    [warning] = resolve_exposure(settings(), host, insecure_open=False)
    assert warning == "SECRET_KEY is not set: sessions end when the server stops."
    assert read_settings().auth_mode == "required"
    assert resolve_exposure(settings(secret_key=SECRET_KEY), host, insecure_open=True) == []


@pytest.mark.parametrize("host", EXPOSED)
def test_where_others_reach_it_open_must_be_insisted_upon(host: str) -> None:
    with pytest.raises(SettingsError, match=r"AUTH_MODE=open lets every client .* --insecure-open"):
        resolve_exposure(settings(auth_mode="open"), host, insecure_open=False)
    assert read_settings().auth_mode is None
    [warning] = resolve_exposure(settings(auth_mode="open"), host, insecure_open=True)
    assert warning == f"Open: every client that reaches {host} can see and change everything."
    assert read_settings().is_open


def test_in_production_people_sign_in_wherever_it_listens() -> None:
    production = settings(environment="production", secret_key=SECRET_KEY)
    assert resolve_exposure(production, "127.0.0.1", insecure_open=False) == []
    assert read_settings().auth_mode == "required"


def test_in_production_a_key_must_be_given() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY must be set"):
        resolve_exposure(settings(environment="production"), "127.0.0.1", insecure_open=False)
    assert os.environ["SECRET_KEY"] == ""
    # However it is started.
    with pytest.raises(SettingsError, match="SECRET_KEY must be set"):
        create_app(settings(environment="production", auth_mode="open"))


def test_what_was_not_decided_is_not_open() -> None:
    assert not settings().is_open


@pytest.mark.parametrize(
    ("given", "arguments", "told"),
    [
        ({"AUTH_MODE": "open"}, ["--host", "0.0.0.0"], "Error: AUTH_MODE=open lets every client that reaches 0.0.0.0 "),
        ({"ENVIRONMENT": "production"}, [], "Error: In production, SECRET_KEY must be set: openssl rand -hex 32\n"),
    ],
)
def test_serve_refuses_in_one_line(tmp_path: Path, given: dict[str, str], arguments: list[str], told: str) -> None:
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
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []
