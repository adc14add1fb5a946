"""API keys and refresh tokens: random, of a fixed format, and hidden in reprs."""

import math
import re
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.identity.api_keys import PREFIX_LENGTH, ApiKey
from graph.identity.random_secrets import SECRET_LENGTH, hash_of, new_secret
from graph.identity.refresh_tokens import RefreshToken


def test_secrets_are_256_random_bits() -> None:
    secrets = [new_secret() for _ in range(200)]
    assert len(set(secrets)) == 200
    letters = set("".join(secrets))
    assert len(letters) == 62
    assert SECRET_LENGTH * math.log2(len(letters)) >= 256
    assert all(re.fullmatch(r"[0-9A-Za-z]{43}", secret) for secret in secrets)


def test_a_key_has_a_hash_and_a_prefix() -> None:
    key, other = ApiKey.new(), ApiKey.new()
    assert key.text.startswith(f"cg_{key.prefix}_")
    assert len(key.prefix) == PREFIX_LENGTH
    assert ApiKey.parse(key.text) == key
    assert key.hash == sha256(key.text.encode()).digest() != other.hash
    assert key.prefix != other.prefix
    swapped = ApiKey.parse(key.text.replace(key.prefix, other.prefix))
    assert swapped is not None
    assert swapped.hash != key.hash
    assert key.text not in repr(key)


def test_a_refresh_token_contains_its_session() -> None:
    secret, session = new_secret(), uuid4()
    token = RefreshToken(session, secret)
    assert token.text == f"cgr_{session.hex}_{secret}"
    assert RefreshToken.parse(token.text) == token
    assert token.hash == hash_of(secret)
    assert secret not in repr(token)


@pytest.mark.parametrize("change", ["{}x", "x{}", " {}", "{}\n", "{}" * 1000])
def test_malformed_texts_are_not_parsed(change: str) -> None:
    assert ApiKey.parse(change.format(*[ApiKey.new().text] * 1000)) is None
    assert RefreshToken.parse(change.format(*[RefreshToken(UUID(int=7), new_secret()).text] * 1000)) is None


@given(st.text(max_size=70) | st.from_regex(r"cgr?_[0-9a-zA-Zéà]{10,34}_[0-9A-Za-z٣]{42,44}", fullmatch=True))
def test_parsing_raises_no_error(text: str) -> None:
    key, token = ApiKey.parse(text), RefreshToken.parse(text)
    assert key is None or len(key.hash) == 32
    assert token is None or len(token.hash) == 32


def test_keys_and_tokens_are_not_confused() -> None:
    key, token = ApiKey.new().text, RefreshToken(uuid4(), new_secret()).text
    assert ApiKey.parse(token) is None
    assert RefreshToken.parse(key) is None
