"""Versions: every write increments a number, so that each answer shows which writes it has seen."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, TypeAlias

# The global id of a row, and the property that is written.
Subject: TypeAlias = tuple[str, str]
# The version of a newest candle is its volume, and its high above this one: that is the high of its day as well.
HIGH = 1e9
# Versions of values between 0 and 1 are stored as multiples of 1 / PER_SHARE.
PER_SHARE = 1_000_000


def _word(text: str) -> int:
    return int(text.split()[-1])


def _share(share: float) -> int:
    return round(share * PER_SHARE)


# By a field of a row: the property that is written, and how its version is read.
_FIELDS: dict[str, tuple[str, Callable[[Any], int]]] = {
    "name": ("name", _word),
    "message": ("message", _word),
    "confidence": ("confidence", _share),
    "accuracy": ("accuracy", _share),
    "trades": ("trades", itemgetter("totalCount")),
    "closed": ("closed", lambda candles: int(candles[0]["volume"])),
    "latest": ("newest", lambda candle: int(candle["volume"])),
    "day": ("newest", lambda candles: round(candles[-1]["high"] - HIGH)),
    "chart": ("newest", lambda series: int(series["volume"][-1])),
}


def versions(answer: Any) -> Iterator[tuple[Subject, int]]:
    """The versions in the data of an answer: of every object with an id, at any depth."""
    if isinstance(answer, list):
        for item in answer:
            yield from versions(item)
    elif isinstance(answer, dict):
        for field, value in answer.items():
            if "id" in answer and field in _FIELDS:
                what, read = _FIELDS[field]
                yield (answer["id"], what), read(value)
            yield from versions(value)


class Known:
    """When each version of each subject was committed or first seen."""

    def __init__(self) -> None:
        self._versions = defaultdict[Subject, list[int]](list)
        self._times = defaultdict[Subject, list[float]](list)

    def note(self, subject: Subject, version: int, at: float) -> None:
        """Times must not go back."""
        if not self._versions[subject] or version > self._versions[subject][-1]:
            self._versions[subject].append(version)
            self._times[subject].append(at)

    def newest(self, subject: Subject, by: float) -> int:
        """The version that every request at that time must see."""
        place = bisect_right(self._times[subject], by)
        return self._versions[subject][place - 1] if place else 0

    def behind(self, subject: Subject, version: int, sent: float) -> float:
        """For how many seconds there had been a newer version when a request was sent that got this one."""
        place = bisect_right(self._versions[subject], version)
        times = self._times[subject]
        return max(0.0, sent - times[place]) if place < len(times) else 0.0
