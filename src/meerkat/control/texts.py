"""The open texts of one connection: its own session numbers, and what it is told of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from meerkat.core.editing import (
    Closed,
    CursorShown,
    EditorMessage,
    Frame,
    LineEnds,
    Moved,
    RangeEdit,
    RangesChanged,
    SessionId,
    Speech,
)
from meerkat.errors import MeerkatError
from meerkat.node.editors import Editors

from . import schema

__all__ = ["OpenTexts"]

MAX_OPEN = 256  # texts of one connection (guess)

PutEvent = Callable[[Mapping[str, Any]], None]


class OpenTexts:
    """Requests in, ``text`` events out."""

    def __init__(self, editors: Editors, put: PutEvent) -> None:
        self._editors = editors
        self._put = put
        self._sessions: dict[int, SessionId | None] = {}  # None: being opened
        self._ended = False

    async def ask(self, request: schema.TextRequest) -> dict[str, Any]:
        """Carry out a request.

        Raises:
            MeerkatError: why it cannot be.
        """
        match request:
            case schema.OpenText():
                return await self._open(request)
            case schema.EditText(session=number, revision=revision, edits=edits):
                typed = [RangeEdit(one.start, one.end, one.replacement) for one in edits]
                await self._editors.edit(self._session(number), revision, typed)
            case schema.TextFrame(session=number, data=data):
                self._editors.frame(self._session(number), data)
            case schema.TextCursor(session=number, selections=selections):
                self._editors.cursor(self._session(number), selections)
            case schema.ChooseLineEnds(session=number, crlf=crlf):
                self._editors.choose_line_ends(self._session(number), crlf=crlf)
            case schema.CloseText(session=number):
                session = self._sessions.pop(number, None)
                if session is not None:
                    self._editors.close(session)
            case _:
                assert_never(request)
        return {}

    def end(self) -> None:
        """The connection is gone."""
        self._ended = True
        for session in self._sessions.values():
            if session is not None:
                self._editors.close(session)
        self._sessions.clear()

    def give_up(self, text: str) -> None:
        """The other side does not read what it is told: its texts would be others than ours."""
        numbers = list(self._sessions)
        self.end()
        self._ended = False
        for number in numbers:
            self._tell(number, Closed("slow", text))

    def _session(self, number: int) -> SessionId:
        session = self._sessions.get(number)
        if session is None:
            raise MeerkatError("This text is not open here.")
        return session

    async def _open(self, request: schema.OpenText) -> dict[str, Any]:
        number = request.session
        if number in self._sessions:
            raise MeerkatError(f"Session {number} is open already; choose another number.")
        if len(self._sessions) >= MAX_OPEN:
            raise MeerkatError("Too many texts are open here; close some.")
        self._sessions[number] = None
        try:
            opened = await self._editors.open(
                request.path,
                Speech(request.speech),
                lambda message: self._tell(number, message),
                request.content,
                saves=request.saves,
                line_ends=request.line_ends,
            )
        except BaseException:
            self._sessions.pop(number, None)
            raise
        if self._ended or number not in self._sessions:
            self._editors.close(opened.session)
        else:
            self._sessions[number] = opened.session
        return {
            "path": opened.path,
            "file": opened.file,
            "version": opened.version,
            "text": opened.text,
        }

    def _tell(self, number: int, message: EditorMessage) -> None:
        if self._ended:
            return
        if isinstance(message, Closed):
            self._sessions.pop(number, None)
        self._put({"event": "text", "session": number, **describe_message(message)})


def describe_message(message: EditorMessage) -> dict[str, Any]:
    """What an editor is told, as JSON values."""
    match message:
        case RangesChanged(revision=revision, edits=edits):
            changes = [
                {"start": one.start, "end": one.end, "replacement": one.replacement}
                for one in edits
            ]
            return {"what": "edit", "revision": revision, "edits": changes}
        case Frame(data=data):
            return {"what": "frame", "data": b64encode(data).decode()}
        case CursorShown():
            return {
                "what": "cursor",
                "user": message.user,
                "name": message.name,
                "member": message.member.hex(),
                "color": message.color,
                "selections": message.selections,
            }
        case Moved(path=path):
            return {"what": "moved", "path": path}
        case LineEnds(crlf=crlf):
            return {"what": "line_ends", "crlf": crlf}
        case Closed(reason=reason, text=text):
            return {"what": "closed", "reason": reason, "text": text}
        case _:
            assert_never(message)
