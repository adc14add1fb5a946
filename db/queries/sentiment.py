"""Queries for sentiment scores."""

from typing import Any

from sqlalchemy import Select, select

from db.models import Sentiment
from db.queries.listings import ANY_TIME, Listing, Span, equal_to, filtered, in_span, ordered_by_time


def by_id(key: Any) -> Select[Any]:
    sentiment = Sentiment.rows()
    return select(sentiment).where(sentiment.c.id == key)


def listing(*, cryptocurrency_id: Any, source: Any = None, timestamp: Span = ANY_TIME) -> Listing:
    """A coin's sentiment, newest first."""
    sentiment = Sentiment.rows()
    criteria = [
        equal_to(sentiment.c.cryptocurrency_id, cryptocurrency_id),
        equal_to(sentiment.c.source, source),
        *in_span(sentiment.c.timestamp, timestamp),
    ]
    return ordered_by_time(filtered(select(sentiment), criteria), "sentiment", newest_first=True)
