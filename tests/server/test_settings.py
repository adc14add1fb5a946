"""Settings: read from the environment and .env, and validated."""

from pathlib import Path

import pytest

from server.settings import SettingsError, read_settings


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory without .env, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "CANDLEGRAPH_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_database_is_embedded_by_default() -> None:
    settings = read_settings()
    assert settings.database is None
    assert settings.redis is None
    assert settings.candlegraph_data_dir == Path(".candlegraph")


def test_the_environment_takes_precedence_over_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text(
        "LOG_LEVEL=warning\nDATABASE_POOL_SIZE=3\nCORS_ORIGINS=https://a.example, https://b.example\n"
    )
    monkeypatch.setenv("DATABASE_POOL_SIZE", "4")
    settings = read_settings()
    assert (settings.level, settings.database_pool_size) == ("WARNING", 4)
    assert settings.cors_origins == ["https://a.example", "https://b.example"]


@pytest.mark.parametrize(
    "url",
    ["postgres://u@h/d", "postgresql://u@h/d?channel_binding=require", "postgresql+asyncpg://u@h/d?sslmode=require"],
)
def test_usual_forms_of_a_database_url_are_accepted(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    database = read_settings().database
    assert database is not None
    assert database.drivername == "postgresql+asyncpg"
    assert set(database.query) <= {"ssl"}


INVALID = [
    ("DATABASE_URL", "mysql://u:hunter2@h/d", "Candlegraph supports PostgreSQL only, not mysql"),
    ("DATABASE_URL", "not a url, hunter2", "it is not a URL like postgresql://"),
    ("DATABASE_URL", "postgresql://u:hunter2@h/d?sslmode=maybe", "sslmode must be one of"),
    ("DATABASE_URL", "postgresql://u:p@h:hunter2/d", "it is not a URL like postgresql://"),
    ("DATABASE_URL", "postgresql://u:hunter2@h/d?shape=round", "its parameter shape is not supported"),
    ("REDIS_URL", "http://hunter2@h", "it is not a URL like redis://"),
    ("REDIS_URL", "redis://localhost:hunter2/0", "it is not a URL like redis://"),
    ("REDIS_URL", "redis://localhost/0?shape=round", "it is not a URL like redis://"),
    ("DATABASE_POOL_SIZE", "0", "greater than or equal to 1"),
    ("DATABASE_POOL_SIZE", "many", "valid integer"),
    ("REQUEST_TIMEOUT_SECONDS", "0", "greater than or equal to 0.1"),
    ("REQUEST_TIMEOUT_SECONDS", "nan", "less than or equal to 300"),
    ("REQUEST_TIMEOUT_SECONDS", "301", "less than or equal to 300"),
    ("SHUTDOWN_DELAY_SECONDS", "-1", "greater than or equal to 0"),
    ("LOG_LEVEL", "loud", "'DEBUG', 'INFO'"),
    ("ENVIRONMENT", "moon", "'development'"),
    ("SECRET_KEY", "hunter2", "at least 32"),
    ("SECRET_KEY_PREVIOUS", "hunter2", "at least 32"),
    ("AUTH_MODE", "hunter2", "'open' or 'required'"),
    ("INTROSPECTION", "hunter2", "valid boolean"),
    ("PRIVATE_PORT", "65536", "less than or equal to 65535"),
    ("CORS_ORIGINS", "https://a.example/hunter2", "an origin is like https://app.example.com"),
    ("CORS_ORIGINS", "null", "an origin is like https://app.example.com"),
]


@pytest.mark.parametrize(("name", "value", "message"), INVALID)
def test_an_error_names_the_setting_and_not_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        read_settings()
    assert f"  {name}: " in str(error.value)
    assert message in str(error.value)
    assert "hunter2" not in str(error.value)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@h/d")
    monkeypatch.setenv("SECRET_KEY", "hunter2" * 8)
    assert "hunter2" not in repr(read_settings())
