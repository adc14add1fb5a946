"""Sentiment about the coins. Its score correlates with the price move of the day before, with noise."""

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import NamedTuple

from db.demo.candles import Path
from db.demo.period import HOURS, Period, seeded_random

HOURS_BETWEEN = 8  # hours between two texts about a coin

TextsByMood = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]

# By source, then by mood: negative, neutral, positive. {change} is the move of the day with its sign, {size} without.
TEXTS: dict[str, TextsByMood] = {
    "news": (
        (
            "{name} slides {size} as traders cut their risk",
            "Outflows from {name} funds continue for a second week",
            "{name} falls {size} after large holders sell",
            "Regulators' questions weigh on {name}",
        ),
        (
            "{name} trades sideways before the central bank's decision",
            "{name} changes little, {size} in a day, as volumes thin",
            "What this week's upgrade means for {name}",
            "{name} waits for direction while options expire",
        ),
        (
            "{name} gains {size} as demand from funds returns",
            "{name} climbs to the top of the week's movers",
            "A large bank opens {name} trading to its clients",
            "{name} rises {size} with volume well above average",
        ),
    ),
    "reddit": (
        (
            "{symbol} down {size} and I still have not learned to set a stop",
            "Is anybody else tired of holding {symbol}?",
            "Sold half of my {symbol} today. Convince me I was wrong",
            "That {symbol} candle hurt. See you all in a year",
        ),
        (
            "Daily thread: where do you see {symbol} at the end of the month?",
            "Can somebody explain what staking does to {symbol}'s supply?",
            "{symbol} moved {size} in a day. Wake me when something happens",
            "Which wallet do you use for {symbol}, and why?",
        ),
        (
            "{symbol} up {size}, patience pays",
            "Added to my {symbol} again, the chart looks healthy",
            "The developers behind {symbol} just keep delivering",
            "Everybody laughed when I bought {symbol} at the low",
        ),
    ),
    "twitter": (
        (
            "${symbol} {change} today. Support is gone, careful below",
            "Long liquidations all over ${symbol} this hour",
            "Not touching ${symbol} until the trend turns",
            "${symbol} looks heavy, sellers on every bounce",
        ),
        (
            "${symbol} stuck in its range. No trade is also a trade",
            "Watching ${symbol} here, nothing to do yet",
            "${symbol} {change} on the day, funding flat",
            "Quiet order book on ${symbol} before the open",
        ),
        (
            "${symbol} {change} and not slowing down",
            "Shorts squeezed on ${symbol}, what a move",
            "${symbol} reclaimed the level that matters",
            "Buyers defend every dip of ${symbol} today",
        ),
    ),
}

EXTRAS: dict[str, Callable[[Random], dict[str, object]]] = {
    "news": lambda random: {"outlet": random.choice(("Ledger Daily", "The Block Report", "Market Wire"))},
    "reddit": lambda random: {"upvotes": _popularity(random, 60), "comments": _popularity(random, 25)},
    "twitter": lambda random: {"likes": _popularity(random, 150), "reposts": _popularity(random, 30)},
}


class SentimentRow(NamedTuple):
    sentiment_id: int
    cryptocurrency_id: int
    source: str
    text: str
    sentiment_score: float
    timestamp: datetime
    extra_data: str
    created_at: datetime


def rows(period: Period, paths: Sequence[Path]) -> list[SentimentRow]:
    """All rows, oldest first."""
    numbers = count(1)
    randoms = [seeded_random("sentiment", path.coin.symbol) for path in paths]
    return [
        _row(next(numbers), period, path, ago, random)
        # A text is written in the hour after the one whose price it refers to, and that hour must be over.
        for ago in reversed(range(1, HOURS, HOURS_BETWEEN))
        for path, random in zip(paths, randoms, strict=True)
    ]


def _row(number: int, period: Period, path: Path, ago: int, random: Random) -> SentimentRow:
    source = random.choice(tuple(TEXTS))
    day = path.move(ago, 24)
    usual = path.coin.volatility * math.sqrt(24)
    score = round(math.tanh(0.35 * day / usual + random.gauss(0, 0.35)), 3)
    written = period.ago(ago) + timedelta(seconds=random.randrange(3600))
    text = random.choice(_fitting_texts(TEXTS[source], score, day / usual))
    return SentimentRow(
        number,
        path.coin.id,
        source,
        text.format(
            name=path.coin.name,
            symbol=path.coin.symbol,
            change=f"{100 * math.expm1(day):+.1f}%",
            size=f"{100 * abs(math.expm1(day)):.1f}%",
        ),
        score,
        written,
        json.dumps(EXTRAS[source](random)),
        period.after(written, seconds=30),
    )


def _fitting_texts(texts: TextsByMood, score: float, move: float) -> list[str]:
    """The texts of the mood of this score. Texts that mention the move of the day are left out if it does not fit."""
    if score < -0.2:
        mood, mentions_fit = 0, move < -0.3
    elif score > 0.2:
        mood, mentions_fit = 2, move > 0.3
    else:
        mood, mentions_fit = 1, abs(move) < 0.5
    return [text for text in texts[mood] if mentions_fit or not ("{change}" in text or "{size}" in text)]


def _popularity(random: Random, typical: int) -> int:
    """A count with a log-normal distribution: mostly near the typical one, and rarely much higher."""
    return round(typical * math.exp(random.gauss(0, 1)))
