"""The live chat on a terminal: an input line at the bottom, everything else above it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI, AnyFormattedText, FormattedText
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from meerkat.control import schema
from meerkat.errors import MeerkatError, NotRunning

from .chat_lines import (
    Command,
    Nothing,
    Said,
    address,
    clock,
    day,
    read_line,
    receipt,
    shade,
    who,
)
from .chat_session import ChatSession
from .views import sentence
from .visible import visible

__all__ = ["LiveChat"]

Facts = Mapping[str, Any]
Fragments = list[tuple[str, str]]

SHADES = (
    "ansicyan",
    "ansigreen",
    "ansiyellow",
    "ansimagenta",
    "ansibrightblue",
    "ansibrightred",
    "ansibrightcyan",
    "ansibrightgreen",
)
STYLE = Style.from_dict({"dim": "ansibrightblack", "own": "bold", "bottom-toolbar": "noreverse"})
HELP = """\
text               say it to everyone
@name text         say it to one member; only that one can read it
/all text          say it to everyone, when you talk to one
/who               who is here
/map               the network as a picture
/ping name         how long a message takes to a member and back
/name new name     be called something else from now on
/quit              leave the chat; the folder goes on being served (also Ctrl-D)
A second @ or / at the beginning stands for itself."""
COMMANDS = ("/all", "/help", "/map", "/name", "/ping", "/quit", "/who")


class _Names(Completer):
    """Completes `@name` and commands; names are kept up to date by the chat."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """See Completer."""
        before = document.text_before_cursor
        if before.startswith("/ping "):
            yield from _completions(before[6:], {name: name for name in self.names})
        elif before.startswith("/") and " " not in before:
            yield from _completions(before, {word: word for word in COMMANDS})
        elif before.startswith("@"):
            for found in _completions(before[1:].lstrip('"'), {n: address(n) for n in self.names}):
                yield Completion(found.text, start_position=-len(before), display=found.display)


def _completions(begun: str, words: Mapping[str, str]) -> Iterable[Completion]:
    """``words``: what is typed -> what it becomes."""
    for word, becomes in words.items():
        if word.casefold().startswith(begun.casefold()):
            yield Completion(f"{becomes} ", start_position=-len(begun), display=becomes)


class LiveChat:
    """One person's chat, until `/quit`. ``to``: whom plain text goes to, if not to all."""

    def __init__(self, session: ChatSession, status: Facts, to: str = "") -> None:
        self._session = session
        self._to = to
        self._name = str(status["name"])
        self._pool = str(status["pool_name"])
        self._here = len(status["peers"])
        self._day = ""
        self._unprinted: list[AnyFormattedText] = []
        self._completer = _Names()
        self._group = asyncio.TaskGroup()
        self._commands: dict[str, Callable[[str], Coroutine[Any, Any, None]]] = {
            "all": lambda text: self._say(Said(text)),
            "help": self._help,
            "map": self._map,
            "name": self._rename,
            "ping": self._ping,
            "who": self._who,
        }

    async def run(self, lines: int) -> None:
        """Chat; ``lines`` from before come first.

        Raises:
            NotRunning: when the folder's process ends.
        """
        prompt: PromptSession[str] = PromptSession(
            completer=self._completer,
            erase_when_done=True,  # what was typed comes back as a line of the chat
            complete_while_typing=False,
            bottom_toolbar=self._toolbar,
            style=STYLE,
        )
        await self._look()
        with patch_stdout(raw=True):
            for line in await self._session.history(lines):
                self._show(line)
            async with self._group:
                hearing = self._group.create_task(self._hear())
                try:
                    await self._read(prompt)
                finally:
                    hearing.cancel()
            self._flush()

    async def _read(self, prompt: PromptSession[str]) -> None:
        while True:
            try:
                text = await prompt.prompt_async(self._prompt())
            except (EOFError, KeyboardInterrupt):
                return
            match read_line(text, self._completer.names, to=self._to):
                case Nothing(why=why):
                    if why:
                        self._note(why)
                case Said() as said:
                    await self._try(self._say(said))
                case Command(name="quit" | "q" | "exit"):
                    return
                case Command(name=name, argument=argument):
                    command = self._commands.get(name)
                    if command is None:
                        self._note(f"/{visible(name)} is no command. /help lists them.")
                    elif name == "ping":  # takes its time; typing goes on
                        self._group.create_task(self._try(command(argument)))
                    else:
                        await self._try(command(argument))

    async def _try(self, work: Coroutine[Any, Any, None]) -> None:
        """A mistake is said and the chat goes on, but not without the process."""
        try:
            await work
        except NotRunning:
            raise
        except (MeerkatError, TimeoutError) as error:
            self._note(str(error))

    # --- Hearing ---

    async def _hear(self) -> None:
        async with aclosing(self._session.heard()) as heard:
            async for event in heard:
                match event["event"]:
                    case "chat":
                        self._show(event)
                    case "delivered" | "waiting":
                        self._note(receipt(event))
                    case "member_joined" | "renamed":
                        self._note(sentence(event))
                        await self._look()
                    case "peer_linked" | "peer_lost":
                        await self._look()

    async def _look(self) -> None:
        """Who there is, for completion and the line at the bottom."""
        status = await self._session.ask(schema.GetStatus())
        others = [one for one in status["members"] if one["member"] != status["member"]]
        self._completer.names = [visible(one["name"]) for one in others]
        self._name, self._here = str(status["name"]), len(status["peers"])

    # --- Showing ---

    def _show(self, line: Facts) -> None:
        fragments: Fragments = []
        today = day(int(line["wall_ms"]))
        if today != self._day:
            self._day = today
            fragments.append(("class:dim", f"--- {today} ---\n"))
        color = f"fg:{SHADES[shade(str(line['from']), len(SHADES))]} bold"
        fragments += [
            ("class:dim", f"{clock(int(line['wall_ms']))} "),
            ("class:own" if line["own"] else color, who(line)),
            ("", f": {visible(str(line['text']))}"),
        ]
        self._print(FormattedText(fragments))

    def _note(self, text: str) -> None:
        """Something that nobody said."""
        for line in text.splitlines():
            self._print(FormattedText([("class:dim", f"      {visible(line)}")]))

    def _print(self, text: AnyFormattedText) -> None:
        """Above the input line, together with whatever else is printed in this turn of the loop:
        each time the input line has to be taken away and drawn again.
        """
        if not self._unprinted:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unprinted.append(text)

    def _flush(self) -> None:
        lines, self._unprinted = self._unprinted, []
        if lines:
            print_formatted_text(*lines, sep="\n", style=STYLE)

    def _prompt(self) -> AnyFormattedText:
        to = f"@{visible(self._to)}" if self._to else ""
        return FormattedText([("class:own", f"{to}> ")])

    def _toolbar(self) -> AnyFormattedText:
        here = f"{self._here} linked" if self._here else "nobody linked"
        text = f" {visible(self._name)} in {visible(self._pool)} - {here} - /help"
        return FormattedText([("class:dim", text)])

    # --- Commands ---

    async def _say(self, said: Said) -> None:
        if not said.text:
            raise MeerkatError("There is nothing to say.")
        await self._session.say(said)

    async def _help(self, _: str) -> None:
        self._note(HELP)

    async def _rename(self, name: str) -> None:
        if not name:
            raise MeerkatError("Write `/name NEW NAME`.")
        await self._session.ask(schema.Rename(name=name))
        await self._look()
        self._note(f"You are {self._name} from now on.")

    async def _who(self, _: str) -> None:
        from .peers_table import rows, sentences

        status = await self._session.ask(schema.GetStatus())
        network = await self._session.ask(schema.Network())
        self._note("\n".join(sentences(rows(status, network))) or "Nobody else yet.")

    async def _map(self, _: str) -> None:
        from .network_map import picture_as_text

        drawn = picture_as_text(await self._session.ask(schema.Network()), color=True)
        self._print(ANSI(drawn))

    async def _ping(self, name: str) -> None:
        from .echoes import one_line

        if not name:
            raise MeerkatError("Write `/ping NAME`.")
        answer = await self._session.ask(schema.Echo(peer=name, near=True))
        self._note(one_line(name, answer))
