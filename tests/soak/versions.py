"""Versions: what is written carries a number that only grows, so that each answer tells how much it has seen."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, TypeAlias

# The global id of a row, and what is written there.
Subject: TypeAlias = tuple[str, str]
# The version of a newest candle is its volume, and its high above this one: that is the high of its day as well.
HIGH = 1e9
# The versions of what must be a share.
PER_SHARE = 1_000_000


def _word(text: str) -> int:
    return int(text.split()[-1])


def _share(share: float) -> int:
    return round(share * PER_SHARE)


# By a field of a row: what of it is written, and how its version is read.
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
    """The versions in the data of an answer: of all that has an id, however deep."""
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
    """Which version of what was committed by when, as far as a writer or a reader could tell."""

    def __init__(self) -> None:
        self._versions = defaultdict[Subject, list[int]](list)
        self._times = defaultdict[Subject, list[float]](list)

    def note(self, subject: Subject, version: int, at: float) -> None:
        """Times must not go back."""
        if not self._versions[subject] or version > self._versions[subject][-1]:
            self._versions[subject].append(version)
            self._times[subject].append(at)

    def newest(self, subject: Subject, by: float) -> int:
        """The version that everybody must see who asks then."""
        place = bisect_right(self._times[subject], by)
        return self._versions[subject][place - 1] if place else 0

    def behind(self, subject: Subject, version: int, sent: float) -> float:
        """For how many seconds there had been a newer version when somebody asked who got this one."""
        place = bisect_right(self._versions[subject], version)
        times = self._times[subject]
        return max(0.0, sent - times[place]) if place < len(times) else 0.0
