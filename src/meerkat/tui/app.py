"""The editor: opens texts, gives keys to whom they belong, and says how things are.

Decides what is on the screen and when. How a text is edited, drawn and synced is elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from meerkat.core.edits import Edit
from meerkat.core.shown_text import one_line
from meerkat.errors import FolderError, MeerkatError, NotRunning

from .actions import Actions
from .around import Around
from .bars import Banner, StatusBar, TitleBar
from .buffer import Buffer, Listener
from .closings import Choice, ending_of, keep_unsaved
from .commands import Commands
from .connection import Folder
from .find_bar import FindBar
from .finding import Finding
from .keymap import APP_KEYS, EDITING_KEYS
from .paint import DARK, Look
from .panel import Here, PeoplePanel
from .screens import PickerScreen
from .session import Closing, State
from .side_files import create_file, line_end_of, relative_path
from .view import TextView

__all__ = ["EditorApp"]

PAUSE = 1.0  # s without a key that end a group of undo. guess
TELL_WITHIN = 0.05  # s after which others hear where the caret is
TELL_AGAIN = 10.0  # s; Yjs editors forget who says nothing for 30
ASK_SAVED = 0.3  # s after a key until we ask whether all is kept. guess
ASK_SYNCED = 2.0  # s between two looks whether all linked members have it
FIND_NEW = 10.0  # s until a file that was just made must be known
READ_ON = 0.01  # s between two steps of reading a program's text in the background
_STATES = {  # what is said, and the kind of word whose color that has
    State.NEW: ("new file", "number"),
    State.OFFLINE: ("offline", "variable"),
    State.SYNCING: ("opening", "number"),
    State.CLOSED: ("closed", "variable"),
}


class EditorApp(App[list[str]], Listener):
    """The terminal editor of one folder. What it returns is to be said after it."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []
    CSS = "Screen { layers: base; } #middle { height: 1fr; }"

    def __init__(
        self, root: Path, connect: Callable[..., Folder], path: str = "", *, is_new: bool = False
    ) -> None:
        """``root``: the folder on the disk. ``connect`` is given what ``Connection`` is told."""
        super().__init__()
        self.root = root
        self.folder = connect(on_up=self._on_up, on_down=self._on_down, on_event=self._on_event)
        self._is_to_pick = False
        self.around = Around(self.folder)
        self._parked: list[Buffer] = []  # left while something in them was not saved
        self.last_words: list[str] = []
        self._choices: dict[str, Choice] = {}
        self._waiting: set[str] = set()
        self._key_at = 0.0
        self.buffer = Buffer(self.folder, path, self, is_new=is_new)

    # --- The screen ---

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        self.view = TextView(self.buffer.editing)
        self.title_bar, self.banner, self.status = TitleBar(), Banner(), StatusBar()
        self.panel, self.find_bar = PeoplePanel(), FindBar()
        self.commands = Commands(self.view, self.copy_to_clipboard)
        self.finding = Finding(self.find_bar, self.view, self.say)
        self.actions = Actions(self)
        with Vertical():
            yield self.title_bar
            yield self.banner
            with Horizontal(id="middle"):
                yield self.view
                yield self.panel
            yield self.find_bar
            yield self.status

    def on_mount(self) -> None:
        """Begin."""
        self.view.keys = self._on_text_key
        self.apply_look(DARK)
        self.run_worker(self.folder.run(), name="connection")
        self.set_interval(TELL_AGAIN, lambda: self._tell(again=True))
        self._show(self.buffer)
        if not self.buffer.path:
            self.buffer.editing.read_only = True
            self._is_to_pick = True

    def apply_look(self, look: Look) -> None:
        """Light or dark."""
        self.theme = "textual-dark" if look is DARK else "textual-light"
        for widget in (self.view, self.title_bar, self.banner, self.status):
            widget.look = look
            widget.refresh()
        self.find_bar.set_look(look)
        self.view.redraw()

    def say(self, note: str) -> None:
        """Show a note for a while."""
        self.status.say(note)

    def _once(self, name: str, delay: float, work: Callable[[], None]) -> None:
        """Do it after a while, unless the same is waiting already."""
        if name in self._waiting:
            return
        self._waiting.add(name)

        def run() -> None:
            self._waiting.discard(name)
            work()

        self.set_timer(delay, run)

    def describe(self) -> None:
        """What the bars say."""
        buffer, editing = self.buffer, self.buffer.editing
        line, column = editing.lines.position(editing.span.head)
        session = buffer.session
        if session.state is State.LIVE:
            done = "synced" if self.around.is_synced else "saved"
            state = (done, "string") if session.is_saved else ("saving", "number")
        else:
            state = _STATES[session.state]
        if editing.read_only and not buffer.path:
            state = ("no file", "number")
        self.status.state, self.status.state_kind = state
        linked = f"{self.around.linked} linked" if self.around.linked else "nobody linked"
        selected = editing.span.end - editing.span.start
        self.status.facts = [
            f"{line + 1}:{column + 1}" + (f" ({selected} selected)" if selected else ""),
            linked if self.folder.is_up else "folder's process away",
            *([buffer.line_end] if buffer.line_end != "LF" else []),
            *([buffer.highlighter.name] if buffer.highlighter.name else []),
            str(editing.indent),
            "F1 help",
        ]
        self.status.refresh()
        self.title_bar.title = one_line(buffer.path) or "meerkat"
        self.title_bar.people = [(one.name, one.color) for one in session.people.cursors]
        self.title_bar.following = self.around.following.name if self.around.following else ""
        self.title_bar.refresh()
        self.view.people = session.people.cursors
        self.view.redraw()

    # --- Texts ---

    def open_path(self, path: str) -> None:
        """Leave this text and open another one; a new one is made with its first key."""
        try:
            path = relative_path(self.root, self.root / path)
        except FolderError as error:
            self.say(one_line(str(error)))
            return
        self._leave_buffer()
        buffer = Buffer(self.folder, path, self)
        self._show(buffer)
        self._work(self._open(buffer))

    def _show(self, buffer: Buffer) -> None:
        self.buffer = buffer
        buffer.editing.refuse, buffer.editing.moved = self.say, self._moved_caret
        self._choose_from()
        self.view.show(buffer.editing, buffer.highlighter)
        if buffer.path:
            buffer.line_end = line_end_of(self.root, buffer.path)
        self.view.focus()
        self.describe()

    def _leave_buffer(self) -> None:
        old = self.buffer
        if old.session.is_saved or old.session.state in (State.CLOSED, State.NEW):
            old.session.close()
        else:
            self._parked.append(old)  # it goes on syncing until all is kept
            old.session.ask_saved()

    async def _open(
        self,
        buffer: Buffer,
        patience: float = 0.0,
        then: Callable[[Buffer], None] | None = None,
    ) -> None:
        """Open a text's session; ``patience``: s in which it may not be known yet."""
        until = time.monotonic() + patience
        while self.folder.is_up and buffer is self.buffer:
            try:
                await buffer.session.open()
            except NotRunning:
                return
            except MeerkatError as error:
                if time.monotonic() >= until:
                    self._cannot_open(buffer, str(error))
                    return
                await asyncio.sleep(TELL_WITHIN)
                continue
            buffer.session.own = self.around.own_state(buffer.session.own)
            if then is not None:
                self._when_live(buffer, then)
            return

    def _when_live(self, buffer: Buffer, then: Callable[[Buffer], None]) -> None:
        if buffer.session.state is State.LIVE:
            then(buffer)
        elif buffer.session.state is State.SYNCING:
            self.set_timer(READ_ON, partial(self._when_live, buffer, then))

    def _cannot_open(self, buffer: Buffer, why: str) -> None:
        if not (self.root / buffer.path).exists():
            buffer.session.state = State.NEW
            if buffer.text:
                text = f"{buffer.path} was deleted meanwhile; what you see was its last text."
                self.session_closed(buffer, Closing("deleted", text))
            self.describe()
            return
        kept = keep_unsaved(self.root, buffer)
        buffer.editing.read_only = True
        buffer.session.state = State.CLOSED
        self.banner.say(one_line(f"{why} {kept}"))
        self.describe()
        self.pick()

    # --- The folder's process ---

    def _on_up(self) -> None:
        self._work(self._look())
        for buffer in self.buffers():
            if buffer.session.state is State.OFFLINE and buffer.path:
                self._work(self._reopen(buffer))

    async def _reopen(self, buffer: Buffer) -> None:
        try:
            await buffer.session.open()
            buffer.session.own = self.around.own_state(buffer.session.own)
        except NotRunning:
            return
        except MeerkatError as error:
            if buffer is self.buffer:
                self._cannot_open(buffer, str(error))

    def _on_down(self) -> None:
        for buffer in self.buffers():
            buffer.session.lost()
        self.say("The folder's process is away. What you type is kept and synced when it is back.")
        self.describe()

    def _on_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "files":
            if isinstance(self.screen, PickerScreen):
                self._once("files", TELL_WITHIN, lambda: self._work(self.list_files()))
        else:
            self._once("look", TELL_WITHIN, lambda: self._work(self._look()))

    async def _look(self) -> None:
        if not await self.around.look(self.buffer.path):
            return
        session = self.buffer.session
        session.own = self.around.own_state(session.own)
        self.panel.show(self.around.here, self.buffer.path)
        if self._is_to_pick:
            self._is_to_pick = False
            self.pick()
        self._follow_on()
        self._tell()
        self.describe()

    async def list_files(self) -> None:
        """What the picker offers."""
        paths = await self.around.list_files()
        if isinstance(self.screen, PickerScreen):
            self.screen.show(paths)

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self.run_worker(work)

    def buffers(self) -> list[Buffer]:
        """All that are open."""
        return [self.buffer, *self._parked]

    def pick(self) -> None:
        """Let a person choose a file."""
        self.actions.pick()
        self._work(self.list_files())

    # --- What happens to a buffer (Listener) ---

    def text_changed(self, buffer: Buffer, edits: Sequence[Edit], is_own: bool) -> None:
        """See Listener."""
        if buffer is not self.buffer:
            return
        self.view.people = buffer.session.people.cursors
        self.view.text_changed(edits, is_own)
        if is_own:
            if buffer.session.state is State.NEW:
                self._make_file(buffer)
            self.around.is_synced = False
            self._once("saved", ASK_SAVED, self._ask_saved)
        self._once("read", READ_ON, self._read_on)
        self._moved_caret()

    def session_changed(self, buffer: Buffer) -> None:
        """See Listener."""
        if buffer in self._parked:
            if buffer.session.is_saved:
                self._parked.remove(buffer)
                buffer.session.close()
            return
        if buffer is self.buffer and self.is_running:
            self._follow_on()
            self.describe()
            self._once("tell", TELL_WITHIN, self._tell)

    def session_closed(self, buffer: Buffer, why: Closing) -> None:
        """See Listener."""
        if buffer is not self.buffer:
            self._parked = [one for one in self._parked if one is not buffer]
            self.last_words.append(keep_unsaved(self.root, buffer))
            return
        ending = ending_of(
            buffer,
            why,
            self.root,
            open_anew=lambda then: self._open_anew(then),
            choose_other=self.pick,
        )
        if ending.reopen:
            line, column = buffer.editing.lines.position(buffer.editing.span.head)
            self._open_anew(lambda fresh: self.put(fresh, line, column))
        elif not ending.text:
            buffer.session.state = State.OFFLINE
        else:
            buffer.editing.read_only = True
        if ending.text:
            self._choose_from(one_line(ending.text), ending.choices)
        self.describe()

    def moved(self, buffer: Buffer) -> None:
        """See Listener."""
        if buffer is self.buffer:
            self.view.highlighter = buffer.highlighter
            self.say(f"The file is {one_line(buffer.path)} now.")
            self.describe()

    def _open_anew(self, then: Callable[[Buffer], None] | None) -> None:
        buffer = Buffer(self.folder, self.buffer.path, self)
        self._show(buffer)
        self._work(self._open(buffer, FIND_NEW, then))

    def put(self, buffer: Buffer, line: int, column: int) -> None:
        """The caret goes there."""
        buffer.editing.put(buffer.editing.lines.offset(line, column))
        self.view.reveal(center=True)

    def _make_file(self, buffer: Buffer) -> None:
        buffer.session.state = State.OFFLINE
        try:
            create_file(self.root, buffer.path)
        except FolderError as error:
            self.banner.say(one_line(str(error)))
        self._work(self._open(buffer, FIND_NEW))

    def _read_on(self) -> None:
        if self.buffer.highlighter.work():
            self._once("read", READ_ON, self._read_on)
        self.view.redraw()

    def _ask_saved(self) -> None:
        self.buffer.session.ask_saved()
        if not self.buffer.session.is_saved:
            self._once("saved", ASK_SAVED, self._ask_saved)
        elif self.around.linked and not self.around.is_synced:
            self._work(self._look())
            self._once("saved", ASK_SYNCED, self._ask_saved)

    # --- People ---

    def _moved_caret(self) -> None:
        self._once("tell", TELL_WITHIN, self._tell)
        self.describe()

    def _tell(self, *, again: bool = False) -> None:
        self.buffer.session.show_selection(self.buffer.editing.span, again=again)

    def follow(self, person: Here | None) -> None:
        """Go where somebody goes, or no longer."""
        self.around.following = person
        self._follow_on()
        self.describe()

    def _follow_on(self) -> None:
        path = self.around.place_to_go(self.buffer.path)
        if path:
            self.open_path(path)
            return
        cursor = self.around.followed(self.buffer.session.people.cursors)
        if cursor is not None:
            self.view.viewport.reveal(cursor.span.head, center=True)
            self.view.scroll_rows(0)

    # --- Keys ---

    def _on_text_key(self, event: events.Key) -> bool:
        """A key while the text has the focus; whether it is done with."""
        choice = self._choices.get(event.key)
        if choice is not None:
            self._take_choice(choice)
            return True
        now = time.monotonic()
        if now - self._key_at > PAUSE:
            self.buffer.editing.end_group()
        self._key_at = now
        if self.around.following is not None and event.key not in APP_KEYS:
            self.follow(None)
        if event.key in EDITING_KEYS:
            self.commands.run(EDITING_KEYS[event.key])
        elif event.is_printable and event.character is not None:
            self.commands.type(event.character)
        else:
            return False
        self._moved_caret()
        return True

    def on_key(self, event: events.Key) -> None:
        """What the focused widget did not want."""
        name = APP_KEYS.get(event.key)
        if name is not None and len(self.screen_stack) == 1:
            event.stop()
            event.prevent_default()
            self.actions.run(name)

    async def action_quit(self) -> None:
        """Textual's own Ctrl-Q, which no key handler sees: not without keeping everything."""
        self.actions.run("leave")

    def on_paste(self, event: events.Paste) -> None:
        """A text that the terminal pasted."""
        if self.view.has_focus:
            event.stop()
            self.commands.insert(event.text)
            self._moved_caret()

    def on_text_view_touched(self) -> None:
        """The mouse was used."""
        if self.around.following is not None:
            self.follow(None)
        self._moved_caret()

    def _choose_from(self, text: str = "", choices: Sequence[Choice] = ()) -> None:
        self._choices = {choice.key: choice for choice in choices}
        self.banner.say(text, "  ".join(choice.says for choice in choices))

    def _take_choice(self, choice: Choice) -> None:
        self._choose_from()
        try:
            choice.work()
        except FolderError as error:
            self.banner.say(one_line(str(error)))

    # --- Messages of the bars ---

    def on_find_bar_changed(self) -> None:
        """Look for something else."""
        self.finding.changed()
        self.describe()

    def on_find_bar_go(self, event: FindBar.Go) -> None:
        """The next one."""
        self.finding.go(back=event.back)
        self.describe()

    def on_find_bar_replace(self, event: FindBar.Replace) -> None:
        """Put something else there."""
        self.finding.replace(everywhere=event.everywhere)
        self.describe()

    def on_find_bar_closed(self) -> None:
        """Back to the text."""
        self.finding.close()

    def on_people_panel_chosen(self, event: PeoplePanel.Chosen) -> None:
        """Follow somebody."""
        self.view.focus()
        self.follow(event.person)

    def on_people_panel_left(self) -> None:
        """Back to the text."""
        self.view.focus()
