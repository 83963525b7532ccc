"""The other end of the editor protocol, played by the test: exact messages in and out."""

from __future__ import annotations

import json
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any

__all__ = ["PlayedServer"]

RELAY = Path(__file__).with_name("relay.py")
HEARS_WITHIN = 20.0  # seconds


class PlayedServer:
    """Listens for one editor at a time; ``command`` is what the editor has to start."""

    def __init__(self, place: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen()
        self._listener.settimeout(HEARS_WITHIN)
        self.command = [sys.executable, "-S", str(RELAY), str(place)]
        self._connection: socket.socket | None = None
        self._data = b""
        self._put_back: deque[dict[str, Any]] = deque()

    def accept(self) -> None:
        """Wait for the editor, and greet it."""
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(HEARS_WITHIN)
        self._data = b""
        self._put_back.clear()
        self.answer(self.hear("initialize"))

    def next(self) -> dict[str, Any]:
        """The next message."""
        if self._put_back:
            return self._put_back.popleft()
        assert self._connection is not None
        while True:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if found:
                size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                if len(rest) >= size:
                    self._data = rest[size:]
                    message = json.loads(rest[:size])
                    assert isinstance(message, dict)
                    return message
            data = self._connection.recv(1 << 16)
            if not data:
                raise AssertionError("the editor hung up")
            self._data += data

    def hear(self, method: str) -> dict[str, Any]:
        """The next message, which must be ``method``; cursors are passed over unless wanted."""
        while True:
            message = self.next()
            if message["method"] == "cursor" and method != "cursor":
                self.answer(message)
                continue
            assert message["method"] == method, message
            return message

    def waits(self) -> bool:
        """Has the editor said something that was not heard yet (cursors aside)?"""
        assert self._connection is not None
        self._connection.setblocking(False)
        try:
            while data := self._connection.recv(1 << 16):
                self._data += data
        except BlockingIOError:
            pass
        finally:
            self._connection.settimeout(HEARS_WITHIN)
        while self._put_back or b"\r\n\r\n" in self._data:
            message = self.next()
            if message["method"] != "cursor":
                self._put_back.appendleft(message)
                return True
            self.answer(message)
        return False

    def send(self, message: dict[str, Any]) -> None:
        """Say something."""
        assert self._connection is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def answer(self, request: dict[str, Any], error: str = "") -> None:
        """Answer with success, or an error."""
        if error:
            fault = {"code": -1, "message": error, "data": error}
            self.send({"id": request["id"], "error": fault})
        else:
            self.send({"id": request["id"], "result": "success"})

    def notify(self, method: str, **params: Any) -> None:
        """Tell the editor something."""
        self.send({"method": method, "params": params})

    def edit(self, uri: str, revision: int, *edits: tuple[int, int, int, int, str]) -> None:
        """An edit of ours: (line, character, end line, end character, replacement), each."""
        delta = [
            {
                "range": {
                    "start": {"line": line, "character": character},
                    "end": {"line": end_line, "character": end},
                },
                "replacement": replacement,
            }
            for line, character, end_line, end, replacement in edits
        ]
        self.notify("edit", uri=uri, revision=revision, delta=delta)

    def open(self) -> tuple[str, str]:
        """Let the editor open a file: its URI and what it has."""
        request = self.hear("open")
        self.answer(request)
        return request["params"]["uri"], request["params"]["content"]

    def hang_up(self) -> None:
        """As if the process had died."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Over."""
        self.hang_up()
        self._listener.close()
