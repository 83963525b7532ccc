"""Lines out: for people on stdout and stderr, for programs as one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

__all__ = ["Printing", "byte_size", "count"]

STEP = 1000
UNITS = ("B", "kB", "MB", "GB", "TB")


class Printing:
    """What the command was told about its output. One for each run, in click's context."""

    def __init__(self) -> None:
        self.json = False

    def error(self, sentence: str, exit_code: int) -> None:
        """Say why the command ends: to people always, to programs if they asked for JSON."""
        if self.json:
            print_json({"event": "error", "error": sentence, "exit_code": exit_code})
        click.echo(f"meerkat: {sentence}", err=True)


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object, one line, at once."""
    click.echo(json.dumps(value, ensure_ascii=True, separators=(",", ":")))


def byte_size(size: float) -> str:
    """A size as people say it."""
    for unit in UNITS[:-1]:
        if size < STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= STEP
    return f"{size:.1f} {UNITS[-1]}"


def count(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
