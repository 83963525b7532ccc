"""How databases, rows, conflicts and changes look to people: all of it is others' words."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from meerkat.control.cells import from_json

from .db_values import csv_line, json_line, shown
from .printing import byte_size, count
from .visible import visible

__all__ = [
    "change_lines",
    "conflict_lines",
    "database_lines",
    "databases_table",
    "history_table",
    "print_answer",
]

Facts = Mapping[str, Any]
IN_WORDS = {"merging": "live", "off": "off, an ordinary file", "ignored": "ignored by a rule here"}
CELL_CHARS = 200  # of one cell on a terminal; --json and --csv have all
MS = 1000


def databases_table(found: Iterable[Facts]) -> Table:
    """One row a database."""
    table = _table("database", "", "set aside")
    for one in found:
        aside = f"{one['aside']:,}" if one["aside"] else ""
        table.add_row(*map(Text, (visible(one["path"]), _state(one), aside)))
    return table


def _state(facts: Facts) -> str:
    state, problem = str(facts["state"]), visible(facts["problem"])
    if problem:
        return f"{state}: {problem}" if state != "live" else problem
    return IN_WORDS.get(state, state)


def database_lines(facts: Facts) -> Iterator[str]:
    """How one is."""
    yield f"{visible(facts['path'])}: {_state(facts)}"
    if facts["journal_mode"]:
        yield f"  file       {byte_size(facts['file_bytes'])}, journal mode {facts['journal_mode']}"
        yield f"  own state  {byte_size(facts['state_bytes'])}"
    if facts["aside"]:
        rows = count(facts["aside"], "row")
        yield f"  set aside  {rows}; `meerkat db conflicts` shows them"
    for table in facts["tables"]:
        rows = "" if table["rows"] is None else f", {count(table['rows'], 'row')}"
        kind = "" if table["kind"] == "table" else f" ({table['kind']})"
        columns = count(len(table["columns"]), "column")
        yield f"  table      {visible(table['name'])}{kind}: {columns}{rows}"


def conflict_lines(found: Iterable[Facts]) -> Iterator[str]:
    """Each row that is set aside: where it belongs, why it is not there, what it holds."""
    any_yet = False
    for one in found:
        any_yet = True
        who = f", by {visible(one['name'])}, {_when(one['wall_ms'])}" if one["name"] else ""
        yield f"{visible(one['table'])}: {visible(one['reason'])}{who}"
        for column, value in one["values"].items():
            yield f"  {visible(column)} = {_short(from_json(value))}"
    if not any_yet:
        yield "No row is set aside."


def history_table(cells: Iterable[Facts]) -> Table:
    """Who wrote each cell."""
    table = _table("column", "written by", "when")
    for one in cells:
        who = visible(one["name"]) or "(when it was first shared)"
        when = _when(one["wall_ms"]) if one["wall_ms"] else ""
        table.add_row(*map(Text, (visible(one["column"]), who, when)))
    return table


def change_lines(event: Facts) -> Iterator[str]:
    """The rows that changed, a line each."""
    for one in event["changes"]:
        key = ", ".join(_short(from_json(cell)) for cell in one["key"])
        who = f"  (by {visible(one['name'])})" if one["name"] else ""
        yield f"{one['operation']} {visible(one['table'])} {key}: {_difference(one)}{who}"
    if event["again"]:
        yield "Some changes were left out; read the table again."


def _difference(one: Facts) -> str:
    old, new = one["old"] or {}, one["new"] or {}
    if not new:
        return ", ".join(f"{visible(name)} = {_cell(cell)}" for name, cell in old.items())
    parts = (
        f"{visible(name)} = {_cell(cell)}" + (f" (was {_cell(old[name])})" if name in old else "")
        for name, cell in new.items()
        if name not in old or old[name] != cell
    )
    return ", ".join(parts)


def print_answer(answer: Facts, form: str) -> None:
    """What a statement gave."""
    columns = [str(name) for name in answer["columns"]]
    rows = [[from_json(cell) for cell in row] for row in answer["rows"]]
    if form == "json":
        _print_lines(json_line(columns, row) for row in rows)
        if not columns and "changed" in answer:
            click.echo(f'{{"changed":{answer["changed"]}}}')
    elif form == "csv":
        if columns:
            lines: list[list[Any]] = [list(columns), *rows]
            make = _harmless if sys.stdout.isatty() else str
            _print_lines(make(csv_line(line)) for line in lines)
    else:
        if columns:
            from .terminal import console

            console().print(_answer_table(columns, rows))
        if "changed" in answer:
            click.echo(f"{count(answer['changed'], 'row')} changed.")


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _harmless(line: str) -> str:
    """A line of CSV on a terminal. A cell may hold line ends."""
    return "\n".join(visible(part) for part in line.split("\n"))


def _answer_table(columns: list[str], rows: list[list[Any]]) -> Table:
    numbers = {
        index
        for index in range(len(columns))
        if rows and all(isinstance(row[index], int | float | None) for row in rows)
    }
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, name in enumerate(columns):
        table.add_column(Text(visible(name)), justify="right" if index in numbers else "left")
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    return table


def _text(cell: Any) -> Text:
    dim = cell is None or isinstance(cell, bytes)
    return Text(_short(cell), style="dim" if dim else "")


def _short(cell: Any) -> str:
    text = shown(cell)
    return text if len(text) <= CELL_CHARS else f"{text[:CELL_CHARS]}…"


def _cell(value: Any) -> str:
    return _short(from_json(value))


def _when(wall_ms: int) -> str:
    """By its author's clock, which may say anything."""
    try:
        then = datetime.fromtimestamp(wall_ms / MS, tz=UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return "at no time"
    return then.strftime("%Y-%m-%d %H:%M:%S")


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, no_wrap=True)
    return table
