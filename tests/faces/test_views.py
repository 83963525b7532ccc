"""What people are shown of a running node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from meerkat.cli.live_view import LiveView, render
from meerkat.cli.views import PlainView, View, sentence

STATUS: dict[str, Any] = {
    "files": 2,
    "content_bytes": 3_000,
    "peers": [],
    "in_sync": True,
    "pending_files": 0,
    "conflicts": [],
    "problems": [],
    "transfers": [],
    "reading": [],
}
BOB = {"name": "bob", "direction": "out"}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "saved here; nobody else is linked"),
        ({"peers": [BOB]}, "in sync"),
        ({"peers": [BOB], "in_sync": False, "pending_files": 1}, "1 file to come"),
        ({"in_sync": False}, "syncing"),
        ({"paused": True}, "paused"),
    ],
)
def test_the_state_says_who_has_it(facts: dict[str, Any], words: str):
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render({**STATUS, **facts}, []))
    lines = capture.get().splitlines()

    assert words in next(line for line in lines if line.strip().startswith("state"))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event": "synced", "files": 2, "peers": 1}, "In sync: 2 files"),
        ({"event": "synced", "files": 1, "peers": 0}, "1 file saved here; nobody else is linked"),
        ({"event": "conflict", "count": 1}, "1 file kept twice; `meerkat status` shows where"),
        ({"event": "conflict", "count": 2}, "2 files kept twice; `meerkat status` shows where"),
        ({"event": "renamed", "old": "bob", "name": "Robert"}, "bob is Robert from now on"),
        ({"event": "of the future"}, ""),
    ],
)
def test_events_as_people_say_them(event: dict[str, Any], words: str):
    assert sentence(event) == words


@pytest.mark.parametrize("make", [PlainView, lambda: LiveView(Console(width=80))])
def test_words_of_others_never_control_the_terminal(
    make: Callable[[], View], capsys: pytest.CaptureFixture[str]
):
    view = make()
    hostile = "\x1b[2J\x1b]0;owned\x07"
    peer = {"name": hostile, "direction": "in"}
    transfer = {"path": hostile, "done_bytes": 1, "total_bytes": 9_000_000}
    problem = {"path": hostile, "text": hostile}

    view.ready({"folder": "notes"})
    view.event({"event": "peer_lost", "name": hostile, "reason": hostile})
    view.tick({**STATUS, "peers": [peer], "transfers": [transfer], "problems": [problem]})
    view.close()

    shown = capsys.readouterr().out
    assert "owned" in shown
    assert "\x1b[2J" not in shown
    assert "\x1b]0" not in shown
    assert "\x07" not in shown
