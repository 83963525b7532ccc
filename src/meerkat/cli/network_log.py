"""The network's own words, line by line with the time: who asked, who accepted, who was lost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from meerkat.errors import FolderError

from .visible import visible

__all__ = ["NETWORK_EVENTS", "NetworkLog"]

NETWORK_EVENTS = ("network", "peer_linked", "peer_lost", "member_joined", "renamed")
IDS = ("author", "member")
SHORT = 8  # hexadecimal digits of an id that people get to see


class NetworkLog:
    """Appends to a file, or does nothing without one. ``with`` it.

    Raises:
        FolderError: if the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._file = open(self._path, "a", encoding="utf-8", buffering=1)
            except OSError as error:
                raise FolderError(
                    f"{self._path} cannot be written ({error.strerror}). Name another file."
                ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, event: Mapping[str, Any]) -> None:
        """One event; others than the network's are left out."""
        if self._file is None or event["event"] not in NETWORK_EVENTS:
            return
        facts = {key: value for key, value in event.items() if key not in ("event", "what")}
        what = event["what"] if event["event"] == "network" else event["event"]
        words = " ".join(f"{key}={_value(key, value)}" for key, value in facts.items())
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        self._file.write(
            f"{stamp}.{int(now % 1 * 1000):03d} {visible(str(what)).upper()} {words}\n"
        )


def _value(key: str, value: object) -> str:
    text = visible(str(value))
    if key in IDS:
        return text[:SHORT]
    return f'"{text}"' if " " in text or not text else text
