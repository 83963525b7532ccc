"""The words of a chat: what a typed line means, and how what was said is shown."""

from __future__ import annotations

import time
import unicodedata
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .visible import visible

__all__ = ["Command", "Nothing", "Said", "address", "clock", "read_line", "receipt", "sentence"]

Facts = Mapping[str, Any]
MS = 1000


@dataclass(frozen=True, slots=True)
class Said:
    """A text; ``to`` is a member's name, or empty for all."""

    text: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """`/name argument`."""

    name: str
    argument: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """A line that means nothing; ``why`` may be shown."""

    why: str = ""


def read_line(line: str, names: Iterable[str], *, to: str = "") -> Said | Command | Nothing:
    """What a typed line means. ``names`` are the members'; ``to`` whom plain text goes to.

    A second `@` or `/` at the beginning stands for itself. A name that nobody has is passed on as
    it is: what was meant for one must not go to all.
    """
    text = line.strip()
    if not text:
        return Nothing()
    if text.startswith(("@@", "//")):
        return Said(text[1:], to)
    if text.startswith("/"):
        name, _, argument = text[1:].partition(" ")
        return Command(name.lower(), argument.strip())
    if text.startswith("@"):
        name, said = _split(text[1:], names)
        return Said(said, name) if said and name else Nothing("Write `@name text`.")
    return Said(text, to)


def address(name: str) -> str:
    """How a name is written at the beginning of a direct message."""
    return f'@"{name}"' if " " in name else f"@{name}"


def _split(text: str, names: Iterable[str]) -> tuple[str, str]:
    """`name text`: the name quoted, or the longest that somebody has, or the first word."""
    if text.startswith('"'):
        name, _, said = text[1:].partition('"')
        return name.strip(), said.strip()
    plain = _plain(text)
    for name in sorted(names, key=len, reverse=True):
        known = _plain(name)
        if len(known) == len(name) and plain.startswith(known):
            rest = text[len(name) :]
            if not rest or rest[0].isspace() or rest[0] in ":,":
                return name, rest.lstrip(":, \t")
    name, _, said = text.partition(" ")
    return name.rstrip(":,"), said.strip()


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def clock(wall_ms: int) -> str:
    """The local time of day."""
    try:
        return time.strftime("%H:%M", time.localtime(wall_ms / MS))
    except (OverflowError, OSError, ValueError):
        return "--:--"  # a clock of another world


def day(wall_ms: int) -> str:
    """The local date."""
    try:
        return time.strftime("%A, %d %B %Y", time.localtime(wall_ms / MS))
    except (OverflowError, OSError, ValueError):
        return "another day"


def who(line: Facts) -> str:
    """Who says it, to whom: `alice`, `alice -> you (direct)`."""
    name = "you" if line["own"] else visible(str(line["name"]))
    if not line["to"]:
        return name
    to = visible(str(line["to_name"])) if line["own"] else "you"
    return f"{name} -> {to} (direct)"


def sentence(line: Facts) -> str:
    """A whole line, for programs that read lines and people who read them."""
    return f"{clock(int(line['wall_ms']))} {who(line)}: {visible(str(line['text']))}"


def receipt(event: Facts) -> str:
    """What became of a direct message."""
    name = visible(str(event.get("to_name", "")))
    if event["event"] == "waiting":
        return f"waits for {name}"
    hops, seconds = int(event.get("hops", 0)), float(event.get("seconds", 0.0))
    if not seconds:
        return f"delivered to {name}"
    distance = f"after {hops} hop{'' if hops == 1 else 's'}, " if hops else "after "
    return f"delivered to {name} {distance}{seconds * MS:.0f} ms"


def shade(member: str, shades: int) -> int:
    """Which of so many colors a member has, on every machine the same."""
    return zlib.crc32(member.encode()) % shades
