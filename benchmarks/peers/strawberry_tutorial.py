"""A server as in Strawberry's documentation: types with resolvers, SQLAlchemy's ORM in async sessions, and dataloaders
for relations. Each loader runs one grouped statement, which fetches only requested rows."""

import os
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry
from sqlalchemy import BigInteger, ForeignKey, Select, bindparam, func, make_url, select, true
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import ParserCache, ValidationCache

engine = create_async_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg"),
    pool_size=int(os.environ["DATABASE_POOL_SIZE"]),
    max_overflow=0,
    pool_timeout=60,
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: TIMESTAMP(timezone=True), int: BigInteger}


class CoinRow(Base):
    __tablename__ = "cryptocurrencies"
    id: Mapped[int] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    name: Mapped[str]


class CandleRow(Base):
    __tablename__ = "market_data"
    cryptocurrency_id: Mapped[int] = mapped_column(ForeignKey("cryptocurrencies.id"), primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(primary_key=True)
    open_price: Mapped[float]
    high_price: Mapped[float]
    low_price: Mapped[float]
    close_price: Mapped[float]
    volume: Mapped[float]


class PredictionRow(Base):
    __tablename__ = "predictions"
    id: Mapped[int] = mapped_column(primary_key=True)
    cryptocurrency_id: Mapped[int] = mapped_column(ForeignKey("cryptocurrencies.id"))
    prediction_timestamp: Mapped[datetime]
    target_timestamp: Mapped[datetime]
    predicted_price: Mapped[float]
    confidence_score: Mapped[float | None]


class SignalRow(Base):
    __tablename__ = "signals"
    signal_id: Mapped[int] = mapped_column(primary_key=True)
    cryptocurrency_id: Mapped[int] = mapped_column(ForeignKey("cryptocurrencies.id"))
    signal_type: Mapped[str]
    confidence: Mapped[float | None]
    timestamp: Mapped[datetime]


class TradeRow(Base):
    __tablename__ = "trades"
    trade_id: Mapped[int] = mapped_column(primary_key=True)
    signal_id: Mapped[int | None] = mapped_column(ForeignKey("signals.signal_id"))
    trade_type: Mapped[str]
    price: Mapped[Decimal]
    quantity: Mapped[Decimal]
    status: Mapped[str]
    timestamp: Mapped[datetime]


@strawberry.type
class Candle:
    open_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


@strawberry.type
class Prediction:
    target_at: datetime
    predicted_price: float
    confidence: float | None


@strawberry.type
class Trade:
    side: str
    price: Decimal
    quantity: Decimal
    status: str


@strawberry.type
class Signal:
    row_id: strawberry.Private[int]
    type: str
    confidence: float | None
    timestamp: datetime

    @strawberry.field
    async def trades(self, info: strawberry.Info, first: int) -> list[Trade]:
        rows = await children(info, TradeRow, TradeRow.signal_id, TradeRow.timestamp, self.row_id, first)
        return [Trade(side=row.trade_type, price=row.price, quantity=row.quantity, status=row.status) for row in rows]


@strawberry.type
class Coin:
    row_id: strawberry.Private[int]
    symbol: str
    name: str

    @strawberry.field
    async def candles(self, info: strawberry.Info, last: int, to: datetime | None = None) -> list[Candle]:
        parent, order = CandleRow.cryptocurrency_id, CandleRow.timestamp
        rows = await children(info, CandleRow, parent, order, self.row_id, last, to)
        return [
            Candle(
                open_time=row.timestamp,
                open=row.open_price,
                high=row.high_price,
                low=row.low_price,
                close=row.close_price,
                volume=row.volume,
            )
            for row in reversed(rows)
        ]

    @strawberry.field
    async def predictions(self, info: strawberry.Info, first: int) -> list[Prediction]:
        parent, order = PredictionRow.cryptocurrency_id, PredictionRow.prediction_timestamp
        rows = await children(info, PredictionRow, parent, order, self.row_id, first)
        return [
            Prediction(
                target_at=row.target_timestamp, predicted_price=row.predicted_price, confidence=row.confidence_score
            )
            for row in rows
        ]

    @strawberry.field
    async def signals(self, info: strawberry.Info, first: int) -> list[Signal]:
        rows = await children(info, SignalRow, SignalRow.cryptocurrency_id, SignalRow.timestamp, self.row_id, first)
        return [
            Signal(row_id=row.signal_id, type=row.signal_type, confidence=row.confidence, timestamp=row.timestamp)
            for row in rows
        ]


@strawberry.type
class Query:
    @strawberry.field
    async def cryptocurrency(self, symbol: str) -> Coin | None:
        async with new_session() as session:
            row = await session.scalar(select(CoinRow).where(CoinRow.symbol == symbol))
        return coin(row) if row else None

    @strawberry.field
    async def cryptocurrencies(self, first: int, symbols: list[str] | None = None) -> list[Coin]:
        rows = select(CoinRow).order_by(CoinRow.id).limit(first)
        if symbols is not None:
            rows = rows.where(CoinRow.symbol.in_(symbols))
        async with new_session() as session:
            return [coin(row) for row in await session.scalars(rows)]


def coin(row: CoinRow) -> Coin:
    return Coin(row_id=row.id, symbol=row.symbol, name=row.name)


async def children(
    info: strawberry.Info,
    entity: Any,
    parent: Any,
    order: Any,
    key: int,
    limit: int,
    before: datetime | None = None,
) -> list[Any]:
    """The newest rows of one parent, through the loader that the relation shares with its siblings."""
    loaders: dict[Hashable, DataLoader[int, list[Any]]] = info.context["loaders"]
    relation = entity, limit, before
    if relation not in loaders:
        loaders[relation] = DataLoader(load_fn=newest(entity, parent, order, limit, before))
    return await loaders[relation].load(key)


def newest(
    entity: Any, parent: Any, order: Any, limit: int, before: datetime | None
) -> Callable[[list[int]], Awaitable[Sequence[list[Any]]]]:
    async def load(keys: list[int]) -> list[list[Any]]:
        parents = func.unnest(bindparam("keys", keys, ARRAY(BigInteger))).table_valued("key").render_derived()
        rows = select(entity).where(parent == parents.c.key).order_by(order.desc()).limit(limit).correlate(parents)
        if before is not None:
            rows = rows.where(order < before)
        found = aliased(entity, rows.lateral())
        grouped: dict[int, list[Any]] = {key: [] for key in keys}
        statement: Select[Any] = select(parents.c.key, found).join_from(parents, found, true())
        async with new_session() as session:
            for key, row in await session.execute(statement):
                grouped[key].append(row)
        return [grouped[key] for key in keys]

    return load


class Server(GraphQL[dict[str, Any], None]):
    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket | None = None
    ) -> dict[str, Any]:
        return {"request": request, "response": response, "loaders": {}}


app = Server(strawberry.Schema(Query, extensions=[ParserCache, ValidationCache]), graphql_ide=None)
