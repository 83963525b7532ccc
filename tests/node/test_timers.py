from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest

from meerkat.node.timers import Timers


class Handle:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, int, Callable[[], object], Handle]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> Handle:
        handle = Handle()
        heapq.heappush(self.calls, (when, len(self.calls), callback, handle))
        return handle

    def run_to(self, now: float) -> None:
        while self.calls and self.calls[0][0] <= now:
            when, _, callback, handle = heapq.heappop(self.calls)
            self.now = max(self.now, when)
            if not handle.cancelled:
                callback()
        self.now = now

    @property
    def armed(self) -> int:
        return sum(not call[3].cancelled for call in self.calls)


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def rang() -> list[str]:
    return []


@pytest.fixture
def timers(loop: FakeLoop, rang: list[str]) -> Timers:
    return Timers(loop, rang.extend)


def test_timers_ring_in_order_of_their_time(loop: FakeLoop, rang: list[str], timers: Timers):
    timers.start("late", 2.0)
    timers.start("soon", 1.0)

    loop.run_to(3.0)

    assert rang == ["soon", "late"]
    assert len(timers) == 0


def test_setting_again_moves_a_timer(loop: FakeLoop, rang: list[str], timers: Timers):
    timers.start("beat", 1.0)
    timers.start("beat", 5.0)

    loop.run_to(4.0)
    assert rang == []

    loop.run_to(6.0)
    assert rang == ["beat"]


def test_moving_to_earlier_rings_once(loop: FakeLoop, rang: list[str], timers: Timers):
    timers.start("beat", 5.0)
    timers.start("beat", 1.0)

    loop.run_to(10.0)

    assert rang == ["beat"]


def test_only_one_handle_of_the_loop_is_used(loop: FakeLoop, timers: Timers):
    for number in range(100):
        timers.start(str(number), 100.0 - number)

    assert loop.armed == 1


def test_a_timer_may_start_itself_again(loop: FakeLoop):
    rang: list[float] = []

    def expired(names: list[str]) -> None:
        rang.append(loop.time())
        if len(rang) < 3:
            again.start(names[0], 1.0)

    again = Timers(loop, expired)
    again.start("beat", 1.0)
    loop.run_to(10.0)

    assert rang == [1.0, 2.0, 3.0]


def test_cleared_timers_never_ring(loop: FakeLoop, rang: list[str], timers: Timers):
    timers.start("beat", 1.0)
    timers.clear()

    loop.run_to(10.0)

    assert rang == []
    assert loop.armed == 0
