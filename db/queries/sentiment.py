from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from db.models import Sentiment
from db.queries.listings import ALWAYS, Listing, Span, by_time, equal, narrowed, within


def by_id(key: Any) -> Select[Any]:
    sentiment = aliased(Sentiment)
    return select(sentiment).where(sentiment.id == key)


def listing(*, cryptocurrency_id: Any, source: Any = None, timestamp: Span = ALWAYS) -> Listing:
    """A coin's sentiment, newest first."""
    sentiment = aliased(Sentiment)
    criteria = [
        equal(sentiment.cryptocurrency_id, cryptocurrency_id),
        equal(sentiment.source, source),
        *within(sentiment.timestamp, timestamp),
    ]
    return by_time(narrowed(select(sentiment), criteria), "sentiment", newest_first=True)
