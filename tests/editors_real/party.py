"""Several Neovims on one text, with the test in the place of the node between them.

The transformation is the real one (``core.ot``); processes, files and links are left out, so that
thousands of crossings fit in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from meerkat.core.editing import RangeEdit, RangesChanged
from meerkat.core.edits import Edit, apply_edits
from meerkat.core.ot import EditorSide
from tests.editors_real.neovim import Neovim, wait_until
from tests.editors_real.played_server import PlayedServer

__all__ = ["Guest", "Party", "delta_of", "edits_of"]


def edits_of(delta: Sequence[dict[str, Any]]) -> list[RangeEdit]:
    """A delta of the protocol as the core has it."""
    result = []
    for item in delta:
        start, end = item["range"]["start"], item["range"]["end"]
        result.append(
            RangeEdit(
                (start["line"], start["character"]),
                (end["line"], end["character"]),
                item["replacement"],
            )
        )
    return result


def delta_of(change: RangesChanged) -> list[tuple[int, int, int, int, str]]:
    """A change of ours as ``PlayedServer.edit`` takes it."""
    return [(*edit.start, *edit.end, edit.replacement) for edit in change.edits]


class Guest:
    """One Neovim with its file, and the node's side of it."""

    def __init__(self, place: Path, name: str, content: bytes, options: dict[str, Any]) -> None:
        folder = place / name
        (folder / ".meerkat").mkdir(parents=True)
        self.path = folder / "text"
        self.path.write_bytes(content)
        self.server = PlayedServer(place / f"{name}.socket")
        self.neovim = Neovim(
            place / f"home-{name}", self.server.command, options=options, folder=folder
        )
        self.neovim.edit(self.path)
        self.server.accept()
        self.uri, opened = self.server.open()
        self.side = EditorSide(opened)
        self.neovim.live()

    def close(self) -> None:
        """Over."""
        self.neovim.close()
        self.server.close()


class Party:
    """The text, and everyone who has it open."""

    def __init__(
        self, place: Path, names: Sequence[str], content: bytes, options: dict[str, Any]
    ) -> None:
        self.guests = [Guest(place, name, content, options) for name in names]
        self.text = self.guests[0].side.text

    def hear(self, guest: Guest) -> bool:
        """Take everything that one has said; whether that was anything."""
        heard = False
        while guest.server.waits():
            heard = True
            request = guest.server.hear("edit")
            params = request["params"]
            came = guest.side.from_editor(params["revision"], edits_of(params["delta"]))
            guest.server.answer(request)
            self._send(guest, came.resend)
            self._apply(came.edits, guest)
        return heard

    def edit(self, edits: Sequence[Edit]) -> None:
        """Someone without an editor changed the text."""
        self._apply(edits, None)

    def _apply(self, edits: Sequence[Edit], by: Guest | None) -> None:
        if not edits:
            return
        self.text = apply_edits(self.text, edits)
        for guest in self.guests:
            if guest is not by:
                self._send(guest, guest.side.from_us(edits))
            assert guest.side.text == self.text

    def _send(self, guest: Guest, changes: Sequence[RangesChanged]) -> None:
        for change in changes:
            guest.server.edit(guest.uri, change.revision, *delta_of(change))

    def settle(self) -> None:
        """Go on until nobody says anything new and everyone shows the text."""

        def quiet() -> bool:
            for guest in self.guests:
                guest.neovim.input("<Esc>")
            heard = [self.hear(guest) for guest in self.guests]
            return not any(heard) and all(g.neovim.text() == self.text for g in self.guests)

        try:
            wait_until(quiet, "one text everywhere", within=10)
        except AssertionError as problem:
            shown = "".join(f"\n{guest.path}: {guest.neovim.text()!r}" for guest in self.guests)
            said = "".join(f"\n{guest.neovim.messages()}" for guest in self.guests)
            raise AssertionError(f"{problem}\nnode: {self.text!r}{shown}{said}") from None

    def close(self) -> None:
        """Over."""
        for guest in self.guests:
            guest.close()
