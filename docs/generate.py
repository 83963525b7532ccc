"""Writes into the pages what the code says: help texts, tables of messages, limits and errors.

``python docs/generate.py`` brings the pages up to date; ``tests/test_docs.py`` fails if they are
not. A page marks such a part with ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
from click.testing import CliRunner

from meerkat import errors
from meerkat.cli import db
from meerkat.cli import main as command_line
from meerkat.cli import options as cli_options
from meerkat.cli.printing import Printing
from meerkat.control import schema
from meerkat.core import (
    actions,
    blobs,
    chunks,
    courier,
    door,
    gossip,
    local,
    log,
    messages,
    operation,
    overlay_config,
    planner,
    shown_text,
    sync,
    text_file,
    tree,
    wire,
)
from meerkat.folder.ignore import DEFAULT_RULES
from meerkat.node.options import DEFAULT_PORT
from meerkat.rows import changes
from meerkat.transport.door import DoorOptions
from meerkat.transport.options import TransportOptions

__all__ = ["MARK", "PAGES", "PARTS", "commands", "render"]

DOCS = Path(__file__).resolve().parent
PAGES = (DOCS / "guide.md", DOCS / "protocol.md", DOCS / "databases.md")
MARK = re.compile(r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
WIDTH = 78  # of help texts, as on a terminal of 80 columns


def render(page: str) -> str:
    """The page with every generated part as the code says now."""
    return MARK.sub(lambda found: found[1] + PARTS[found[2]]() + found[3], page)


def commands() -> list[str]:
    """The subcommands, in the order of the help."""
    return list(command_line.COMMANDS)


def database_commands() -> list[str]:
    """The subcommands of `meerkat db`, in the order of the help."""
    return list(db.command.commands)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _sentences(text: str | None) -> str:
    """A docstring in one line, in Markdown."""
    return " ".join((text or "").split()).replace("``", "`").replace("|", "\\|")


# --- The command line ---


def _help(*arguments: str) -> str:
    result = CliRunner().invoke(
        command_line.cli,
        [*arguments, "--help"],
        prog_name="meerkat",
        obj=Printing(),
        terminal_width=WIDTH,
    )
    assert result.exit_code == 0, result.output
    return "```text\n" + result.output.rstrip() + "\n```\n"


def _errors() -> str:
    classes = [getattr(errors, name) for name in errors.__all__]
    rows = [
        (f"`{one.__name__}`", str(one.exit_code), _sentences(one.__doc__))
        for one in sorted(classes, key=lambda one: (one.exit_code, one.__name__))
    ]
    return _table(("error", "exit code", "what it says"), rows)


def _rules() -> str:
    return "```text\n" + "\n".join(DEFAULT_RULES) + "\n```\n"


# --- Messages and actions ---


def _number(value: int) -> str:
    for power in (53, 63):
        if value == 2**power - 1:
            return f"2^{power}-1"
    return f"{value:,}"


def _bytes(count: int) -> str:
    for size, unit in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if count >= size and count % size == 0:
            return f"{count // size:,} {unit}"
    return f"{count:,} bytes"


def _length(kind: Any, noun: str) -> str:
    low, high = kind.min_length, kind.max_length
    if low is not None and low == high:
        return f"{low} {noun}"
    return f"{noun}, at most {high:,}" if high else noun


def _kind(kind: Any) -> str:
    match kind:
        case msgspec.inspect.BytesType():
            return _length(kind, "bytes")
        case msgspec.inspect.StrType():
            return _length(kind, "characters")
        case msgspec.inspect.IntType(ge=int(low), le=int(high)):
            return f"{_number(low)} to {_number(high)}"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.TupleType(item_types=items):
            return "(" + ", ".join(_kind(item) for item in items) + ")"
        case msgspec.inspect.VarTupleType(item_type=item, max_length=most):
            return f"list of {_kind(item)}; at most {most:,}" if most else f"list of {_kind(item)}"
        case msgspec.inspect.StructType(cls=cls):
            return cls.__name__
        case msgspec.inspect.EnumType(cls=cls):
            return ", ".join(f"{one.value} ({one.name})" for one in cls)
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(_kind(one) for one in types)
        case msgspec.inspect.NoneType():
            return "nothing"
        case msgspec.inspect.AnyType():
            return "a value"
    raise TypeError(f"no words for {kind}")


def _struct(cls: Any) -> tuple[str, ...]:
    info = msgspec.inspect.type_info(cls)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = "<br>".join(f"`{one.name}`: {_kind(one.type)}" for one in info.fields)
    tag = "–" if info.tag is None else str(info.tag)
    return tag, f"`{cls.__name__}`", fields, _sentences(cls.__doc__)


STRUCT_HEAD = ("tag", "name", "fields, in order", "what it says")


def _messages() -> str:
    parts = [messages.Contact, messages.Beacon, messages.Broadcast, messages.AddressEntry]
    classes = [*get_args(messages.Message), *parts]
    return _table(STRUCT_HEAD, (_struct(one) for one in classes))


def _actions() -> str:
    classes = [*get_args(actions.Action), actions.Body, actions.Cover]
    return _table(STRUCT_HEAD, (_struct(one) for one in classes))


def _members() -> str:
    classes = [actions.Opened, *get_args(actions.MembershipAction)]
    return _table(STRUCT_HEAD, (_struct(one) for one in classes))


def _talk() -> str:
    return _table(STRUCT_HEAD, map(_struct, (actions.Said, actions.Mail, actions.Receipt)))


def _statements() -> str:
    return _table(STRUCT_HEAD, (_struct(one) for one in get_args(changes.Statement)))


def _knocks() -> str:
    return _table(STRUCT_HEAD, (_struct(one) for one in (door.Knock, door.Welcome)))


def _kinds() -> str:
    rows = ((str(kind.value), f"`{kind.name}`") for kind in operation.OperationKind)
    return _table(("number", "kind"), rows)


# --- Limits ---


def _limits() -> str:
    return _table(("what", "limit", "where"), _limit_rows())


def _limit_rows() -> Iterator[tuple[str, str, str]]:
    link, knock, cut = TransportOptions(), DoorOptions(), chunks.ChunkConfig()
    pace, who, asked = sync.SyncConfig(), overlay_config.OverlayConfig(), blobs.BlobsConfig()
    post, told = courier.CourierConfig(), gossip.GossipConfig()
    where = "`core/overlay_config.py`"
    yield "an operation", _bytes(operation.MAX_OPERATION_BYTES), "`core/operation.py`"
    yield "a payload, inflated", _bytes(actions.MAX_PAYLOAD_BYTES), "`core/actions.py`"
    yield "payload that is deflated", f"above {actions.COMPRESS_ABOVE} bytes", "`core/actions.py`"
    yield "sequence, Lamport, sizes", "below 2^53", "`core/operation.py`"
    ahead = f"at most {log.LogConfig().lamport_ahead:,} ahead of everything seen"
    yield "Lamport of an operation", ahead, "`core/log.py`"
    yield "a path", f"{tree.MAX_PATH_BYTES:,} bytes of UTF-8", "`core/tree.py`"
    yield (
        "a live text made here",
        _bytes(text_file.MAX_TEXT_BYTES),
        "`core/text_file.py`",
    )
    yield "a live text's first content", _bytes(tree.MAX_TEXT_BYTES), "`core/tree.py`"
    yield "a body's share of one action", _bytes(local.PART_BYTES), "`core/local.py`"
    yield "a blob's list of chunks", _bytes(tree.MAX_CHUNK_LIST_BYTES), "`core/tree.py`"
    sizes = f"{_bytes(cut.min_bytes)} / {_bytes(cut.average_bytes)} / {_bytes(cut.max_bytes)}"
    yield "a chunk: least, average, most", sizes, "`core/chunks.py`"
    piece = _bytes(changes.PIECE_BYTES)
    yield "a piece of a program's transaction in a database", piece, "`rows/changes.py`"
    yield "a batch of statements", _bytes(changes.MAX_BATCH_BYTES), "`rows/changes.py`"
    yield "a frame, live or bulk", _bytes(wire.MAX_FRAME_BYTES), "`core/wire.py`"
    yield "heads in a message", f"{messages.MAX_HEADS:,}", "`core/messages.py`"
    yield "operations in a message", f"{messages.MAX_OPERATIONS:,}", "`core/messages.py`"
    yield "an answer with operations", _bytes(pace.slice_bytes), "`core/sync.py`"
    yield "chunks asked for in a message", f"{messages.MAX_CHUNKS:,}", "`core/messages.py`"
    window = f"{_bytes(asked.window_bytes)} at first, {_bytes(asked.window_max_bytes)} at most"
    yield "content asked for and not here yet", window + ", a link", "`core/blobs.py`"
    jobs = planner.PlannerConfig()
    yield "jobs the folder has at once", f"{jobs.jobs_count:,}", "`core/planner.py`"
    yield "links kept, at least; of them own choice", f"{who.links_min}; {who.own_min}", where
    room = f"{who.links_max} links, {who.clients_max} more for members who only dial out"
    yield "links kept, at most", f"{room}, {who.guests_max} guests", where
    yield "steps of a JOIN_REQ", f"{who.warm} before anyone accepts, {who.ttl} in all", where
    yield "JOIN_REQs a second, a link", f"{who.walk_rate:g}, {who.walk_burst:g} at once", where
    yield "contacts in the book", f"{who.book_size:,}", where
    yield "a Beat on every link every", f"{who.beat_every:g} s", where
    yield "a link that says nothing is closed after", f"{who.silent_after:g} s", where
    yield "a broadcast", _bytes(messages.MAX_BROADCAST_BYTES), "`core/messages.py`"
    rate = f"{told.author_rate:g}, {told.author_burst:g} at once"
    yield "broadcasts a second, an author", rate, "`core/gossip.py`"
    yield "a letter's sealed box", _bytes(messages.MAX_BOX_BYTES), "`core/messages.py`"
    yield "hops of a letter", f"{post.ttl}; {post.flood_ttl} in a flood", "`core/courier.py`"
    patience = f"{post.ack_within:g} s, then {post.flood_within:g} s for the flood"
    yield "a letter waits for its acknowledgement", patience, "`core/courier.py`"
    yield "a member's name", f"{shown_text.MAX_NAME_CHARS} characters", "`core/shown_text.py`"
    yield (
        "live frames waiting, a link",
        _bytes(link.live_outbox_bytes),
        "`transport/options.py`",
    )
    yield (
        "bulk frames waiting, a link",
        _bytes(link.bulk_outbox_bytes),
        "`transport/options.py`",
    )
    yield "a knock", _bytes(knock.max_request_bytes), "`transport/door.py`"
    yield "wrong proofs that cost an invitation", f"{door.MAX_GUESSES}", "`core/door.py`"
    yield "uses of an invitation, by default", f"{cli_options.USES}", "`cli/options.py`"
    yield "what is stuck is looked at every", f"{pace.beat:g} s", "`core/sync.py`"
    yield "an unanswered request is repeated after", f"{pace.request_timeout:g} s", "`core/sync.py`"
    yield "a connection says hello within", f"{who.hello_timeout:g} s", where
    silence = f"{link.keepalive:g} s; {link.keepalive_timeout:g} s"
    yield "silence before a ping; wait for its answer", silence, "`transport/options.py`"
    yield "port for links, if free", f"{DEFAULT_PORT}", "`node/options.py`"
    yield "a line on the control socket", _bytes(schema.MAX_LINE), "`control/schema.py`"


PARTS: dict[str, Callable[[], str]] = {
    "errors": _errors,
    "ignored": _rules,
    "messages": _messages,
    "actions": _actions,
    "membership": _members,
    "talk": _talk,
    "door": _knocks,
    "rows": _statements,
    "kinds": _kinds,
    "limits": _limits,
    "help": lambda: _help(),
    **{f"help {name}": (lambda name=name: _help(name)) for name in commands()},  # type: ignore[misc]
    **{
        f"help db {name}": (lambda name=name: _help("db", name))  # type: ignore[misc]
        for name in database_commands()
    },
}


def main() -> None:
    """Bring all pages up to date."""
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = render(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{page.name} is up to date again\n")


if __name__ == "__main__":
    main()
