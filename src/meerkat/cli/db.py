"""`meerkat db`: live databases, and SQL on them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import click

from meerkat.control import schema
from meerkat.control.cells import params_to_json
from meerkat.control.client import ControlClient
from meerkat.errors import FolderError, MeerkatError

from .asking import asking, pool_around
from .db_values import parameters, value_of
from .options import folder_argument, json_option
from .printing import count, print_json

__all__ = ["command"]

Facts = Mapping[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])

ASKED_WITHIN = 3_600.0  # seconds for a statement; the folder's process gives up before
LIMIT = 1_000  # rows that people want to see; guess
STATE_FOLDER = ".meerkat"

file_argument = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))


class _InOrder(click.Group):
    """Subcommands in the order in which they stand here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group("db", cls=_InOrder)
def command() -> None:
    """Live databases: SQLite files that merge row by row and cell by cell.

    Every SQLite file in the folder is one: any program may write to it, on any member's machine,
    and what several wrote at once is merged. The folder must be running (`meerkat up`).
    """


class Opened:
    """A connection to the process of the folder that a file lies in."""

    def __init__(self, file: Path) -> None:
        state = pool_around(file)
        self.path = _path_in(state.folder, file)
        self.client = asking(state.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def ask(self, request: schema.Request) -> dict[str, Any]:
        return self.client.ask(request, within=ASKED_WITHIN)


def _path_in(folder: Path, file: Path) -> str:
    root = folder.resolve()
    place = file.absolute().parent.resolve() / file.name
    if not place.is_relative_to(root) or place == root:
        raise FolderError(f"{file} lies outside {folder}.")
    path = place.relative_to(root)
    if path.parts[0] == STATE_FOLDER:
        raise FolderError(f"{file} belongs to meerkat itself; open it with sqlite3.")
    return path.as_posix()


# --- How they are ---


@command.command("list")
@folder_argument
@json_option
def list_command(folder: Path, as_json: bool) -> None:
    """Show the databases in the folder DIR (default: here)."""
    from .db_views import databases_table

    with asking(pool_around(None, folder).folder) as client:
        found = client.ask(schema.DbList())["databases"]
    if as_json:
        for one in found:
            print_json({"event": "database", **one})
    elif not found:
        click.echo("No SQLite database is in this folder.")
    else:
        _print(databases_table(found))


@command.command("status")
@file_argument
@json_option
def status_command(file: Path, as_json: bool) -> None:
    """Show how the database FILE is, and what is wrong with it, if anything."""
    from .db_views import database_lines

    with Opened(file) as opened:
        facts = opened.ask(schema.DbStatus(path=opened.path))
    if as_json:
        print_json(facts)
        return
    for line in database_lines(facts):
        click.echo(line)


@command.command("conflicts")
@file_argument
@json_option
def conflicts_command(file: Path, as_json: bool) -> None:
    """Show the rows that a constraint keeps out of FILE, and why.

    Nothing is lost: a row comes back by itself when what stands in its way is changed or deleted.
    """
    from .db_views import conflict_lines

    with Opened(file) as opened:
        found = opened.ask(schema.DbConflicts(path=opened.path))["conflicts"]
    if as_json:
        for one in found:
            print_json({"event": "conflict", **one})
        return
    for line in conflict_lines(found):
        click.echo(line)


@command.command("off")
@file_argument
@json_option
def off_command(file: Path, as_json: bool) -> None:
    """Treat FILE as an ordinary file, for everyone in the pool.

    It is shared as a whole, and what two write at once is kept twice.
    """
    _switch(schema.DbOff, file, as_json, "is an ordinary file from now on.")


@command.command("on")
@file_argument
@json_option
def on_command(file: Path, as_json: bool) -> None:
    """Merge FILE by rows again, for everyone in the pool."""
    _switch(schema.DbOn, file, as_json, "is a live database from now on.")


def _switch(
    ask: type[schema.DbOff | schema.DbOn], file: Path, as_json: bool, sentence: str
) -> None:
    with Opened(file) as opened:
        opened.ask(ask(path=opened.path))
        if as_json:
            print_json({"event": "database", "path": opened.path, "live": ask is schema.DbOn})
        else:
            click.echo(f"{file} {sentence}")


# --- SQL ---


def _sql_options(function: Function) -> Function:
    options = [
        file_argument,
        click.argument("sql", metavar="SQL"),
        click.argument("values", metavar="[VALUE]...", nargs=-1),
        click.option(
            "--param",
            "-p",
            "named",
            metavar="NAME=VALUE",
            multiple=True,
            help="The value of :NAME. May be repeated.",
        ),
        click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a header line."),
        click.option(
            "--limit",
            type=click.IntRange(1, schema.MAX_ROWS),
            default=LIMIT,
            show_default=True,
            help="Print at most so many rows.",
        ),
        json_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command.command("query", context_settings={"ignore_unknown_options": True})
@_sql_options
def query_command(
    file: Path,
    sql: str,
    values: tuple[str, ...],
    named: tuple[str, ...],
    as_csv: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Read from the database FILE with SQL.

    An SQL of `-` is read from standard input. Each VALUE stands for a `?`, in order. One that reads
    as a number is a number; NULL is NULL, x'00ff' a blob, '42' in quotes of its own a text. With
    --json each row is an object; a blob is {"blob": base64}. With --csv NULL is nothing at all, an
    empty text is "", a blob X'00FF'.
    """
    _run(schema.DbQuery, file, sql, _params(values, named), _form(as_csv, as_json), limit)


@command.command("exec", context_settings={"ignore_unknown_options": True})
@_sql_options
def exec_command(
    file: Path,
    sql: str,
    values: tuple[str, ...],
    named: tuple[str, ...],
    as_csv: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Write to the database FILE with SQL.

    All statements are one transaction: the other members see all of it or nothing. SQL and values
    as in `meerkat db query`.
    """
    _run(schema.DbExec, file, sql, _params(values, named), _form(as_csv, as_json), limit)


def _params(values: tuple[str, ...], named: tuple[str, ...]) -> Any:
    try:
        return params_to_json(parameters(values, named))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _form(as_csv: bool, as_json: bool) -> str:
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two forms; leave one out.")
    return "csv" if as_csv else "json" if as_json else "table"


def _run(
    ask: type[schema.DbQuery | schema.DbExec],
    file: Path,
    sql: str,
    params: Any,
    form: str,
    limit: int,
) -> None:
    from .db_views import print_answer

    if sql == "-":
        sql = sys.stdin.read()
    if not sql.strip():
        raise MeerkatError("There is no SQL to run.")
    with Opened(file) as opened:
        answer = opened.ask(ask(path=opened.path, sql=sql, params=params, limit=limit))
    print_answer(answer, form)
    if answer["more"]:
        click.echo(f"meerkat: only the first {count(limit, 'row')}; see --limit.", err=True)


# --- What happens, and what happened ---


@command.command("watch")
@file_argument
@click.argument("table", metavar="[TABLE]", default="")
@json_option
def watch_command(file: Path, table: str, as_json: bool) -> None:
    """Show the rows of FILE that change, whoever changes them.

    All of them, or those of TABLE. Until Ctrl-C, or until the folder's process ends.
    """
    from .db_views import change_lines

    with Opened(file) as opened:
        opened.ask(schema.DbWatch(watch=1, path=opened.path, table=table))
        if as_json:
            print_json({"event": "watching", "path": opened.path, "table": table})
        else:
            click.echo(f"Watching {table or 'all tables'} of {file}. Ctrl-C ends it.", err=True)
        for event in _events(opened.client):
            if event["event"] == "resync":
                said = f"meerkat: {count(int(event['missed']), 'change')} went by too fast."
                click.echo(said, err=True)
            elif as_json:
                for one in event["changes"]:
                    print_json({"event": "row", **one})
                if event["again"]:
                    print_json({"event": "again"})
            else:
                for line in change_lines(event):
                    click.echo(line)


def _events(client: ControlClient) -> Any:
    return (one for one in client.events() if one["event"] in {"rows", "resync"})


@command.command("history")
@file_argument
@click.argument("table", metavar="TABLE")
@click.argument("key", metavar="KEY...", nargs=-1, required=True)
@json_option
def history_command(file: Path, table: str, key: tuple[str, ...], as_json: bool) -> None:
    """Show who wrote each cell of a row last, and when.

    KEY is the row's rowid (its INTEGER PRIMARY KEY, if it has one), or in a WITHOUT ROWID table
    the values of its primary key.
    """
    from .db_views import history_table

    values = params_to_json([value_of(word) for word in key])
    with Opened(file) as opened:
        request = schema.DbHistory(path=opened.path, table=table, key=tuple(values))
        found = opened.ask(request)["cells"]
    if as_json:
        for one in found:
            print_json({"event": "cell", **one})
    else:
        _print(history_table(found))


def _print(shown: Any) -> None:
    from .terminal import console

    console().print(shown)
