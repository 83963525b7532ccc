"""The rows process as a child of the node: frames to it, frames from it, its end.

Nothing of SQLite is loaded here. What is said is decided in ``rows_host``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import site
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import cast

from meerkat.rows.frames import FrameError, Splitter, frame

__all__ = ["RowsChild", "start_child"]

LOG = logging.getLogger(__name__)
MODULE = "meerkat.rows.process"
ALONE = "--alone"  # see there

WRITE_BYTES = 256 * 1024  # given to the pipe and not taken yet; more waits here
_LINE_BYTES = 4 * 1024  # of what it prints, that are logged
_OUTPUT, _ERRORS = 1, 2


class RowsChild(asyncio.SubprocessProtocol):
    """One run of the process. ``heard`` gets what arrives at once, ``ended`` is called last."""

    def __init__(self, heard: Callable[[list[bytes]], None], ended: Callable[[], None]) -> None:
        self._heard, self._ended = heard, ended
        self._splitter = Splitter()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._closing = False
        self._process: asyncio.SubprocessTransport | None = None
        self._input: asyncio.WriteTransport | None = None
        self._gone = asyncio.Event()

    @property
    def queued_bytes(self) -> int:
        """What the process has not taken yet."""
        taken = self._input.get_write_buffer_size() if self._input is not None else 0
        return self._waiting_bytes + taken

    def write(self, body: bytes) -> None:
        """Send a frame, after those before it."""
        framed = frame(body)
        self._waiting.append(framed)
        self._waiting_bytes += len(framed)
        self._flush()

    def close(self) -> None:
        """Let it end when it has read everything."""
        self._closing = True
        self._flush()

    def kill(self) -> None:
        """End it now; what it had to say is lost."""
        if self._process is not None and self._process.get_returncode() is None:
            self._process.kill()

    async def wait_ended(self, within: float) -> bool:
        """Whether it ended in so many seconds."""
        try:
            await asyncio.wait_for(self._gone.wait(), within)
        except TimeoutError:
            return False
        return True

    @property
    def pid(self) -> int | None:
        return self._process.get_pid() if self._process is not None else None

    # --- What the loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._process = cast("asyncio.SubprocessTransport", transport)
        self._input = cast("asyncio.WriteTransport", self._process.get_pipe_transport(0))
        self._input.set_write_buffer_limits(WRITE_BYTES)
        self._flush()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _ERRORS:
            text = data[:_LINE_BYTES].decode(errors="replace").rstrip()
            LOG.warning("the rows process says: %s", text)
            return
        try:
            bodies = self._splitter.feed(data)
        except FrameError:
            LOG.exception("the rows process makes no sense")
            self.kill()
            return
        if bodies:
            self._heard(bodies)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._input = None
        if self._process is not None:
            self._process.close()
        self._gone.set()
        self._ended()

    def _flush(self) -> None:
        while self._waiting and self._input is not None and not self._paused:
            framed = self._waiting.popleft()
            self._waiting_bytes -= len(framed)
            self._input.write(framed)
        if self._closing and not self._waiting and self._input is not None:
            self._input.close()


async def start_child(folder: Path, child: RowsChild, *, alone: bool) -> None:
    """Start the process for ``folder``; ``child`` hears of everything from now on.

    A program of its own, not a fork of this one: no descriptor but its three is inherited, and
    gRPC's threads have no part in it.

    Raises:
        OSError: if it cannot be started.
    """
    loop = asyncio.get_running_loop()
    # Not the directory we are in (-P): it may be the shared one, and hold anything.
    command = [sys.executable, "-P", "-X", "faulthandler", "-m", MODULE, str(folder)]
    await loop.subprocess_exec(
        lambda: child,
        *command,
        *((ALONE,) if alone else ()),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    """Ours; and meerkat is found where we found it, if it is not installed."""
    source = str(Path(__file__).absolute().parents[2])
    environment = dict(os.environ)
    if source not in site.getsitepackages():
        known = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (known, source)))
    return environment
