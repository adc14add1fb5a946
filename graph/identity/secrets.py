"""Secrets that we make: API keys, and the refresh tokens of sessions.

They are random, 256 bits of it, so nobody finds them by trying, and what is stored is a plain hash: one that is slow,
as for passwords, would cost each request a tenth of a second, and protect nothing that can be guessed.

    API key          cg_<prefix>_<secret>     the prefix is stored as it is, for people
    refresh token    cgr_<session>_<secret>
"""

import hashlib
import re
import secrets
from typing import NamedTuple
from uuid import UUID

SECRET_BYTES = 32
PREFIX_BYTES = 5
API_KEY = re.compile(r"cg_([0-9a-f]{10})_[0-9a-f]{64}", re.ASCII)
REFRESH_TOKEN = re.compile(r"cgr_([0-9a-f]{32})_[0-9a-f]{64}", re.ASCII)


class NewApiKey(NamedTuple):
    text: str
    prefix: str
    hash: bytes


def new_api_key() -> NewApiKey:
    prefix = secrets.token_hex(PREFIX_BYTES)
    text = f"cg_{prefix}_{secrets.token_hex(SECRET_BYTES)}"
    return NewApiKey(text, prefix, hash_of(text))


def is_api_key(text: str) -> bool:
    return API_KEY.fullmatch(text) is not None


def new_refresh_token(session_id: UUID) -> str:
    return f"cgr_{session_id.hex}_{secrets.token_hex(SECRET_BYTES)}"


def session_of(refresh_token: str) -> UUID | None:
    """The session that a refresh token says it is of; None for what is no such token."""
    form = REFRESH_TOKEN.fullmatch(refresh_token)
    return None if form is None else UUID(form[1])


def hash_of(text: str) -> bytes:
    """What is stored of a secret, and looked for."""
    return hashlib.sha256(text.encode()).digest()
