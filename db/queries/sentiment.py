from typing import Any

from sqlalchemy import Select, select

from db.models import Sentiment
from db.queries.listings import ALWAYS, Listing, Span, by_time, equal, narrowed, within


def by_id(key: Any) -> Select[Any]:
    sentiment = Sentiment.rows()
    return select(sentiment).where(sentiment.c.id == key)


def listing(*, cryptocurrency_id: Any, source: Any = None, timestamp: Span = ALWAYS) -> Listing:
    """A coin's sentiment, newest first."""
    sentiment = Sentiment.rows()
    criteria = [
        equal(sentiment.c.cryptocurrency_id, cryptocurrency_id),
        equal(sentiment.c.source, source),
        *within(sentiment.c.timestamp, timestamp),
    ]
    return by_time(narrowed(select(sentiment), criteria), "sentiment", newest_first=True)
