"""`meerkat chat`: talk to the pool or to one member."""

from __future__ import annotations

import asyncio
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from meerkat.control import schema
from meerkat.node.home import StateFolder

from .asking import asking
from .chat_lines import Said
from .chat_plain import Plain, follow_lines, say_lines, say_once
from .chat_session import ChatSession, one_error
from .network_log import NetworkLog
from .options import json_option, where_option

__all__ = ["command"]

LIVE_LINES = 50  # of history when a person enters; a screen and a half


@click.command("chat")
@click.argument("words", metavar="[@PEER] [TEXT]", nargs=-1)
@where_option
@click.option("--plain", is_flag=True, help="Lines in, lines out: for pipes (the default there).")
@click.option("--follow", "-f", is_flag=True, help="Only print what is said, until Ctrl-C.")
@click.option(
    "--last",
    type=click.IntRange(0, 10_000),
    help="Show so many lines from before (default: 50 on a terminal, else none).",
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append the network's own words to this file: who asked, accepted, was lost.",
)
@json_option
def command(
    words: tuple[str, ...],
    folder: Path,
    plain: bool,
    follow: bool,
    last: int | None,
    log: Path | None,
    as_json: bool,
) -> None:
    """Talk to everyone in the pool, or to one member.

    Without TEXT, on a terminal, this is a live chat; `/help` in it says what can be typed. With
    TEXT it is said and that is all. In a pipe every line of standard input is said. `@PEER` is a
    member's name or the beginning of its id; what is said to one member only that one can read.
    What is said to members who are away reaches them when they come.
    """
    to, text = _split(words)
    if follow and (text or to):
        raise click.UsageError("--follow only prints; leave out @PEER and TEXT.")
    with asking(folder) as client:
        status = client.ask(schema.GetStatus())
    wanted = _Wanted(to, text, plain, follow, last, as_json)
    with one_error(), NetworkLog(log) as words_of_network:
        session = ChatSession(StateFolder(folder).control_socket(), words_of_network)
        exit_code = asyncio.run(_chat(session, status, wanted))
    if exit_code:
        sys.exit(exit_code)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the command line says."""

    to: str
    text: str
    plain: bool
    follow: bool
    last: int | None
    json: bool

    @property
    def live(self) -> bool:
        """Whether somebody sits at a terminal in front of this."""
        return not (self.json or self.plain) and sys.stdin.isatty() and sys.stdout.isatty()


def _split(words: tuple[str, ...]) -> tuple[str, str]:
    """The peer's name without its sign, and the text."""
    if words and words[0].startswith("@") and not words[0].startswith("@@"):
        if words[0] == "@":
            raise click.UsageError("@ needs a name behind it.")
        return words[0][1:], " ".join(words[1:]).strip()
    text = " ".join(words).strip()
    return "", text[1:] if text.startswith("@@") else text


async def _chat(session: ChatSession, status: dict[str, Any], wanted: _Wanted) -> int:
    plain = Plain(wanted.json, wanted.last or 0)
    async with session:
        if wanted.to:
            await session.find(wanted.to)  # before anything is typed
        if wanted.text:
            await say_once(session, Said(wanted.text, wanted.to), plain)
        elif wanted.follow:
            await follow_lines(session, plain)
        elif wanted.live:
            from .chat_live import LiveChat

            lines = LIVE_LINES if wanted.last is None else wanted.last
            await LiveChat(session, status, wanted.to).run(lines)
        else:
            if isinstance(sys.stdin, io.TextIOWrapper):
                sys.stdin.reconfigure(errors="replace")  # a pipe may carry anything
            return await say_lines(session, wanted.to, plain, sys.stdin)
    return 0
