"""The cache in memory: bounded, and not emptied by a flood of new keys."""

from hypothesis import given
from hypothesis import strategies as st

from cache.memory import MemoryCache


def offered(cache: MemoryCache[str], key: str, size: int = 1) -> bool:
    """One request: look the key up, and put it there if it is missing."""
    return cache.get(key) is not None or cache.put(key, key, size)


def test_a_value_is_not_admitted_at_the_first_use_of_its_key() -> None:
    cache = MemoryCache[str](max_entries=4, max_bytes=100)
    assert not offered(cache, "a")
    assert offered(cache, "a")
    assert cache.get("a") == "a"
    assert (cache.stats.entries, cache.stats.bytes, cache.stats.hits, cache.stats.misses) == (1, 1, 1, 2)


def test_new_keys_do_not_evict_hot_ones() -> None:
    cache = MemoryCache[str](max_entries=32, max_bytes=1_000)
    for _ in range(5):
        offered(cache, "hot")
    for number in range(5_000):
        # Two uses are enough to be admitted, if there is room.
        for _ in range(2):
            offered(cache, f"flood {number}")
        if number % 40 == 0:
            assert cache.get("hot") == "hot"
    assert cache.stats.entries == 32
    assert cache.stats.evictions > 1_000


def test_a_key_that_is_no_longer_hot_is_evicted_in_the_end() -> None:
    cache = MemoryCache[str](max_entries=2, max_bytes=100)
    for _ in range(30):
        offered(cache, "old a")
        offered(cache, "old b")
    for _ in range(60):
        offered(cache, "new")
    assert cache.get("new") == "new"
    assert cache.stats.evictions == 1


def test_the_least_recently_used_is_evicted_first() -> None:
    cache = MemoryCache[str](max_entries=3, max_bytes=100)
    for key in ("a", "b", "c", "a"):
        offered(cache, key)
        offered(cache, key)
    for _ in range(4):
        offered(cache, "d")
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]


def test_a_large_value_is_not_admitted() -> None:
    cache = MemoryCache[str](max_entries=10, max_bytes=80)
    for _ in range(5):
        assert not offered(cache, "large", size=11)
    for _ in range(2):
        offered(cache, "small", size=10)
    assert cache.get("small") == "small"


def test_a_value_that_is_put_again_replaces_the_former() -> None:
    cache = MemoryCache[str](max_entries=2, max_bytes=100)
    offered(cache, "a")
    offered(cache, "a", size=3)
    assert cache.put("a", "another", size=5)
    assert cache.get("a") == "another"
    assert (cache.stats.entries, cache.stats.bytes) == (1, 5)


def test_a_use_may_be_recorded_without_a_lookup() -> None:
    cache = MemoryCache[str](max_entries=2, max_bytes=100)
    cache.record_use("a")
    cache.record_use("a")
    assert cache.put("a", "value", size=1)
    assert (cache.stats.hits, cache.stats.misses) == (0, 0)


def test_a_cleared_cache_keeps_its_counts() -> None:
    cache = MemoryCache[str](max_entries=2, max_bytes=100)
    for key in ("a", "a", "b", "b"):
        offered(cache, key)
    cache.clear()
    assert (cache.get("a"), cache.stats.entries, cache.stats.bytes) == (None, 0, 0)
    assert cache.put("b", "b", size=1)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=400))
def test_it_stays_within_its_bounds(requests: list[tuple[int, int]]) -> None:
    cache = MemoryCache[str](max_entries=5, max_bytes=40)
    for key, size in requests:
        offered(cache, str(key), size)
        stored = cache._entries.values()
        assert cache.stats.entries == len(stored) <= 5
        assert cache.stats.bytes == sum(size for _, size in stored) <= 40
        assert len(cache._uses) <= 13
