"""Requests, replies and events of the control socket, and their JSON lines.

A request is ``{"ask": ..., "id": ...}`` with its own fields; the reply carries the same ``id`` and
either ``result`` or ``error`` (a sentence). Events, after ``subscribe``, carry ``event`` instead.
Unknown fields are ignored, so that an older process understands a newer one's questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from meerkat.core.messages import MAX_BROADCAST_BYTES

__all__ = [
    "MAX_ECHO_BYTES",
    "MAX_LINE",
    "MAX_TEXT",
    "ChatHistory",
    "ChooseLineEnds",
    "CloseText",
    "Cut",
    "DatabaseRequest",
    "DbCell",
    "DbConflicts",
    "DbDeleteRow",
    "DbExec",
    "DbHistory",
    "DbInsertRow",
    "DbList",
    "DbOff",
    "DbOn",
    "DbQuery",
    "DbRows",
    "DbSetCell",
    "DbStatus",
    "DbTables",
    "DbUnwatch",
    "DbWatch",
    "Echo",
    "EditText",
    "Find",
    "GetStatus",
    "Heal",
    "Invite",
    "ListFiles",
    "Network",
    "OpenText",
    "PeerRequest",
    "People",
    "Ping",
    "Publish",
    "Rename",
    "Replacement",
    "Reply",
    "Request",
    "RequestError",
    "Say",
    "ServeWeb",
    "Stop",
    "StopWeb",
    "Subscribe",
    "TableRequest",
    "TextCursor",
    "TextFrame",
    "TextRequest",
    "decode_line",
    "decode_request",
    "encode_line",
    "encode_request",
    "numbered",
]

MAX_LINE = 32 * 1024 * 1024  # bytes; a text of 4 MiB, all of it escaped, stays below
MAX_LIFETIME = 10 * 365 * 86_400.0  # seconds an invitation may live
MAX_TEXT = 8 * 1024  # characters said at once; the peer counts bytes, and knows best
MAX_ECHO_BYTES = 32 * 1024  # there and back; the box around it must fit into a frame
MAX_HISTORY = 10_000  # lines at once; with the longest of texts below MAX_LINE on average
MAX_SQL = 1_000_000  # characters of a statement: SQLite's own limit (SQLITE_MAX_SQL_LENGTH)
MAX_PARAMS = 32_766  # of a statement: SQLite's own limit (SQLITE_MAX_VARIABLE_NUMBER)
MAX_ROWS = 100_000  # of one answer; guess
MAX_PAGE_ROWS = 1_000  # of a table view at once; guess
MAX_NAME = 1_024  # characters of a table's or a column's name, as in ``rows.changes``

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Place = tuple[Number, Number]
"""(line, character), both from 0, in code points."""
Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
"""A member's name, or how its id begins; the node finds out who is meant."""
Data = Annotated[bytes, Meta(max_length=MAX_BROADCAST_BYTES)]
EventName = Annotated[str, Meta(max_length=64)]
MemberHex = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class RequestError(Exception):
    """A line that is no request; the message goes back to whoever wrote it."""


class _Ask(Struct, frozen=True, tag_field="ask", kw_only=True):
    id: Number = 0


class Ping(_Ask, frozen=True, tag="ping"):
    """Are you there? Answers the process id and the version."""


class GetStatus(_Ask, frozen=True, tag="status"):
    """Everything a person can be told."""


class Invite(_Ask, frozen=True, tag="invite"):
    """Make an invitation; ``lifetime`` in seconds."""

    uses: Annotated[int, Meta(ge=1, le=100_000)] = 32
    lifetime: Annotated[float, Meta(gt=0, le=MAX_LIFETIME)] = 7 * 86_400.0


class Stop(_Ask, frozen=True, tag="stop"):
    """Leave gracefully and end the process."""


class Subscribe(_Ask, frozen=True, tag="subscribe"):
    """Send every event from now on, or only those with these names. The last one counts."""

    events: Annotated[tuple[EventName, ...], Meta(max_length=64)] = ()


class Say(_Ask, frozen=True, tag="say"):
    """Say something to all, or to one member. Answers its ``id``."""

    text: Text
    to: Annotated[str, Meta(max_length=200)] = ""


class Rename(_Ask, frozen=True, tag="rename"):
    """Be called this from now on."""

    name: Name


class Publish(_Ask, frozen=True, tag="publish"):
    """Bytes (base64) for the programs of every other peer that is here now."""

    data: Data


class Echo(_Ask, frozen=True, tag="echo"):
    """How far away is a member? ``near``: over a link of our own, if there is one."""

    peer: Name
    size: Annotated[int, Meta(ge=0, le=MAX_ECHO_BYTES)] = 32
    near: bool = False


