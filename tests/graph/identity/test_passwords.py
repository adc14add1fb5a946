"""Passwords: hashing, verification, and the time that they take."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from threading import Event

import pytest

from graph.identity.passwords import (
    MAX_LENGTH,
    MAX_WAITING,
    THREADS,
    InvalidPassword,
    PasswordQueueFull,
    Passwords,
    Verified,
)
from tests.waiting import eventually

GOOD = "correct horse"
WRONG = Verified(False, None)


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    """With cheap parameters, to be fast."""
    passwords = Passwords(memory_kib=8, passes=1)
    yield passwords
    passwords.close()


async def test_only_the_right_password_is_accepted(passwords: Passwords) -> None:
    stored = await passwords.hash(GOOD)
    assert stored.startswith("$argon2id$")
    assert stored != await passwords.hash(GOOD)
    assert await passwords.verify(GOOD, stored) == Verified(True, None)
    for other in ("", "correct horsf", "Correct horse", "correct horse ", "correct horse\0", GOOD * 100, "\ud800"):
        assert await passwords.verify(other, stored) == WRONG


@pytest.mark.parametrize(
    "stored", [None, "!", "", "plain", "$2b$12$abc", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"]
)
async def test_a_user_without_a_valid_hash_has_no_password(passwords: Passwords, stored: str | None) -> None:
    for password in (GOOD, "", "!", "plain"):
        assert await passwords.verify(password, stored) == WRONG


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("x" * 9, "PASSWORD_TOO_SHORT"),
        ("e\u0301" * 9, "PASSWORD_TOO_SHORT"),
        ("x" * (MAX_LENGTH + 1), "PASSWORD_TOO_LONG"),
        ("\ufdfa" * 12, "PASSWORD_TOO_LONG"),
        ("x" * 9 + "\ud83d", "INVALID_TEXT"),
    ],
)
async def test_invalid_passwords_are_rejected(passwords: Passwords, password: str, code: str) -> None:
    with pytest.raises(InvalidPassword) as rejected:
        await passwords.hash(password)
    assert rejected.value.code == code


async def test_there_are_no_rules_of_composition(passwords: Passwords) -> None:
    for password in ("x" * 10, "x" * MAX_LENGTH, "🪙" * 10, "          ", "\0" * 10):
        assert (await passwords.verify(password, await passwords.hash(password))).ok


async def test_composed_and_decomposed_characters_are_the_same_password(passwords: Passwords) -> None:
    stored = await passwords.hash("caf\u00e9 \ufb01ne day")
    assert (await passwords.verify("cafe\u0301 fine day", stored)).ok


async def test_a_new_hash_is_returned_when_the_parameters_have_changed(passwords: Passwords) -> None:
    stored = await passwords.hash(GOOD)
    newer = Passwords(memory_kib=16, passes=2)
    ok, new_hash = await newer.verify(GOOD, stored)
    assert ok
    assert new_hash is not None
    assert "$m=16,t=2,p=1$" in new_hash
    assert await newer.verify(GOOD, new_hash) == Verified(True, None)
    assert await newer.verify("another password", stored) == WRONG
    newer.close()


async def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    passwords = Passwords()
    stored = await passwords.hash(GOOD)
    durations: dict[str | None, list[float]] = {stored: [], None: [], "!": []}
    for _ in range(12):
        for hash_, times in durations.items():
            started = time.process_time()
            assert await passwords.verify("wrong password", hash_) == WRONG
            times.append(time.process_time() - started)
    usual, *others = (statistics.median(times) for times in durations.values())
    assert usual > 0.005
    for other in others:
        assert 0.7 < other / usual < 1.4
    passwords.close()


async def test_the_queue_of_passwords_is_limited(passwords: Passwords) -> None:
    begun = Event()
    waiting = [asyncio.create_task(passwords._in_thread(lambda: begun.wait(10))) for _ in range(THREADS + MAX_WAITING)]
    await eventually(lambda: passwords._slots._value == 0)
    for _ in range(3):
        with pytest.raises(PasswordQueueFull):
            await passwords.verify(GOOD, None)
    # Cancelled callers: running work goes on, and queued work that has not begun frees its slot.
    waiting[0].cancel()
    waiting[-1].cancel()
    await eventually(lambda: passwords._slots._value == 1)
    after = asyncio.create_task(passwords.hash(GOOD))
    await eventually(lambda: passwords._slots._value == 0)
    with pytest.raises(PasswordQueueFull):
        await passwords.hash(GOOD)
    begun.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await passwords.verify(GOOD, await after) == Verified(True, None)
    assert all(passwords._slots.acquire(blocking=False) for _ in range(THREADS + MAX_WAITING))


async def test_hashing_does_not_block_the_event_loop() -> None:
    passwords = Passwords()
    hashing = [asyncio.create_task(passwords.hash(GOOD)) for _ in range(6)]
    turns = 0
    while not all(task.done() for task in hashing):
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 10
    passwords.close()
