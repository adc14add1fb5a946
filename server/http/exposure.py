"""Decides, before the server starts, whether AUTH_MODE=open is allowed on the address that it listens on."""

import secrets
from ipaddress import ip_address

from server.settings import Settings, SettingsError, export_to_workers


def resolve_exposure(settings: Settings, host: str, *, insecure_open: bool) -> list[str]:
    """Set AUTH_MODE and SECRET_KEY, if they are not set, for all processes that serve. Returns warnings to show.

    Raises SettingsError if the server would be open to other machines, or has no key in production.
    """
    mode = settings.auth_mode or ("open" if is_loopback(host) and not settings.is_production else "required")
    is_exposed = mode == "open" and not is_loopback(host)
    if is_exposed and not insecure_open:
        raise SettingsError(
            f"AUTH_MODE=open lets every client that reaches {host} see and change everything. Set AUTH_MODE=required,"
            " listen on 127.0.0.1, or pass --insecure-open if that is what you want."
        )
    check_secret(settings)
    export_to_workers(auth_mode=mode)
    warnings = [f"Open: every client that reaches {host} can see and change everything."] if is_exposed else []
    if settings.secret_key is None:
        # The same for all workers.
        export_to_workers(secret_key=secrets.token_hex(32))
        if mode == "required":
            warnings.append("SECRET_KEY is not set: sessions end when the server stops.")
    return warnings


def check_secret(settings: Settings) -> None:
    """Raises SettingsError in production without a SECRET_KEY: tokens must stay valid when the server restarts."""
    if settings.is_production and settings.secret_key is None:
        raise SettingsError("In production, SECRET_KEY must be set: openssl rand -hex 32")


def private_address(settings: Settings, port: int) -> tuple[str, int] | None:
    """The host and port of the private listener; None without one. Raises SettingsError."""
    if settings.private_port == port:
        raise SettingsError(f"PRIVATE_PORT must differ from {port}, the public port.")
    return None if settings.private_port is None else (settings.private_host, settings.private_port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
