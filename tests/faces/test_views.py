"""What people are shown of a running node."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from meerkat.cli.live_view import render
from meerkat.cli.views import sentence

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
        ({"event": "of the future"}, ""),
    ],
)
def test_events_as_people_say_them(event: dict[str, Any], words: str):
    assert sentence(event) == words
