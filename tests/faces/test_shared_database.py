"""The example app: two Flask processes, two members' copies of one database, both writing."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from meerkat.cli.demo_peer import wait_for

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shared_database" / "run.py"
SOON = 60.0

pytest.importorskip("flask", reason="needs flask from PyPI")


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[list[str]]:
    """The two apps' pages, alice's first."""
    command = [sys.executable, str(EXAMPLE), str(tmp_path / "place")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as example:
        try:
            yield [line_of(example).split()[1] for _ in range(2)]
        finally:
            os.kill(example.pid, signal.SIGINT)
            said = example.communicate(timeout=SOON)[0]
    assert said.endswith(b"Stopping.\n")
    assert example.returncode == 0


def line_of(example: subprocess.Popen[bytes]) -> str:
    assert example.stdout is not None
    assert select.select([example.stdout], [], [], SOON)[0]
    return example.stdout.readline().decode()


def write(address: str, path: str, **fields: str) -> None:
    with urllib.request.urlopen(address + path, urlencode(fields).encode(), timeout=SOON):
        pass


def tasks(address: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(address + "tasks.json", timeout=SOON) as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found


def test_both_write_and_both_show_the_same(addresses: list[str]):
    alice, bob = addresses
    for number in range(5):  # at once: ids meet, and their tasks go along
        write(alice, "lists", title=f"alice {number}")
        write(bob, "lists", title=f"bob {number}")
    wanted = [
        {"title": title, "text": f"begin with {title}", "done": 0}
        for title in sorted(f"{name} {number}" for name in ("alice", "bob") for number in range(5))
    ]

    for address in addresses:
        wait_for(lambda address=address: tasks(address) == wanted, "all are there", within=SOON)  # type: ignore[misc]
