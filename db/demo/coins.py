"""The five coins of the demo data: their rows, and the parameters of their simulated markets."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from db.demo.period import Period


@dataclass(frozen=True, kw_only=True)
class Coin:
    id: int
    symbol: str
    name: str
    coin_gecko_id: str
    price: float  # the newest close
    price_digits: int
    lot_digits: int  # decimals of a quantity
    volatility: float  # standard deviation of an hour's log return
    market_share: float  # correlation of its returns with those of the market
    volume: float  # coins traded in a typical hour
    supply: float


# Volatilities, correlations and volumes are near those of real hourly candles of 2025, slightly higher.
COINS = (
    Coin(
        id=1,
        symbol="BTC",
        name="Bitcoin",
        coin_gecko_id="bitcoin",
        price=97_412.35,
        price_digits=2,
        lot_digits=5,
        volatility=0.0040,
        market_share=0.92,
        volume=640,
        supply=19_960_000,
    ),
    Coin(
        id=2,
        symbol="ETH",
        name="Ethereum",
        coin_gecko_id="ethereum",
        price=3_384.62,
        price_digits=2,
        lot_digits=4,
        volatility=0.0062,
        market_share=0.86,
        volume=24_000,
        supply=120_700_000,
    ),
    Coin(
        id=3,
        symbol="BNB",
        name="BNB",
        coin_gecko_id="binancecoin",
        price=884.17,
        price_digits=2,
        lot_digits=3,
        volatility=0.0045,
        market_share=0.76,
        volume=15_000,
        supply=137_700_000,
    ),
    Coin(
        id=4,
        symbol="SOL",
        name="Solana",
        coin_gecko_id="solana",
        price=163.48,
        price_digits=2,
        lot_digits=2,
        volatility=0.0074,
        market_share=0.81,
        volume=145_000,
        supply=556_000_000,
    ),
    Coin(
        id=5,
        symbol="ADA",
        name="Cardano",
        coin_gecko_id="cardano",
        price=0.6127,
        price_digits=4,
        lot_digits=0,
        volatility=0.0072,
        market_share=0.79,
        volume=11_500_000,
        supply=35_800_000_000,
    ),
)


class CryptocurrencyRow(NamedTuple):
    id: int
    symbol: str
    name: str
    coin_gecko_id: str
    is_active: bool
    base_interval: str
    created_at: datetime
    updated_at: datetime


def rows(period: Period) -> list[CryptocurrencyRow]:
    return [
        CryptocurrencyRow(coin.id, coin.symbol, coin.name, coin.coin_gecko_id, True, "H1", period.start, period.start)
        for coin in COINS
    ]
