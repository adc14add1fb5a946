from benchmarks.answers import canonical, find_difference

OURS = {
    "candles": [
        {"openTime": "2026-01-01T00:00:00+00:00", "close": 1.5},
        {"openTime": "2026-01-01T01:00:00+00:00", "close": 2},
    ],
    "trades": {"nodes": [{"price": "1.5"}]},
}
THEIRS = {
    "candles": [
        {"openTime": "2026-01-01T01:00:00.000000+00:00", "close": 2.0},
        {"openTime": "2026-01-01T01:00:00+01:00", "close": 1.5},
    ],
    "trades": [{"price": "1.500"}],
}


def test_dialects_do_not_matter() -> None:
    assert find_difference(canonical(OURS), canonical(THEIRS)) is None


def test_a_different_value_is_found() -> None:
    other = {**OURS, "trades": {"nodes": [{"price": "1.51"}]}}
    assert find_difference(canonical(OURS), canonical(other)) == "data.trades[0].price is 1.5 or 1.51"


def test_a_missing_row_or_field_is_found() -> None:
    fewer = {**OURS, "candles": OURS["candles"][:1]}
    assert find_difference(canonical(OURS), canonical(fewer)) is not None
    assert find_difference(canonical(OURS), canonical({"candles": OURS["candles"]})) is not None


def test_the_order_of_rows_matters_but_for_candles() -> None:
    one = {"signals": [{"type": "BUY"}, {"type": "SELL"}]}
    other = {"signals": [{"type": "SELL"}, {"type": "BUY"}]}
    assert find_difference(canonical(one), canonical(other)) is not None
