"""When the circuit breaker of Redis opens, and when it closes."""

import pytest

from cache.breaker import Breaker

QUICK, SLOW, FAILED = 0.001, 0.026, None


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """A breaker whose waits are not shortened at random."""
    return Breaker(clock=clock, chance=lambda: 1.0)


def opened(breaker: Breaker) -> None:
    for _ in range(5):
        breaker.record_call(FAILED)
    assert breaker.state == "open"


def closed(breaker: Breaker) -> None:
    breaker.record_probe(QUICK)
    breaker.record_probe(QUICK)
    assert breaker.state == "closed"


@pytest.mark.parametrize("bad", [FAILED, SLOW])
def test_five_bad_calls_in_a_row_open_it(breaker: Breaker, bad: float | None) -> None:
    assert [breaker.record_call(bad) for _ in range(4)] == [False] * 4
    assert breaker.state == "closed"
    assert breaker.record_call(bad)
    assert (breaker.state, breaker.times_opened) == ("open", 1)


def test_a_good_call_resets_the_row(breaker: Breaker) -> None:
    assert not any(breaker.record_call(call) for call in [FAILED] * 4 + [QUICK] + [FAILED] * 4)
    assert breaker.record_call(FAILED)


def test_ten_failures_among_the_last_twenty_open_it(breaker: Breaker) -> None:
    calls = [breaker.record_call(call) for call in [QUICK, FAILED] * 10]
    assert calls == [False] * 19 + [True]


def test_fewer_failures_never_open_it(breaker: Breaker) -> None:
    assert not any(breaker.record_call(call) for call in [QUICK, FAILED, QUICK, FAILED, QUICK] * 100)


def test_calls_that_were_running_when_it_opened_do_not_count(breaker: Breaker) -> None:
    opened(breaker)
    assert not any(breaker.record_call(FAILED) for _ in range(20))
    assert breaker.times_opened == 1
    closed(breaker)
    assert not any(breaker.record_call(FAILED) for _ in range(4))
    assert breaker.record_call(FAILED)


def test_two_quick_probes_in_a_row_close_it(breaker: Breaker) -> None:
    opened(breaker)
    states = []
    for probe in [FAILED, QUICK, SLOW, QUICK, FAILED, QUICK, QUICK]:
        breaker.record_probe(probe)
        states.append(breaker.state)
    assert states == ["open", "half-open", "open", "half-open", "open", "half-open", "closed"]


def test_waits_grow_to_five_seconds(breaker: Breaker) -> None:
    opened(breaker)
    waits = []
    for _ in range(7):
        waits.append(breaker.wait())
        breaker.record_probe(FAILED)
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    breaker.record_probe(QUICK)
    assert breaker.wait() == 0.2


def test_flapping_doubles_the_wait_each_time(breaker: Breaker, clock: Clock) -> None:
    waits = []
    for _ in range(7):
        opened(breaker)
        waits.append(breaker.wait())
        closed(breaker)
        clock.now += 20
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    clock.now += 20
    opened(breaker)
    assert breaker.wait() == 0.2
    assert breaker.times_opened == 8


def test_processes_do_not_probe_at_the_same_time() -> None:
    waits = [Breaker().wait() for _ in range(100)]
    assert all(0.1 <= wait <= 0.2 for wait in waits)
    assert max(waits) - min(waits) > 0.05
