"""What the keys of the editor as a whole do: finding, opening, people, how it looks, leaving."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from .closings import keep_unsaved
from .indent import Indent
from .paint import DARK, LIGHT
from .screens import GotoScreen, HelpScreen, PickerScreen
from .session import State

if TYPE_CHECKING:
    from .app import EditorApp

__all__ = ["Actions"]

LEAVE_WITHIN = 3.0  # s that leaving waits for the last keys to be kept
LOOK = 0.02  # s between looks whether they are
INDENTS = (Indent(False, 2), Indent(False, 4), Indent(False, 8), Indent(True, 4), Indent(True, 8))


def _leave_on_signals(leave: Callable[[], None]) -> None:
    """A closed terminal or a `kill` is no reason to lose what could not be synced yet."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGHUP, signal.SIGTERM):
        # Not in a thread, nor in every loop.
        with suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, leave)


class Actions:
    """Carries out the actions of ``keymap.APP_KEYS`` for an app, by name."""

    def __init__(self, app: EditorApp) -> None:
        self._app = app
        self._is_leaving = False
        _leave_on_signals(self._do_leave)

    def run(self, name: str) -> None:
        """Do it."""
        getattr(self, f"_do_{name}")()

    # --- Finding ---

    def _do_find(self) -> None:
        self._app.finding.open(replace=False)

    def _do_replace(self) -> None:
        self._app.finding.open(replace=True)

    def _do_find_next(self) -> None:
        self._app.finding.go(back=False)

    def _do_find_previous(self) -> None:
        self._app.finding.go(back=True)

    def _do_goto(self) -> None:
        def go(answer: str | None) -> None:
            if answer:
                line, column = (int(part) - 1 for part in answer.split(":"))
                self._app.put(self._app.buffer, line, max(0, column))

        self._app.push_screen(GotoScreen(), go)

    # --- Files ---

    def _do_files(self) -> None:
        self._app.pick()

    def pick(self, why: str = "") -> None:
        """Let a person choose a file."""
        app = self._app
        if isinstance(app.screen, PickerScreen):
            return

        def opened(path: str | None) -> None:
            if path:
                app.open_path(path)
            else:
                app.view.focus()

        app.push_screen(PickerScreen(app.around.texts(), why), opened)

    # --- People ---

    def _do_people(self) -> None:
        panel = self._app.panel
        panel.display = not panel.display
        if panel.display:
            panel.focus()
        else:
            self._app.view.focus()

    def _do_follow(self) -> None:
        app = self._app
        others = [one for one in app.around.here if not one.is_own] or app.around.here
        if app.around.following is not None:
            app.follow(None)
        elif len(others) == 1:
            app.follow(others[0])
        elif others:
            app.panel.display = True
            app.panel.focus()
        else:
            app.say("Nobody else is in a text now.")

    # --- How it looks ---

    def _do_wrap(self) -> None:
        self._app.view.wrap = not self._app.view.wrap
        self._app.say(
            "Long lines are wrapped." if self._app.view.wrap else "Lines are not wrapped."
        )

    def _do_numbers(self) -> None:
        self._app.view.numbers = not self._app.view.numbers
        self._app.view.redraw()

    def _do_light(self) -> None:
        self._app.apply_look(LIGHT if self._app.view.look is DARK else DARK)

    def _do_indent(self) -> None:
        view = self._app.view
        at = INDENTS.index(view.editing.indent) if view.editing.indent in INDENTS else -1
        view.set_indent(INDENTS[(at + 1) % len(INDENTS)])
        self._app.say(f"Indentation: {view.editing.indent}")
        self._app.describe()

    # --- The rest ---

    def _do_saved(self) -> None:
        is_saved = self._app.buffer.session.is_saved
        self._app.say("Saved already: every key is." if is_saved else "Being saved.")

    def _do_help(self) -> None:
        self._app.push_screen(HelpScreen())

    def _do_escape(self) -> None:
        app = self._app
        app.follow(None)
        if app.find_bar.display:
            app.find_bar.display = False
            app.finding.close()
        elif app.panel.display and app.panel.has_focus:
            app.view.focus()
        else:
            app.banner.say("")
            app.buffer.editing.put(app.buffer.editing.span.head)
            app.view.redraw()

    def _do_leave(self) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            self._app.run_worker(self._leave(), name="leave")

    async def _leave(self) -> None:
        """When all is kept: by the folder's process, or in a file aside."""
        app = self._app
        until = time.monotonic() + LEAVE_WITHIN
        while time.monotonic() < until:
            unsaved = [one for one in app.buffers() if not one.session.is_saved]
            if not unsaved or not app.folder.is_up:
                break
            for buffer in unsaved:
                buffer.session.ask_saved()
            if all(one.session.state in (State.CLOSED, State.NEW) for one in unsaved):
                break
            await asyncio.sleep(LOOK)
        words = [keep_unsaved(app.root, buffer) for buffer in app.buffers()]
        for buffer in app.buffers():
            buffer.session.close()
        app.exit([*app.last_words, *words])
