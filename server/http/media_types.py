"""Media types: negotiation of the type of a response, and the type of bodies that are accepted."""

import re
from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
HTML = "text/html"

# Real clients send far less; the rest of a longer header is ignored.
MAX_ACCEPT = 1_000
QUALITY = re.compile(r"[0-9]?\.[0-9]{1,20}|[0-9]\.?", re.ASCII)


def negotiate(accept: str, offered: tuple[str, ...]) -> str | None:
    """The offered type that the client prefers, by RFC 9110; None if it accepts none of them."""
    return _negotiate(accept[:MAX_ACCEPT], offered)


# Clients send the same few values again and again.
@lru_cache(maxsize=128)
def _negotiate(accept: str, offered: tuple[str, ...]) -> str | None:
    qualities = _qualities(accept)
    if not accept.strip():
        return offered[0]
    best = max(offered, key=lambda media_type: _rank(media_type, qualities))
    return best if _rank(best, qualities)[0] > 0 else None


def is_json(content_type: str) -> bool:
    """Whether a body of this type is JSON in UTF-8."""
    if content_type == JSON:
        return True
    name, parameters = _parse(content_type)
    return name == JSON and _is_utf8(parameters)


def _qualities(accept: str) -> dict[str, float]:
    """Each media range with its weight. One with another encoding than UTF-8 is left out."""
    qualities: dict[str, float] = {}
    for text in accept.split(","):
        name, parameters = _parse(text)
        if _is_utf8(parameters):
            qualities[name] = max(qualities.get(name, 0.0), _quality(parameters.get("q", "1")))
    return qualities


def _rank(media_type: str, qualities: dict[str, float]) -> tuple[float, int, bool]:
    """The weight of the most specific range that matches; among equal weights, an exact match ranks above a wildcard.

    Of two exact matches, the type that was made for GraphQL ranks higher; of two wildcards, application/json does.
    """
    kind = media_type.partition("/")[0]
    for distance, name in enumerate((media_type, f"{kind}/*", "*/*")):
        if name in qualities:
            return qualities[name], -distance, distance == 0 and media_type == GRAPHQL_JSON
    return 0.0, -3, False


def _parse(media_range: str) -> tuple[str, dict[str, str]]:
    name, *parameters = media_range.lower().split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return name.strip(), {key.strip(): value.strip(' \t"') for key, _, value in pairs}


def _is_utf8(parameters: dict[str, str]) -> bool:
    return parameters.get("charset", "utf-8") in ("utf-8", "utf8")


def _quality(text: str) -> float:
    """Between 0 and 1. An invalid weight is 0."""
    return min(float(text), 1.0) if QUALITY.fullmatch(text) else 0.0
