"""A thread that runs calls in order, timed ones when due, and long work in slices between them."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

__all__ = ["Worker"]

LOG = logging.getLogger(__name__)
SLICE = 0.004  # seconds of background work before calls are looked at again; guess


class Worker:
    """One thread. ``call`` and ``wake`` may be used from any thread, the rest from its own.

    ``after_turn`` runs after each turn, with whether background work is left.
    """

    def __init__(self, name: str, after_turn: Callable[[bool], None] | None = None) -> None:
        self._condition = threading.Condition()
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._background: deque[Iterator[None]] = deque()
        self._after_turn = after_turn
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the call in hand, drop the rest, join the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def call(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the thread, after all calls before it."""
        with self._condition:
            self._calls.append(function)
            self._condition.notify()

    def at(self, when: float, function: Callable[[], None]) -> None:
        """Run ``function`` at ``when`` on the monotonic clock."""
        heapq.heappush(self._timers, (when, next(self._numbers), function))

    def in_background(self, work: Iterator[None]) -> None:
        """Advance ``work`` whenever there is nothing else to do; several take turns."""
        self._background.append(work)

    @property
    def stopping(self) -> bool:
        """Whether long work should give up."""
        return self._stopping

    def _run(self) -> None:
        while not self._stopping:
            for function in self._wait_for_calls():
                if self._stopping:
                    return
                self._guard(function)
            self._run_slice()
            if self._after_turn is not None:
                self._guard(lambda: self._after_turn and self._after_turn(bool(self._background)))
        for work in self._background:
            close = getattr(work, "close", None)
            if close is not None:
                close()

    def _wait_for_calls(self) -> list[Callable[[], None]]:
        with self._condition:
            while not self._calls and not self._stopping and not self._background:
                timeout = None
                if self._timers:
                    timeout = self._timers[0][0] - time.monotonic()
                    if timeout <= 0:
                        break
                self._condition.wait(timeout)
            calls = list(self._calls)
            self._calls.clear()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            calls.append(heapq.heappop(self._timers)[2])
        return calls

    def _run_slice(self) -> None:
        end = time.monotonic() + SLICE
        while self._background and not self._stopping:
            work = self._background[0]
            try:
                next(work)
            except StopIteration:
                self._background.popleft()
            except Exception:
                LOG.exception("background work of the folder failed")
                self._background.popleft()
            else:
                self._background.rotate(-1)
            if self._calls or time.monotonic() >= end:
                return

    @staticmethod
    def _guard(function: Callable[[], object]) -> None:
        # One bad call must not end the thread that all later ones need.
        try:
            function()
        except Exception:
            LOG.exception("the folder failed; it goes on with the next call")
