"""The settings: the only module that reads the environment. Other modules receive values from create_app()."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cache.redis import check_url
from db.engine import DatabaseUrl, driver_url

# Default rate limits with AUTH_MODE=required, in points per minute.
SIGNED_IN_POINTS, ANONYMOUS_POINTS = 600_000.0, 60_000.0
# The form of the Origin header.
ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+", re.ASCII)


class SettingsError(Exception):
    """The environment or .env holds invalid values; the message has a line for each."""


class Settings(BaseSettings):
    """Read from environment variables, then from .env in the working directory; names there are in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    database_url: SecretStr | None = None
    database_pool_size: int = Field(default=10, ge=1, le=500)
    database_max_overflow: int = Field(default=0, ge=0, le=500)
    request_timeout_seconds: float = Field(default=10, ge=0.1, le=300)
    shutdown_delay_seconds: float = Field(default=0, ge=0, le=300)
    redis_url: SecretStr | None = None
    redis_max_connections: int = Field(default=50, ge=1, le=10_000)
    cache_enabled: bool = True
    cache_memory_mb: int = Field(default=64, ge=0, le=65_536)
    apq: bool = True
    trusted_documents: Path | None = None
    cors_origins: Annotated[list[str], NoDecode] = Field(default_factory=list)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    debug: bool = False
    environment: Literal["development", "test", "staging", "production"] = "development"
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    secret_key_previous: SecretStr | None = Field(default=None, min_length=32)
    # None: open on a loopback address, required on any other; see server/http/exposure.py.
    auth_mode: Literal["open", "required"] | None = None
    # None: False in production, otherwise True.
    introspection: bool | None = None
    graphiql: bool | None = None
    rate_limit: float | None = Field(default=None, gt=0)
    rate_limit_anonymous: float | None = Field(default=None, gt=0)
    max_cost: float = Field(default=200_000, gt=0)
    private_port: int | None = Field(default=None, ge=1, le=65_535)
    private_host: str = "127.0.0.1"
    candlegraph_data_dir: Path = Path(".candlegraph")

    @property
    def database(self) -> DatabaseUrl | None:
        """The URL of the database; None for the embedded one."""
        return driver_url(self.database_url.get_secret_value()) if self.database_url else None

    @property
    def is_open(self) -> bool:
        """Whether every caller has all rights."""
        return self.auth_mode == "open"

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def shows_schema(self) -> bool:
        return not self.is_production if self.introspection is None else self.introspection

    @property
    def shows_graphiql(self) -> bool:
        return not self.is_production if self.graphiql is None else self.graphiql

    @property
    def points_a_minute(self) -> tuple[float | None, float | None]:
        """Rate limits of a user, and of an address without a user; None: no limit."""
        usual = (None, None) if self.is_open else (SIGNED_IN_POINTS, ANONYMOUS_POINTS)
        return self.rate_limit or usual[0], self.rate_limit_anonymous or usual[1]

    @property
    def needs_preflight(self) -> bool:
        """Whether queries by GET need a header that pages of other sites cannot send without a preflight."""
        return self.is_production or not self.is_open

    @property
    def secrets(self) -> list[str]:
        """The key that signs, then keys that only verify."""
        return [key.get_secret_value() for key in (self.secret_key, self.secret_key_previous) if key is not None]

    @property
    def level(self) -> str:
        return "DEBUG" if self.debug else self.log_level

    @property
    def redis(self) -> str | None:
        return self.redis_url.get_secret_value() if self.redis_url else None

    @field_validator("database_url")
    @classmethod
    def _must_be_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            driver_url(url.get_secret_value())
        return url

    @field_validator("redis_url")
    @classmethod
    def _must_be_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            check_url(url.get_secret_value())
        return url

    @field_validator("trusted_documents")
    @classmethod
    def _must_exist(cls, path: Path | None) -> Path | None:
        if path is not None and not os.path.exists(path):
            raise ValueError(f"there is no directory and no file at {path}")
        return path

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, origins: Any) -> Any:
        return (
            [origin.strip() for origin in origins.split(",") if origin.strip()] if isinstance(origins, str) else origins
        )

    @field_validator("cors_origins")
    @classmethod
    def _must_be_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ValueError("an origin is like https://app.example.com, without a path; * is any")
        return origins

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, level: Any) -> Any:
        return level.upper() if isinstance(level, str) else level


def export_to_workers(**settings: str) -> None:
    """Set these settings in the environment, for this process and the worker processes that it starts."""
    os.environ.update({name.upper(): value for name, value in settings.items()})


def read_settings(*, data_dir: Path | None = None) -> Settings:
    """The settings. data_dir overrides the environment, also in worker processes. Raises SettingsError."""
    if data_dir is not None:
        os.environ["CANDLEGRAPH_DATA_DIR"] = str(data_dir)
    try:
        return Settings()
    except ValidationError as error:
        # The message does not contain the values, which may be secrets.
        lines = [
            f"  {str(part['loc'][0]).upper()}: {part['msg'].removeprefix('Value error, ')}" for part in error.errors()
        ]
        raise SettingsError("\n".join(["Invalid settings:", *lines])) from None
