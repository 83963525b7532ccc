"""One peer of the demo: a real process, its folder, and its control socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.errors import MeerkatError, NotRunning
from meerkat.node.home import StateFolder

__all__ = ["DemoPeer", "wait_for"]

LOOK = 0.005  # seconds between looks at a condition that nobody announces (a file's bytes)
STARTS_WITHIN = 20.0
ENDS_WITHIN = 10.0


def wait_for(condition: Callable[[], bool], what: str, *, within: float) -> float:
    """Return, once ``condition`` holds, how many seconds that took.

    Raises:
        TimeoutError: if it does not hold in time.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise TimeoutError(f"after {within:.0f} s still not: {what}")
        time.sleep(LOOK)
    return time.monotonic() - began


class DemoPeer:
    """A peer by name. ``folder`` is what it shares; its output goes to ``NAME.jsonl`` beside."""

    def __init__(self, name: str, place: Path) -> None:
        self.name = name
        self.folder = place / name
        self._output = place / f"{name}.jsonl"
        self._errors = place / f"{name}.err"
        self._process: subprocess.Popen[bytes] | None = None
        self._client: ControlClient | None = None
        self.folder.mkdir()

    def start(self, *arguments: str, listen: bool = True) -> dict[str, Any]:
        """Run `meerkat ARGUMENTS` for the folder; the facts of its `ready` line."""
        self._output.unlink(missing_ok=True)
        command = [sys.executable, "-m", "meerkat", *arguments, str(self.folder)]
        options = ["--json", "--name", self.name]
        options += ["--listen", "127.0.0.1:0"] if listen else ["--no-listen"]
        with open(self._output, "wb") as output, open(self._errors, "ab") as errors:
            self._process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is ours to pass on
                env={"MEERKAT_DISCOVER": "0", **os.environ},  # nobody else's network is asked
            )
        wait_for(self._has_spoken, f"{self.name} is ready", within=STARTS_WITHIN)
        first: dict[str, Any] = json.loads(self._output.read_text().splitlines()[0])
        if first["event"] != "ready":
            raise MeerkatError(f"{self.name} did not start: {first.get('error', first)}")
        self._client = ControlClient(StateFolder(self.folder).control_socket())
        return first

    def status(self) -> dict[str, Any]:
        """How it is now."""
        return self._asked(schema.GetStatus())

    def cut_off(self, others: list[str]) -> None:
        """No network to the members with these ids."""
        self._asked(schema.Cut(members=tuple(others)))

    def heal(self) -> None:
        """The network is back."""
        self._asked(schema.Heal())

    def kill(self) -> None:
        """Kill it (signal 9): no goodbye, nothing is written any more."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._forget_client()

    def stop(self) -> None:
        """Leave gracefully; kill it if it does not."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._forget_client()

    def has(self, path: str, *pieces: str) -> bool:
        """Whether a text of the folder holds all these pieces."""
        try:
            text = (self.folder / path).read_text()
        except OSError:
            return False
        return all(piece in text for piece in pieces)

    def _asked(self, request: schema.Request) -> dict[str, Any]:
        if self._client is None:
            raise NotRunning(f"{self.name} is not running")
        return self._client.ask(request)

    def _forget_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _has_spoken(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None and b"\n" not in self._output.read_bytes():
            last = self._errors.read_text(errors="replace").strip().splitlines()[-1:]
            raise MeerkatError(f"{self.name} did not start: {''.join(last)}")
        return b"\n" in self._output.read_bytes()
