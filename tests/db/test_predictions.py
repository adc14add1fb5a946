"""The status of unsettled predictions, if candles are missing or cannot settle them."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from db.engine import Database
from db.models import Candle, Cryptocurrency, Model, Prediction
from db.queries.predictions import has_status, status_of

NOON = datetime(2025, 1, 6, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("candles", "status"),
    [
        ({}, "PENDING"),
        ({-1: 5.0}, "PENDING"),
        ({-2: 5.0}, "PENDING"),
        ({-3: 5.0}, "PENDING"),
        ({-3: 5.0, 0: 5.0}, "VOID"),
        ({-2: 5.0, 0: 5.0}, "PENDING"),
        ({-1: 0.0, 0: 5.0}, "VOID"),
        ({-1: 1e200, 0: 5.0}, "VOID"),
    ],
)
async def test_status_before_settling(database: Database, candles: dict[int, float], status: str) -> None:
    """candles: closes by open time, in hours from the target. The candle at -1 closes at the target."""
    async with database.transaction() as connection:
        added = insert(Cryptocurrency).values(symbol="C", name="C", base_interval="H1").returning(Cryptocurrency.id)
        coin = (await connection.execute(added)).scalar_one()
        model = (await connection.execute(insert(Model).values(name="m", version="1").returning(Model.id))).scalar_one()
        for hours, price in candles.items():
            prices = dict.fromkeys(("open", "high", "low", "close"), price)
            candle = {"cryptocurrency_id": coin, "open_time": NOON + hours * HOUR, "volume": 1.0, "source": "t"}
            await connection.execute(insert(Candle).values(**candle, **prices))
        prediction = {"predicted_at": NOON - HOUR, "target_at": NOON, "predicted_price": 1.0}
        await connection.execute(insert(Prediction).values(cryptocurrency_id=coin, model_id=model, **prediction))
    row = Prediction.rows()
    assert await database.fetch_value(select(status_of(row.c))) == status
    count = select(func.count()).select_from(row).where(has_status(row.c, status))
    assert await database.fetch_value(count) == 1
