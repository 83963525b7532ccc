from __future__ import annotations

import asyncio
import time

from meerkat.node.pace import Pace


def test_a_burst_goes_at_once_and_the_rest_in_order_and_in_time():
    async def story() -> tuple[list[int], float, float]:
        pace = Pace(rate=200.0, burst=10.0)
        order: list[int] = []

        async def one(number: int) -> None:
            await pace.wait_turn()
            order.append(number)

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(one(number))
        burst = time.monotonic() - began
        async with asyncio.TaskGroup() as group:
            for number in range(10, 30):
                group.create_task(one(number))
        return order, burst, time.monotonic() - began

    order, burst, whole = asyncio.run(story())

    assert order == list(range(30))
    assert burst < whole
    assert whole >= 20 / 200.0 * 0.9
