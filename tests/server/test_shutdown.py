"""The server stops, whatever it is doing."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import URL

from server import app
from tests.application import serving


async def test_settling_ends_even_if_it_misses_that_it_is_told_to(
    demo_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What closes a broken connection swallows a cancellation that comes meanwhile."""
    settling = asyncio.Event()

    async def settle(_: Any) -> int:
        settling.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise OSError from None
        return 0

    monkeypatch.setattr(app, "settle", settle)
    async with asyncio.timeout(10), serving(demo_url):
        await settling.wait()
