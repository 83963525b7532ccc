"""One open text of an editor: its edits go to the folder's process, and everyone else's come back.

Decides what the editor is told, and when a text is over for it. ``relay`` knows the revisions;
``folder`` has the connection.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from meerkat.control import schema
from meerkat.core.editing import RangeEdit, RangesChanged, Selection
from meerkat.core.ranges import EditorError
from meerkat.errors import MeerkatError, NotRunning

from .relay import Relay
from .rpc import delta_of, ranges_of
from .uris import Place, uri_beside

__all__ = ["Asking", "Editor", "LiveText"]

LOG = logging.getLogger(__name__)
NEW_FILE_WITHIN = 3.0  # seconds until the folder's process knows a file that was just made; guess
REOPEN_WITHIN = 10.0  # seconds to open a text anew that was open before; guess
LOOK = 0.1  # seconds between two attempts
REASON_WITHIN = 2.0  # seconds until we hear why an edit was refused; it comes with the refusal
JUST_MADE = 10.0  # seconds since a file changed last, to count as just made; guess
# Why a session may be over for a reason that another one heals: the text is there all the same.
LINE_ENDS = "line_ends"  # the extension: an editor that has LF, and is told what its file has
HEALED = ("replaced", "slow", "stale")
MAX_REOPENED = 5  # times in a row, without an edit taken in between

Answer = Callable[[str], None]
"""Called once with a sentence if something was refused, or with "" if it was carried out."""


class Asking(Protocol):
    """A connection to the folder's process."""

    async def ask(self, request: schema.Request, *, within: float | None = ...) -> dict[str, Any]:
        """The result of a request."""