class Find(_Ask, frozen=True, tag="find"):
    """Who is meant by a name? Answers ``member`` and ``name``."""

    peer: Name


class ChatHistory(_Ask, frozen=True, tag="chat_history"):
    """The last lines that were said, the oldest first."""

    limit: Annotated[int, Meta(ge=0, le=MAX_HISTORY)] = 50


class Network(_Ask, frozen=True, tag="network"):
    """Who is here, and who is linked to whom."""


class OpenText(_Ask, frozen=True, tag="open_text"):
    """Open a live text under a number of the asker's own. Answers ``path``, ``file``, ``version``
    and ``text``; ``text`` events with that ``session`` follow (and may come first).

    ``content``: what the editor shows already; a correction follows if the text is another.
    ``saves``: an editor that speaks in ranges writes the file itself; else the process does.
    ``line_ends``: it does so with CRLF or LF as ``line_ends`` events say.
    """

    session: Number
    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    speech: Literal["ranges", "yjs"] = "ranges"
    content: str | None = None
    saves: bool = True
    line_ends: bool = False


class Replacement(Struct, frozen=True):
    """A change of a text between two positions."""

    start: Place
    end: Place
    replacement: str


class EditText(_Ask, frozen=True, tag="edit_text"):
    """Type into an open text. After an error the session is over: open the text again."""

    session: Number
    revision: Number
    edits: Annotated[tuple[Replacement, ...], Meta(max_length=100_000)]


class TextFrame(_Ask, frozen=True, tag="text_frame"):
    """A frame (base64) of the y-websocket protocol, for a session that speaks so."""

    session: Number
    data: bytes


class TextCursor(_Ask, frozen=True, tag="text_cursor"):
    """Where the editor's selections are, as (anchor, head)."""

    session: Number
    selections: Annotated[tuple[tuple[Place, Place], ...], Meta(max_length=1_024)]


class ChooseLineEnds(_Ask, frozen=True, tag="choose_line_ends"):
    """The file's lines should end in CRLF from now on, or in LF; if opened with ``line_ends``."""

    session: Number
    crlf: bool


class CloseText(_Ask, frozen=True, tag="close_text"):
    """Done with an open text."""

    session: Number


Path = Annotated[str, Meta(min_length=1, max_length=4_096)]
"""In the folder, with slashes."""
Sql = Annotated[str, Meta(min_length=1, max_length=MAX_SQL)]
SqlName = Annotated[str, Meta(max_length=MAX_NAME)]
SqlParams = (
    Annotated[tuple[Any, ...], Meta(max_length=MAX_PARAMS)]
    | Annotated[dict[str, Any], Meta(max_length=MAX_PARAMS)]
)
"""Values as in ``cells``: for ``?`` in order, or for ``:name`` by name."""
Key = Annotated[tuple[Any, ...], Meta(min_length=1, max_length=2_000)]
"""What names a row: its rowid, or in a WITHOUT ROWID table its primary key; as in ``cells``."""
RowLimit = Annotated[int, Meta(ge=1, le=MAX_ROWS)]


class DbList(_Ask, frozen=True, tag="db_list"):
    """The databases of the folder, live or not (``state``). Answers ``databases``."""


class DbStatus(_Ask, frozen=True, tag="db_status"):
    """How one database is. If it is not open here, ``problem`` says why; ``tables`` is empty."""

    path: Path


class DbConflicts(_Ask, frozen=True, tag="db_conflicts"):
    """The rows that a constraint keeps out of the file. Answers ``conflicts``."""

    path: Path


class DbOff(_Ask, frozen=True, tag="db_off"):
    """Treat a database as an ordinary file from now on, everywhere in the pool."""

    path: Path


class DbOn(_Ask, frozen=True, tag="db_on"):
    """Merge a database by rows again."""

    path: Path


class DbQuery(_Ask, frozen=True, tag="db_query"):
    """Read with SQL. Answers ``columns``, ``rows`` and ``more`` (there are more than ``limit``)."""

    path: Path
    sql: Sql
    params: SqlParams = ()
    limit: RowLimit = 10_000


class DbExec(_Ask, frozen=True, tag="db_exec"):
    """Write with SQL: all statements in one transaction. Answers as ``db_query``, and ``changed``:
    how many rows were.
    """

    path: Path
    sql: Sql
    params: SqlParams = ()
    limit: RowLimit = 10_000


class DbWatch(_Ask, frozen=True, tag="db_watch"):
    """Tell the rows of a table (empty: of all) that change, whoever changes them.

    Events ``rows`` with this ``watch`` follow, until ``db_unwatch`` or the end of the connection.
    """

    watch: Number
    path: Path
    table: SqlName = ""


class DbUnwatch(_Ask, frozen=True, tag="db_unwatch"):
    """The end of ``db_watch``."""

    watch: Number


