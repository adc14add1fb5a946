"""The comparison of answers ignores differences of dialect, and finds differences of data."""

from benchmarks.answers import canonical, find_difference

CANDLEGRAPH = {
    "candles": [
        {"openTime": "2026-01-01T00:00:00+00:00", "close": 1.5},
        {"openTime": "2026-01-01T01:00:00+00:00", "close": 2},
    ],
    "trades": {"nodes": [{"price": "1.5"}]},
}
POSTGRAPHILE = {
    "candles": [
        {"openTime": "2026-01-01T01:00:00.000000+00:00", "close": 2.0},
        {"openTime": "2026-01-01T01:00:00+01:00", "close": 1.5},
    ],
    "trades": [{"price": "1.500"}],
}


def test_differences_of_dialect_are_ignored() -> None:
    assert find_difference(canonical(CANDLEGRAPH), canonical(POSTGRAPHILE)) is None


def test_a_different_value_is_found() -> None:
    other = {**CANDLEGRAPH, "trades": {"nodes": [{"price": "1.51"}]}}
    assert find_difference(canonical(CANDLEGRAPH), canonical(other)) == "data.trades[0].price is 1.5 or 1.51"


def test_a_missing_row_or_field_is_found() -> None:
    fewer = {**CANDLEGRAPH, "candles": CANDLEGRAPH["candles"][:1]}
    assert find_difference(canonical(CANDLEGRAPH), canonical(fewer)) is not None
    assert find_difference(canonical(CANDLEGRAPH), canonical({"candles": CANDLEGRAPH["candles"]})) is not None


def test_a_different_order_of_rows_is_found_except_for_candles() -> None:
    one = {"signals": [{"type": "BUY"}, {"type": "SELL"}]}
    other = {"signals": [{"type": "SELL"}, {"type": "BUY"}]}
    assert find_difference(canonical(one), canonical(other)) is not None
