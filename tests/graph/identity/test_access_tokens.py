"""Access tokens: only unexpired tokens with our signature, issuer and audience are accepted."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.identity import access_tokens
from graph.identity.access_tokens import LEEWAY_SECONDS, MAX_LENGTH, AccessTokens, InvalidToken

SECRET, OTHER = "s" * 32, "t" * 40
SESSION = uuid4()
TOKENS = AccessTokens([SECRET])
CLAIMS = jwt.decode(TOKENS.issue(7, SESSION), options={"verify_signature": False})


def key() -> tuple[str, bytes]:
    """The signing key, with which tests sign other claims."""
    return next(iter(TOKENS._keys.items()))


def signed(claims: dict[str, Any], **header: Any) -> str:
    kid, secret = key()
    payload = json.dumps(claims).encode()
    return jwt.api_jws.encode(payload, secret, "HS256", {"kid": kid} | header)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def reason(token: str, tokens: AccessTokens = TOKENS) -> str:
    with pytest.raises(InvalidToken) as rejected:
        tokens.read(token)
    assert rejected.value.__cause__ is None
    return rejected.value.reason


def test_a_token_contains_its_user_session_and_expiry() -> None:
    for _ in range(2):
        claims = TOKENS.read(TOKENS.issue(7, SESSION))
        assert (claims.user_id, claims.session_id) == (7, SESSION)
        assert abs(claims.expires_at - datetime.now(UTC) - timedelta(seconds=600)) < timedelta(seconds=3)
    assert TOKENS.read(signed(CLAIMS)).user_id == 7, "the claims of the tests below are valid before they change them"


def test_the_header_identifies_the_key_and_does_not_reveal_the_secret() -> None:
    header = jwt.get_unverified_header(TOKENS.issue(7, SESSION))
    assert header.keys() == {"alg", "kid", "typ"}
    assert len(header["kid"]) == 8
    assert AccessTokens([SECRET])._kid == header["kid"] != AccessTokens([OTHER])._kid
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(TOKENS.issue(7, SESSION), SECRET, ["HS256"], audience="candlegraph")


def test_secrets_can_be_rotated() -> None:
    both = AccessTokens([OTHER, SECRET])
    assert both.read(TOKENS.issue(7, SESSION)).user_id == 7
    assert reason(both.issue(7, SESSION)) == "invalid"
    assert AccessTokens([OTHER]).read(both.issue(7, SESSION)).user_id == 7
    assert reason(TOKENS.issue(7, SESSION), AccessTokens([OTHER])) == "invalid"
    with pytest.raises(ValueError, match="without a secret"):
        AccessTokens([])


def test_a_token_in_the_cache_of_verified_tokens_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason(AccessTokens([SECRET], lifetime_seconds=-LEEWAY_SECONDS - 1).issue(7, SESSION)) == "expired"
    token = TOKENS.issue(7, SESSION)
    assert TOKENS.read(token)
    late = time.time() + 600 + LEEWAY_SECONDS
    monkeypatch.setattr(access_tokens.time, "time", lambda: late - 2)
    assert TOKENS.read(token)
    monkeypatch.setattr(access_tokens.time, "time", lambda: late)
    assert reason(token) == "expired"


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "iat", "exp"])
def test_every_claim_is_required(claim: str) -> None:
    assert reason(signed({name: value for name, value in CLAIMS.items() if name != claim})) == "invalid"
    assert reason(signed(CLAIMS | {claim: None})) == "invalid"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"aud": ["candlegraph"]},
        {"sub": "0"},
        {"sub": "-7"},
        {"sub": "7 "},
        {"sub": "\u0667"},
        {"sub": "9" * 20},
        {"sid": 7},
        {"sid": str(SESSION).upper()},
        {"sid": "x" * 32},
        {"iat": int(time.time()) + 3600},
        {"iat": "soon"},
        {"nbf": int(time.time()) + 3600},
        {"exp": "late"},
        {"exp": 1e300},
        {"exp": 2.5e9},
        {"exp": 10**18},
    ],
    ids=" ".join,
)
def test_claims_that_this_server_does_not_issue_are_rejected(claims: dict[str, Any]) -> None:
    assert reason(signed(CLAIMS | claims)) == "invalid"


def test_other_algorithms_are_rejected() -> None:
    _, secret = key()
    _, payload, signature = signed(CLAIMS).split(".")
    for algorithm in ("none", "None", "NONE", "", "RS256", "ES256", "HS384", None, 5, ["HS256"]):
        forged = encoded({"alg": algorithm, "kid": key()[0], "typ": "JWT"})
        for end in ("", signature):
            assert reason(f"{forged}.{payload}.{end}") == "invalid"
    for algorithm in ("HS384", "HS512"):
        # PyJWT warns that these algorithms need longer keys.
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            token = jwt.encode(CLAIMS, secret, algorithm, {"kid": key()[0]})
        assert reason(token) == "invalid"


@pytest.mark.parametrize("kid", ["00000000", "", None, 5, [], {}, "../../dev/null"], ids=str)
def test_other_keys_are_rejected(kid: object) -> None:
    _, payload, signature = signed(CLAIMS).split(".")
    assert reason(f"{encoded({'alg': 'HS256', 'kid': kid})}.{payload}.{signature}") == "invalid"
    assert reason(f"{encoded({'alg': 'HS256'})}.{payload}.{signature}") == "invalid"


def test_critical_header_extensions_are_rejected() -> None:
    assert reason(signed(CLAIMS, crit=["exp"])) == "invalid"
    header = encoded({"alg": "HS256", "kid": key()[0], "b64": False, "crit": ["b64"]})
    assert reason(f"{header}..{signed(CLAIMS).split('.')[2]}") == "invalid"


def test_a_changed_character_makes_a_token_invalid() -> None:
    token = signed(CLAIMS)
    for place, character in enumerate(token):
        for other in {"A", "B", "", "=", ".", "é", "\ud800", "\0"} - {character}:
            assert reason(token[:place] + other + token[place + 1 :]) == "invalid"
    assert reason(f"{token}=") == "invalid"


def test_malformed_tokens_are_rejected() -> None:
    nested = base64.urlsafe_b64encode(b'{"alg":' * 100 + b"[" * 600).decode().rstrip("=")
    for text in (
        "",
        ".",
        "..",
        "...",
        "x",
        "cg_abcdefghijkl_x",
        f"{nested[:900]}.e30.AAAA",
        "e30.e30.e30",
        "bnVsbA.e30.",
    ):
        assert reason(text) == "invalid"


def test_long_tokens_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    long = signed(CLAIMS | {"more": "x" * MAX_LENGTH})
    monkeypatch.setattr(jwt, "decode", None)
    monkeypatch.setattr(jwt, "get_unverified_header", None)
    assert reason(long) == "invalid"


@given(st.text(max_size=40) | st.lists(st.binary(max_size=60), max_size=4))
def test_random_texts_are_rejected(made: str | list[bytes]) -> None:
    parts = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in made] if isinstance(made, list) else [made]
    assert reason(".".join(parts)) == "invalid"


def test_large_user_ids_and_small_session_ids_are_preserved() -> None:
    session = UUID(int=1)
    assert TOKENS.read(TOKENS.issue(2**63 - 1, session)).session_id == session
