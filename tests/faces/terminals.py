"""A command on a terminal, as a person has it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading

from meerkat.cli.demo_peer import wait_for

__all__ = ["WITHIN", "Terminal"]

WITHIN = 40.0  # seconds; a machine may be swamped


class Terminal:
    """A command on a terminal of 80 x 24; everything it draws is in ``output``."""

    def __init__(self, *arguments: object) -> None:
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.output = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "meerkat", *map(str, arguments)],
            stdin=side,
            stdout=side,
            stderr=side,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(side)
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._main, 65_536)
            except OSError:  # the other side is gone
                return
            if not data:
                return
            self.output += data

    def press(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    def shows(self, text: str) -> None:
        """Wait until it has drawn this."""
        wait_for(lambda: text.encode() in self.output, f"{text!r} is drawn", within=WITHIN)

    def is_live(self) -> None:
        """Wait until its text is the folder's."""
        words = (b" saved ", b" synced ")
        wait_for(
            lambda: any(word in self.output for word in words), "the text is live", within=WITHIN
        )

    def end(self) -> int:
        """Ctrl-Q, and the exit code."""
        self.press("\x11")
        return self.process.wait(WITHIN)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reading.join()
        os.close(self._main)
