"""Whom the server lets in, decided by where it listens: before it does."""

import secrets
from ipaddress import ip_address

from server.settings import Settings, SettingsError, export_to_workers


def decide(settings: Settings, host: str, *, insecure_open: bool) -> list[str]:
    """Settle AUTH_MODE and SECRET_KEY, where they are left open, for all processes that serve; what people should know.

    Raises SettingsError where the server would be open to others, or has no key in production.
    """
    mode = settings.auth_mode or ("open" if is_loopback(host) and not settings.is_production else "required")
    is_exposed = mode == "open" and not is_loopback(host)
    if is_exposed and not insecure_open:
        raise SettingsError(
            f"AUTH_MODE=open lets everybody who reaches {host} see and change everything. Set AUTH_MODE=required,"
            " listen on 127.0.0.1, or say --insecure-open if that is what you want."
        )
    check_secret(settings)
    export_to_workers(auth_mode=mode)
    warnings = [f"Open: everybody who reaches {host} can see and change everything."] if is_exposed else []
    if settings.secret_key is None:
        # One for all workers.
        export_to_workers(secret_key=secrets.token_hex(32))
        if mode == "required":
            warnings.append("SECRET_KEY is not set: sessions end when the server does.")
    return warnings


def check_secret(settings: Settings) -> None:
    """Raises SettingsError where what is signed should outlive the server, and nothing is there to sign with."""
    if settings.is_production and settings.secret_key is None:
        raise SettingsError("In production, SECRET_KEY must be set: openssl rand -hex 32")


def private_address(settings: Settings, port: int) -> tuple[str, int] | None:
    """Where to listen beside the public port, if anywhere. Raises SettingsError."""
    if settings.private_port == port:
        raise SettingsError(f"PRIVATE_PORT must be another than {port}, which is public.")
    return None if settings.private_port is None else (settings.private_host, settings.private_port)


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
