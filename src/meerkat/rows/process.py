"""The rows process: ``python -m meerkat.rows.process FOLDER [--alone]``.

Started by the node (``node.rows_host``), it reads frames from its standard input and writes frames
to its standard output, until the input ends: then its parent is gone or done with it. It opens
every live database of the folder, and nobody else does. What it does is decided in ``serving``.
"""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import selectors
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from .frames import FrameWriter, Splitter
from .serving import Serving, ServingConfig
from .wire import Said, decode_asked, encode
from .working import Working

__all__ = ["main"]

LOG = logging.getLogger(__name__)
ALONE = "--alone"  # one database at a time, so that it is clear which one a crash is due to

READ_BYTES = 256 * 1024  # at once
WAITING_BYTES = 32 * 1024 * 1024  # of requests not begun, then the node has to wait; guess
CLOSING = 3.0  # seconds for what is under way when the input has ended
# Seconds a thread keeps the interpreter. A look at one database takes it some fifty times: beside
# one that merges in bulk that took 70 ms (at worst 600) with Python's 5 ms, with this 25-50 (200).
SWITCH = 0.0005


def main(arguments: list[str]) -> int:
    """Serve the folder ``arguments[0]`` until the input ends."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)  # meant for the node, which then ends our input
    sys.setswitchinterval(SWITCH)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # up to six descriptors for each database
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder = Path(arguments[0]).resolve()
    state = folder / ".meerkat" / "rows"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _wait_alone(state / "lock")
    config = ServingConfig(threads=1) if ALONE in arguments else ServingConfig()
    process = _Process(folder, Working(state / "working"), config)
    process.serve()
    os.close(lock)
    return 0


class _Process:
    """The main thread's loop."""

    def __init__(self, folder: Path, working: Working, config: ServingConfig) -> None:
        self._input, output = _own_descriptors()
        self._writer = FrameWriter(output)
        self._bell, self._rope = os.pipe()
        for descriptor in (self._input, self._bell, self._rope):
            os.set_blocking(descriptor, False)
        self._splitter = Splitter()
        self._serving = Serving(folder, self._say, self._wake, working, config)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._reading = False
        self._ended = False

    def serve(self) -> None:
        """Return when the input has ended and all is closed; or exit, if that takes too long."""
        within = 0.0
        while not self._ended:
            self._read_on(self._serving.waiting_bytes < WAITING_BYTES)
            for key, _ in self._selector.select(within):
                if key.fd == self._bell:
                    self._drain_bell()
                else:
                    self._read()
            within = self._serving.turn(time.monotonic())
        if not self._serving.close(CLOSING):
            LOG.error("something is stuck: ending without it")
            os._exit(1)

    def _read_on(self, on: bool) -> None:
        if on and not self._reading:
            self._selector.register(self._input, selectors.EVENT_READ)
        elif self._reading and not on:
            self._selector.unregister(self._input)
        self._reading = on

    def _read(self) -> None:
        try:
            data = os.read(self._input, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._ended = True
            return
        for body in self._splitter.feed(data):
            self._serving.handle(decode_asked(body))

    def _drain_bell(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._bell, READ_BYTES):
                pass

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # it rings already
            os.write(self._rope, b"!")

    def _say(self, said: Said) -> None:
        """From any thread. Waits while the node does not read."""
        try:
            self._writer.write(encode(said))
        except BrokenPipeError:
            os._exit(0)  # nobody is there any more; everything is durable


def _wait_alone(path: Path) -> int:
    """A lock that one process of a folder has; it goes with the descriptor, or with the process.

    When a node was killed, its rows process may need some seconds to end, and nobody else may write
    to the states meanwhile.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _own_descriptors() -> tuple[int, int]:
    """Our input and output under numbers that a stray ``print`` does not know."""
    output = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
    os.dup2(2, 1)
    return 0, output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
