"""What the editor knows of the folder around its text: who is where, who is followed, which files.

Asks the folder's process; decides who somebody is that is followed from text to text.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from meerkat.core.shown_text import one_line
from meerkat.errors import MeerkatError

from .connection import Folder
from .panel import Here
from .people import PLAIN_COLOR, Cursor, OwnState

__all__ = ["Around"]


class Around:
    """The last answers; ``look`` and ``list_files`` ask anew."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.linked = 0  # peers
        self.is_synced = False  # all of them have all that we have
        self.name, self.color = "", PLAIN_COLOR  # ours
        self.here: list[Here] = []
        self.following: Here | None = None
        self.files: Sequence[dict[str, Any]] = ()

    async def look(self, path: str) -> bool:
        """Who is here, and how we are called; ``path``: our text. False: nobody answers."""
        try:
            status = await self._folder.status()
            people = await self._folder.people()
        except MeerkatError:
            return False
        peers = status.get("peers", ())
        self.linked = len(peers)
        self.is_synced = bool(peers) and all(one.get("in_sync") for one in peers)
        self.name = one_line(str(status.get("name", ""))) or "somebody"
        for member in status.get("members", ()):
            if member["member"] == status.get("member"):
                self.color = str(member.get("color") or self.color)
        own = [one for one in people if one["own"]]
        ours = next((one for one in own if one["path"] == path), None)
        self.here = [
            Here(one_line(str(one["name"])), str(one["color"]), str(one["path"]), bool(one["own"]))
            for one in people
            if one is not ours
        ]
        return True

    async def list_files(self) -> list[str]:
        """The paths that can be edited; those known before, if nobody answers."""
        with suppress(MeerkatError):
            self.files = await self._folder.files()
        return self.texts()

    def texts(self) -> list[str]:
        """The paths that can be edited."""
        return sorted(str(one["path"]) for one in self.files if one["kind"] == "text")

    def own_state(self, before: OwnState) -> OwnState:
        """What we show of ourselves in a text."""
        return OwnState(before.client, self.name, self.color, before.clock)

    def place_to_go(self, path: str) -> str:
        """The text to go to, to be where the followed person is; empty: we are there."""
        person = self.following
        if person is None:
            return ""
        same = [one for one in self.here if (one.name, one.color) == (person.name, person.color)]
        paths = [one.path for one in same]
        return paths[0] if paths and path not in paths else ""

    def followed(self, cursors: Sequence[Cursor]) -> Cursor | None:
        """The followed person's cursor in our text."""
        person = self.following
        if person is None:
            return None
        named = [one for one in cursors if one.name == person.name]
        return next(
            (one for one in named if one.color == person.color), named[0] if named else None
        )
