"""Node processes that act as browser tabs: the unmodified `yjs` and `y-websocket` of npm."""

from __future__ import annotations

import json
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

HERE = Path(__file__).parent
ANSWERS_WITHIN = 60.0  # s; most answers wait for another process


class Tabs:
    """Some tabs in one process of node, each by its name. ``with`` it."""

    def __init__(self) -> None:
        node = shutil.which("node")
        assert node is not None
        self._process = subprocess.Popen(
            [node, "tabs.mjs"],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.kill()
        self._process.wait()

    def open(self, tab: str, page: str, room: str, *, token: str | None = None) -> None:
        """Join a text. ``page``: the address that `meerkat web` prints, with its token."""
        parts = urlsplit(page)
        own = parts.fragment.removeprefix("token=")
        self.do(
            "open",
            tab=tab,
            server=f"ws://{parts.netloc}/yjs",
            room=room,
            token=own if token is None else token,
        )

    def do(self, action: str, **arguments: object) -> dict[str, Any]:
        """What the tab's user does, or waits for; its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": action, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line(f"{action} {arguments}"))
        assert "error" not in answer, answer["error"]
        return answer

    def _line(self, what: str) -> bytes:
        stream = self._process.stdout
        assert stream is not None
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([stream], [], [], ANSWERS_WITHIN)
            if not ready:
                raise TimeoutError(f"after {ANSWERS_WITHIN:.0f} s no answer to: {what}")
            data = stream.read1(1 << 16)  # type: ignore[attr-defined]
            if not data:
                raise EOFError(f"node ended before it answered to: {what}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line
