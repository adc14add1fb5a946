"""A small world: two users and an administrator, rows of each, and rows without an owner.

The answers of a principal are compared with those of a smaller world, a copy without the rows that are invisible to the
principal: a viewer who sees all of the smaller world must get the same answers.
"""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from db.engine import Database
from db.models import Base
from db.models.base import access_of
from db.settle import settle
from graph.identity.access_tokens import AccessTokens
from graph.identity.api_keys import ApiKey

SECRET = "a secret of the matrix, long enough to be taken"
# Settings of a server that authenticates callers, with limits that no test reaches.
REQUIRED: dict[str, Any] = {
    "auth_mode": "required",
    "secret_key": SECRET,
    "rate_limit": 1e9,
    "rate_limit_anonymous": 1e9,
}
ANN, BEN, ROOT = 1, 2, 3
USERS = {ANN: "ann", BEN: "ben", ROOT: "root"}
# API keys by primary key: owner and scope.
KEYS = {
    1: (ANN, "READ"),
    2: (ANN, "WRITE"),
    3: (BEN, "READ"),
    4: (ROOT, "READ"),
    5: (ROOT, "WRITE"),
    6: (ROOT, "ADMIN"),
}


class Principal(NamedTuple):
    """A user, or an anonymous caller, with the credentials of its requests. sees_all: it sees rows of every user."""

    name: str
    authorization: str | None
    user_id: int | None
    sees_all: bool = False

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.authorization is None else {"authorization": self.authorization}

    @property
    def world(self) -> str:
        """The smaller world with the rows that it may see."""
        return "everything" if self.sees_all else f"of_{USERS.get(self.user_id or 0, 'anonymous')}"


def api_key(key: int) -> str:
    return f"cg_{key:012}_{key:043}"


def session_of(user_id: int) -> UUID:
    return UUID(int=user_id)


def access_token(user_id: int) -> str:
    # Issued once, when the tests are collected, so it must not expire in a slow run.
    return AccessTokens([SECRET], lifetime_seconds=5 * 3600).issue(user_id, session_of(user_id))


def by_token(user_id: int) -> Principal:
    return Principal(f"{USERS[user_id]}", f"Bearer {access_token(user_id)}", user_id, user_id == ROOT)


def by_key(key: int) -> Principal:
    user_id, scope = KEYS[key]
    return Principal(f"{USERS[user_id]}, {scope} key", f"Bearer {api_key(key)}", user_id, scope == "ADMIN")


def principals() -> list[Principal]:
    return [Principal("anonymous", None, None), *map(by_token, USERS), *map(by_key, KEYS)]