class Editor(Protocol):
    """Whose text it is."""

    announced: frozenset[str]
    """The extensions of the protocol that it understands."""
    saves: bool
    """It writes its files itself."""

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification."""

    def renamed(self, text: LiveText, uri: str) -> None:
        """Its text may be called ``uri``, too."""


class LiveText:
    """A text that an editor has opened. ``uri`` is as the editor spells it."""

    def __init__(self, uri: str, place: Place, content: str, editor: Editor) -> None:
        self.uri = uri
        self.over = ""  # why it takes no more, as a sentence
        self.opened = False  # it was, once
        self._path = place.path
        self._file = place.file
        self._editor = editor
        self._relay = Relay(content, has_lf=LINE_ENDS in editor.announced)
        self._chosen: bool | None = None  # CRLF or not, and not sent yet
        self._channel: Asking | None = None
        self._number = 0  # of its session on that connection
        self._session_over = asyncio.Event()
        self._opening: list[Mapping[str, Any]] | None = None  # events of a session being opened
        self._selections: tuple[Selection, ...] = ()
        self._reopened = 0
        self._live: bool | None = None  # as the editor was told

    # -- what the editor says ----------------------------------------------------------------

    async def edit(self, revision: int, delta: tuple[RangeEdit, ...], answer: Answer) -> None:
        """Its person typed. Runs up to the socket without a pause."""
        if self.over:
            answer(self.over)
            return
        try:
            typed = self._relay.from_editor(revision, delta)
        except EditorError as error:
            sentence = f"{error}"
            self.end("protocol", sentence)
            answer(sentence)
            if self._channel is not None:
                await self._close(self._channel, self._number)
            return
        if typed.resend is not None:
            self._tell_edit(typed.resend)
        if typed.forward is None or self._channel is None:
            answer("")  # it is kept here until there is a process again
            return
        await self._send(self._channel, typed.forward, answer)

    async def cursor(self, selections: tuple[Selection, ...]) -> None:
        """Its person's cursors moved."""
        self._selections = selections
        if self._channel is not None and self._relay.connected:
            await self._send_cursor(self._channel)

    async def choose_line_ends(self, *, crlf: bool) -> None:
        """Its person wants the file's lines to end in CRLF, or in LF."""
        self._chosen = crlf
        if self._channel is not None and self._relay.connected:
            await self._send_chosen(self._channel)

    async def close(self) -> None:
        """The editor is done with it."""
        self.over = self.over or "This text is closed."
        if self._channel is not None and self._number:
            await self._close(self._channel, self._number)

    # -- the connection ----------------------------------------------------------------------

    async def connect(self, channel: Asking, numbers: Callable[[], int], answer: Answer) -> bool:
        """Open it there, for the first time or anew. ``numbers`` gives a session's.

        ``answer`` hears of it before the editor hears of anything else. True: it is over again
        and must be connected once more.
        """
        self._number = 0
        try:
            if not self.opened:
                await self._make()
            base = await self._base(channel, numbers)
            reply = await self._open(channel, numbers, base)
            self._path = str(reply["path"])
            if not self.over:
                self.opened = True
                answer("")
                await self._catch_up(channel)
        except NotRunning:
            self.disconnect()
            if not self.opened:
                answer("The folder's process ended; open the text again.")
            return False
        except MeerkatError as error:
            early, self._opening = self._opening or [], None
            if any(self.hear(event) for event in early):
                return True
            self.end("protocol" if self.opened else "deleted", str(error))
            answer(self.over)
            return False
        if self.over:  # the editor closed it meanwhile
            await self._close(channel, self._number)
            answer(self.over)
            return False
        self._channel = channel
        self._relay.connect()
        self._tell_live(True)
        early, self._opening = self._opening or [], None
        if any(self.hear(event) for event in early):
            return True
        if self._selections and self._channel is not None:
            await self._send_cursor(channel)
        if self._chosen is not None and self._channel is not None:
            await self._send_chosen(channel)
        return False

    def disconnect(self) -> None:
        """The connection is gone; its typing is kept here."""
        self._channel, self._opening, self._number = None, None, 0
        self._relay.disconnect()
        self._session_over.set()
        if self.opened and not self.over:
            self._tell_live(False)

    def hear(self, event: Mapping[str, Any]) -> bool:
        """What the process says about it. True if it must be connected anew."""
        if event["session"] != self._number or self.over:
            return False
        if self._opening is not None:
            self._opening.append(event)
            return False
        match event["what"]:
            case "edit":
                self._reopened = 0
                edits = [
                    RangeEdit(tuple(one["start"]), tuple(one["end"]), one["replacement"])
                    for one in event["edits"]
                ]
                change = self._relay.from_process(event["revision"], edits)
                if change is not None:
                    self._tell_edit(change)
            case "cursor":
                self._tell_cursor(event)
            case "line_ends":
                if LINE_ENDS in self._editor.announced:
                    params = {"uri": self.uri, "crlf": event["crlf"]}
                    self._editor.tell("line_ends", params)
            case "moved":
                self._move(str(event["path"]))
            case "closed":
                return self._closed(str(event["reason"]), str(event["text"]))
        return False

    def end(self, reason: str, sentence: str) -> None:
        """The editor must open it again, if it wants to go on with it."""
        if self.over:
            return
        self.over = sentence
        if self.opened and "closed" in self._editor.announced:
            params = {"uri": self.uri, "reason": reason, "text": sentence}
            self._editor.tell("closed", params)

    # -- private -----------------------------------------------------------------------------

    async def _base(self, channel: Asking, numbers: Callable[[], int]) -> str:
        if not self._relay.doubtful:
            return self._relay.base()
        look = schema.OpenText(session=numbers(), path=self._path, saves=self._editor.saves)
        there = await channel.ask(look, within=None)
        await channel.ask(schema.CloseText(session=look.session), within=None)
        return self._relay.base(str(there["text"]))

    async def _open(self, channel: Asking, numbers: Callable[[], int], base: str) -> dict[str, Any]:
        until = time.monotonic() + self._patience()
        while True:
            self._number, self._opening = numbers(), []
            self._session_over = asyncio.Event()
            request = schema.OpenText(
                session=self._number,
                path=self._path,
                content=base,
                saves=self._editor.saves,
                line_ends=LINE_ENDS in self._editor.announced,
            )
            try:
                return await channel.ask(request, within=None)
            except NotRunning:
                raise
            except MeerkatError:
                if self.over or time.monotonic() > until:
                    raise
            await asyncio.sleep(LOOK)

    async def _catch_up(self, channel: Asking) -> None:
        """Send what was typed while there was no session. Meanwhile the editor may type on."""
        self._relay.begin()
        while (change := self._relay.next_kept()) is not None:
            await channel.ask(self._request(change), within=None)
            self._relay.took_kept()

    async def _make(self) -> None:
        """A file that is not there yet is made: plugins open what is about to be saved."""
        with suppress(OSError):
            os.close(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))

    def _patience(self) -> float:
        """Seconds for which a refusal to open it may be a matter of time."""
        if self.opened:
            return REOPEN_WITHIN
        try:
            just_made = time.time() - self._file.stat().st_mtime < JUST_MADE
        except OSError:
            return 0.0
        return NEW_FILE_WITHIN if just_made else 0.0

    def _request(self, change: RangesChanged) -> schema.EditText:
        edits = tuple(schema.Replacement(e.start, e.end, e.replacement) for e in change.edits)
        return schema.EditText(session=self._number, revision=change.revision, edits=edits)

    async def _send(self, channel: Asking, change: RangesChanged, answer: Answer) -> None:
        number, count, over = self._number, self._relay.sent, self._session_over
        try:
            await channel.ask(self._request(change), within=None)
        except NotRunning:
            answer("")  # it is sent again when there is a process again
            return
        except MeerkatError as error:
            # Was it this edit, or was the session over before? An event says so, now or soon.
            with suppress(TimeoutError):
                async with asyncio.timeout(REASON_WITHIN):
                    await over.wait()
            if self._number == number:
                self.end("protocol", str(error))
            answer(self.over)
            return
        if self._number == number:
            self._relay.confirm(count)
            self._reopened = 0
        answer("")

    async def _send_cursor(self, channel: Asking) -> None:
        request = schema.TextCursor(session=self._number, selections=self._selections)
        with suppress(MeerkatError):  # a cursor that is not shown is no harm
            await channel.ask(request, within=None)

    async def _send_chosen(self, channel: Asking) -> None:
        assert self._chosen is not None
        request = schema.ChooseLineEnds(session=self._number, crlf=self._chosen)
        with suppress(NotRunning):  # sent again when there is a process again
            with suppress(MeerkatError):  # the text is over, and says so itself
                await channel.ask(request, within=None)
            self._chosen = None

    async def _close(self, channel: Asking, number: int) -> None:
        self._number = 0
        with suppress(MeerkatError):  # it is closed anyway when the connection ends
            await channel.ask(schema.CloseText(session=number), within=None)

    def _closed(self, reason: str, sentence: str) -> bool:
        heals = reason in HEALED and self._reopened < MAX_REOPENED
        if heals or reason == "stopping":
            self.disconnect()
            self._reopened += heals
        else:
            self._session_over.set()
            self.end(reason, sentence)
        return heals

    def _move(self, path: str) -> None:
        old, self._path = self._path, path
        if "moved" not in self._editor.announced:
            return
        uri = uri_beside(self.uri, old, path)
        self._editor.tell("moved", {"uri": self.uri, "to": uri})
        self._editor.renamed(self, uri)

    def _tell_edit(self, change: RangesChanged) -> None:
        delta = delta_of(change.edits)
        params = {"uri": self.uri, "revision": change.revision, "delta": delta}
        self._editor.tell("edit", params)

    def _tell_cursor(self, event: Mapping[str, Any]) -> None:
        params: dict[str, Any] = {
            "userid": event["user"],
            "name": event["name"],
            "uri": self.uri,
            "ranges": ranges_of(event["selections"]),
        }
        if "people" in self._editor.announced:
            params |= {"color": event["color"], "member": event["member"]}
        self._editor.tell("cursor", params)

    def _tell_live(self, live: bool) -> None:
        if "live" in self._editor.announced and live is not self._live:
            self._live = live
            self._editor.tell("live", {"uri": self.uri, "live": live})
