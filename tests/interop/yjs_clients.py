"""Yjs clients in a process of node, without a network: the test carries their frames."""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent


class YjsClients:
    """Each call is one action of one client; what it then sends is in ``frames``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", "yjs_clients.mjs"],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.frames: dict[int, list[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def __call__(self, client: int, action: str, **what: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([{"action": action, "id": client, **what}]) + "\n")
        stdin.flush()
        (answer,) = json.loads(stdout.readline())
        sent = self.frames.setdefault(client, [])
        sent += map(b64decode, answer["frames"])
        return answer.get("value")

    def hear(self, client: int, frames: Sequence[bytes]) -> None:
        self(client, "hear", frames=[b64encode(frame).decode() for frame in frames])

    def take(self, client: int) -> list[bytes]:
        """What the client sent since the last time."""
        sent, self.frames[client] = self.frames.get(client, []), []
        return sent
