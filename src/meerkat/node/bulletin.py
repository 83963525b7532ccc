"""News for people and programs: a name and plain facts, to everyone who listens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Bulletin", "Listener"]

LOG = logging.getLogger(__name__)
Listener = Callable[[Mapping[str, Any]], None]


class Bulletin:
    """Listeners are called on the loop's thread; one that fails is dropped."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` everything from now on; returns how to stop that."""
        key = object()
        self._listeners[key] = listener
        return lambda: self._listeners.pop(key, None) and None

    def publish(self, name: str, /, **facts: Any) -> None:
        """Tell everyone. Control lines and ``--json`` carry exactly this dictionary."""
        event = {"event": name, **facts}
        for key, listener in list(self._listeners.items()):
            try:
                listener(event)
            except Exception:
                LOG.exception("a listener failed on %r and hears no more", name)
                self._listeners.pop(key, None)