class DbHistory(_Ask, frozen=True, tag="db_history"):
    """Who wrote the cells of a row last, and when. Answers ``cells``."""

    path: Path
    table: SqlName
    key: Key


class DbTables(_Ask, frozen=True, tag="db_tables"):
    """The tables and views of a database, with their columns. Answers ``tables``."""

    path: Path


class DbRows(_Ask, frozen=True, tag="db_rows"):
    """A page of a table in the order of its keys: ``at`` or ``after`` a key, ``before`` one, or its
    ``end``.

    Answers ``rows`` (``key`` and ``cells``, large ones cut), ``more`` (in the direction that was
    asked for) and ``count`` (null: very many). A view has no keys: ``offset`` says where to begin.
    """

    path: Path
    table: SqlName
    at: Key | None = None
    after: Key | None = None
    before: Key | None = None
    end: bool = False
    offset: Number = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE_ROWS)] = 200


class DbCell(_Ask, frozen=True, tag="db_cell"):
    """The whole of one cell. Answers ``value``."""

    path: Path
    table: SqlName
    key: Key
    column: SqlName


class DbSetCell(_Ask, frozen=True, tag="db_set_cell"):
    """Write one cell."""

    path: Path
    table: SqlName
    key: Key
    column: SqlName
    value: Any = None


class DbInsertRow(_Ask, frozen=True, tag="db_insert_row"):
    """Add a row; columns that ``values`` does not name get their defaults. Answers its ``key``."""

    path: Path
    table: SqlName
    values: Annotated[dict[SqlName, Any], Meta(max_length=2_000)] = {}


class DbDeleteRow(_Ask, frozen=True, tag="db_delete_row"):
    """Remove a row."""

    path: Path
    table: SqlName
    key: Key


class ListFiles(_Ask, frozen=True, tag="list_files"):
    """Everything in the folder, by path."""


class People(_Ask, frozen=True, tag="people"):
    """Who is in which text."""


class ServeWeb(_Ask, frozen=True, tag="serve_web"):
    """Serve the web page, if it is not served yet. Answers its ``url``, token and all.

    ``port``: 0 for the one it had. ``origins``: pages of other origins that may connect, too.
    """

    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    origins: Annotated[tuple[Annotated[str, Meta(max_length=256)], ...], Meta(max_length=64)] = ()


class StopWeb(_Ask, frozen=True, tag="stop_web"):
    """Serve the web page no more."""


class Cut(_Ask, frozen=True, tag="test_cut"):
    """A testing aid: have no link with these members, as if the network between were cut."""

    members: Annotated[tuple[MemberHex, ...], Meta(max_length=10_000)]


class Heal(_Ask, frozen=True, tag="test_heal"):
    """A testing aid: the end of ``test_cut``."""


PeerRequest = Say | Rename | Publish | Echo | Find | ChatHistory | Network | ListFiles | People
"""What the peer itself answers."""
TextRequest = OpenText | EditText | TextFrame | TextCursor | ChooseLineEnds | CloseText
"""About the open texts of one connection."""
TableRequest = DbTables | DbRows | DbCell | DbSetCell | DbInsertRow | DbDeleteRow
"""What a page asks of a database: no SQL."""
DatabaseRequest = (
    DbList
    | DbStatus
    | DbConflicts
    | DbOff
    | DbOn
    | DbQuery
    | DbExec
    | DbWatch
    | DbUnwatch
    | DbHistory
    | TableRequest
)
"""About live databases."""
Request = (
    Ping
    | GetStatus
    | Invite
    | Stop
    | Subscribe
    | Cut
    | Heal
    | ServeWeb
    | StopWeb
    | PeerRequest
    | TextRequest
    | DatabaseRequest
)


class Reply(Struct, frozen=True, omit_defaults=True):
    """What comes back. ``exit_code`` is what a command should end with after ``error``."""

    id: int
    result: dict[str, Any] | None = None
    error: str = ""
    exit_code: int = 0


_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_encoder = msgspec.json.Encoder()


def numbered(request: Request, number: int) -> Request:
    """The same request under a number that its reply will carry."""
    return msgspec.structs.replace(request, id=number)


def encode_request(request: Request) -> bytes:
    """One line."""
    return _encoder.encode(request) + b"\n"


def decode_request(line: bytes | str) -> Request:
    """The request in a line.

    Raises:
        RequestError: with what is wrong with it.
    """
    try:
        return _requests.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"not a request this meerkat understands: {error}") from error


def encode_line(value: Reply | Mapping[str, Any]) -> bytes:
    """One line: a reply or an event."""
    return _encoder.encode(value) + b"\n"


def decode_line(line: bytes) -> dict[str, Any]:
    """A reply or an event as plain values.

    Raises:
        RequestError: if it is neither.
    """
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("the folder's process answered with something else") from error
