"""One editor: its requests are read, carried out and answered, in any number at once.

Decides which request goes where. What is wrong with a message costs that message an error; what is
wrong with an edit costs that text's session, since the editor counts it as sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Self

from meerkat.errors import MeerkatError

from .folder import FolderLink, Start
from .framing import Frames, frame
from .live_text import LiveText
from .rpc import (
    PARSE_ERROR,
    REFUSED,
    UNKNOWN_METHOD,
    Call,
    RpcError,
    error_reply,
    notification,
    parse,
    read_content,
    read_crlf,
    read_delta,
    read_names,
    read_revision,
    read_selections,
    read_uri,
    success,
)
from .uris import place_of

__all__ = ["EditorServer"]

LOG = logging.getLogger(__name__)
MAX_TEXTS = 256  # open at once; the folder's process takes no more on one connection
NOT_OPEN = "This text is not open; open it first."


class EditorServer:
    """``write`` takes frames for the editor. ``async with`` it, and let it ``receive``."""

    def __init__(self, write: Callable[[bytes], None], start: Start) -> None:
        self.announced: frozenset[str] = frozenset()
        self.saves = (
            False  # Teamtype's plugin for Neovim does not: its `:w` is for the daemon to do
        )
        self._write = write
        self._start = start
        self._frames = Frames()
        self._texts: dict[str, LiveText] = {}  # by URI, as the editor spells it
        self._links: dict[Path, FolderLink] = {}
        self._link_of: dict[LiveText, FolderLink] = {}
        self._working: set[asyncio.Task[None]] = set()  # on what the editor asked for
        self._opening = 0  # texts
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._links_running: list[asyncio.Task[None]] = []
        return self

    async def wait_idle(self) -> None:
        """Return when all that the editor asked for so far is done."""
        await self._idle.wait()

    async def __aexit__(self, *_: object) -> None:
        for task in (*self._working, *self._links_running):
            task.cancel()
        await self._group.__aexit__(None, None, None)

    def receive(self, data: bytes) -> None:
        """Bytes of the editor, however they are cut.

        Raises:
            FrameError: if nothing more can be understood.
        """
        for body in self._frames.feed(data):
            if body is None:
                self._put(error_reply(None, RpcError(PARSE_ERROR, "This message is too large.")))
            else:
                self._handle(body)

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """A notification for the editor."""
        self._put(notification(method, params))

    def renamed(self, text: LiveText, uri: str) -> None:
        """The editor may call a text by another name from now on."""
        self._texts.setdefault(uri, text)

    # -- private -----------------------------------------------------------------------------

    def _handle(self, body: bytes) -> None:
        call: Call | None = None
        try:
            call = parse(body)
            if call is not None:
                self._carry_out(call)
        except RpcError as error:
            number = call.id if call is not None else error.number
            if call is None or call.wants_reply:
                self._put(error_reply(number, error))

    def _carry_out(self, call: Call) -> None:
        match call.method:
            case "edit":
                self._edit(call)
            case "cursor":
                text = self._texts.get(read_uri(call.params))
                selections = read_selections(call.params)
                if text is not None:  # else it is over, and told so by its edits
                    self._spawn(text.cursor(selections))
                self._answer(call, "")
            case "line_ends":
                text = self._texts.get(read_uri(call.params))
                crlf = read_crlf(call.params)
                if text is not None:
                    self._spawn(text.choose_line_ends(crlf=crlf))
                self._answer(call, "")
            case "open":
                self._open(call)
            case "close":
                self._close(read_uri(call.params))
                self._answer(call, "")
            case "initialize":
                self.announced = read_names(call.params, "extensions")
                self.saves = True
                self._answer(call, "")
            case method:
                raise RpcError(UNKNOWN_METHOD, f"There is no method {method!r:.100}.")

    def _open(self, call: Call) -> None:
        uri, content = read_uri(call.params), read_content(call.params)
        self._close(uri)  # opening anew is how an editor begins again
        if len(self._link_of) >= MAX_TEXTS:
            raise RpcError(REFUSED, "Too many texts are open; close some.")
        try:
            place = place_of(uri)
        except MeerkatError as error:
            raise RpcError(REFUSED, str(error)) from error
        text = self._texts[uri] = LiveText(uri, place, content, self)
        link = self._link_of[text] = self._link(place.folder)

        def opened(problem: str) -> None:
            if problem:
                self._forget(text)
            self._opening -= 1
            self._look_idle()
            self._answer(call, problem)

        self._opening += 1
        self._idle.clear()
        link.add(text, opened)

    def _edit(self, call: Call) -> None:
        text = self._texts.get(read_uri(call.params))
        if text is None:
            raise RpcError(REFUSED, NOT_OPEN)
        try:
            revision, delta = read_revision(call.params), read_delta(call.params)
        except RpcError as error:
            text.end("protocol", error.message)
            self._spawn(text.close())
            raise
        text.uri = str(call.params["uri"])
        self._spawn(text.edit(revision, delta, lambda problem: self._answer(call, problem)))

    def _close(self, uri: str) -> None:
        text = self._texts.get(uri)
        if text is not None:
            self._spawn(text.close())
            self._forget(text)

    def _forget(self, text: LiveText) -> None:
        for uri in [uri for uri, one in self._texts.items() if one is text]:
            del self._texts[uri]
        link = self._link_of.pop(text, None)
        if link is not None:
            link.remove(text)

    def _link(self, folder: Path) -> FolderLink:
        link = self._links.get(folder)
        if link is None:
            link = self._links[folder] = FolderLink(folder, self._start)
            self._links_running.append(self._group.create_task(link.run()))
        return link

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._working.add(task)
        self._idle.clear()
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._look_idle()

    def _look_idle(self) -> None:
        if not self._working and not self._opening:
            self._idle.set()

    def _answer(self, call: Call, problem: str) -> None:
        if not call.wants_reply:
            return
        if problem:
            self._put(error_reply(call.id, RpcError(REFUSED, problem)))
        else:
            self._put(success(call.id))

    def _put(self, body: bytes) -> None:
        self._write(frame(body))