PUBLIC = """
INSERT INTO cryptocurrencies (symbol, name, base_interval, created_at, updated_at)
SELECT symbol, symbol, 'H1', @day, @day FROM unnest(ARRAY['AAA', 'BBB']) symbol;
INSERT INTO market_data (cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume,
    data_source)
SELECT coin, @day + i * interval '1 hour', 5, 9, 1, 6, 7, 'test'
FROM generate_series(1, 2) coin, generate_series(0, 2) i;
INSERT INTO sentiment_data (cryptocurrency_id, source, sentiment_score, timestamp, created_at)
VALUES (1, 'test', 0.5, @day, @day);
INSERT INTO models (name, version, created_at) VALUES ('one', '1', @day), ('two', '1', @day);
INSERT INTO predictions (cryptocurrency_id, model_id, prediction_timestamp, target_timestamp, predicted_price,
    created_at)
VALUES (1, 1, @day, @day + interval '1 hour', 12, @day), (2, 2, @day, timestamptz '2100-01-01 00:00Z', 12, @day);
"""
# Of user number u: strategies 2u-1 and 2u, signals with and without a strategy, trades with and without a signal.
PRIVATE = """
INSERT INTO users (username, password_hash, email, is_admin, created_at)
SELECT name, 'secret of ' || name, name || '@example.com', name = 'root', @day
FROM unnest(ARRAY['ann', 'ben', 'root']) WITH ORDINALITY AS names (name, place) ORDER BY place;
INSERT INTO trading_strategies (user_id, name, description, parameters, created_at, updated_at)
SELECT u, 'strategy ' || n, 'of ' || u, jsonb_build_object('of', u), @day, @day
FROM generate_series(1, 3) u, generate_series(1, 2) n ORDER BY u, n;
INSERT INTO signals (cryptocurrency_id, user_id, strategy_id, model_id, prediction_id, signal_type, confidence,
    timestamp, extra_data, created_at)
SELECT c, u, CASE WHEN c = 1 THEN 2 * u END, c, CASE WHEN c = 1 THEN 1 END, 'BUY', u / 10.0,
    @day + (10 * c + coalesce(u, 0)) * interval '1 minute', jsonb_build_object('of', u), @day
FROM unnest(ARRAY[1, 2, 3, NULL]) u, generate_series(1, 2) c ORDER BY c, u;
INSERT INTO trades (cryptocurrency_id, user_id, signal_id, trade_type, price, quantity, status, pnl, timestamp,
    created_at)
SELECT c, coalesce(s.user_id, u), s.signal_id, 'SELL', coalesce(u, 99), 1.5, 'EXECUTED', u,
    @day + (100 * c + 10 * coalesce(s.signal_id, 0) + coalesce(u, 0)) * interval '1 minute', @day
FROM unnest(ARRAY[1, 2, 3, NULL]) u, generate_series(1, 2) c
    CROSS JOIN LATERAL (SELECT signal_id, user_id FROM signals s WHERE s.cryptocurrency_id = c
        AND (s.user_id IS NOT DISTINCT FROM u OR s.user_id IS NULL) UNION ALL VALUES (NULL::bigint, NULL::bigint)) s
ORDER BY c, s.signal_id, u;
INSERT INTO trades (cryptocurrency_id, user_id, trade_type, price, quantity, status, timestamp, created_at)
SELECT 1, u, 'BUY', 7, 2, 'PENDING', @day, @day FROM generate_series(1, 3) u;
INSERT INTO alerts (user_id, alert_type, message, is_read, timestamp, created_at)
SELECT u, 'TRADE', 'for ' || coalesce(u, 0), n = 1, @day + (n * 10 + coalesce(u, 0)) * interval '1 minute', @day
FROM unnest(ARRAY[1, 2, 3, NULL]) u, generate_series(1, 2) n ORDER BY n, u;
INSERT INTO sessions (session_id, user_id, token_hash, expires_at)
SELECT lpad(to_hex(u), 32, '0')::uuid, u, sha256('none'), timestamptz '2100-01-01 00:00Z' FROM generate_series(1, 3) u;
"""
# A last use in the future is never updated.
API_KEY = """
INSERT INTO api_keys (user_id, name, prefix, key_hash, scopes, last_used_at, created_at)
VALUES (:user_id, :name, :prefix, :hash, ARRAY[:scope], timestamptz '2100-01-01 00:00Z',
    timestamptz '2026-01-01 00:00Z')
"""


async def create(database: Database) -> None:
    """The whole world."""
    day = "timestamptz '2026-01-01 00:00Z'"
    async with database.transaction() as connection:
        for statement in _statements(PUBLIC + PRIVATE):
            await connection.execute(text(statement.replace("@day", day)))
        for key, (user_id, scope) in KEYS.items():
            made = ApiKey.parse(api_key(key))
            assert made is not None
            values = {
                "user_id": user_id,
                "name": f"key {key}",
                "scope": scope,
                "prefix": made.prefix,
                "hash": made.hash,
            }
            await connection.execute(text(API_KEY), values)
        # A server settles in the background: done before, it changes no answer.
        await settle(connection)


async def delete_invisible(database: Database, viewer: int | None) -> None:
    """Delete the private rows that a user may not see; None: an anonymous caller."""
    key = "NULL::bigint" if viewer is None else str(viewer)
    async with database.transaction() as connection:
        # Rows that refer to others come first.
        for table in reversed(Base.metadata.sorted_tables):
            access = access_of(table)
            if access.is_private:
                shared = f"{access.shared_without_owner} AND {access.owned_by} IS NULL AND {key} IS NOT NULL"
                visible = f"{access.owned_by} = {key} OR ({shared})"
                await connection.execute(text(f"DELETE FROM {table.name} WHERE ({visible}) IS NOT TRUE"))


def _statements(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]
