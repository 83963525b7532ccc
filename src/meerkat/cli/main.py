"""The ``meerkat`` command: its subcommands, loaded when used, and errors as exit codes."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from meerkat.errors import MeerkatError

from .printing import Printing

__all__ = ["cli", "main", "run"]

# In the order of the help. A command's module is imported when it is used: starting is quick.
COMMANDS = (
    "share",
    "join",
    "up",
    "stop",
    "status",
    "invite",
    "edit",
    "web",
    "db",
    "editor",
    "chat",
    "peers",
    "map",
    "ping",
    "echo",
    "rebuild",
    "doctor",
    "demo",
    "simulate",
)
ALIASES = {"client": "editor"}  # as the plugins of Teamtype call theirs
EXIT_USAGE = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class _Commands(click.Group):
    """Commands by name, each in the module of that name as ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        cmd_name = ALIASES.get(cmd_name, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"meerkat.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("meerkat-p2p")
    except PackageNotFoundError:
        return "unknown"


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"meerkat {_version()}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version.",
)
def cli() -> None:
    """A live folder shared peer to peer: no server, no account.

    Begin with `meerkat share DIR`; it prints an invitation. On the other machine say
    `meerkat join INVITATION DIR`. Set MEERKAT_DEBUG=1 to see where an error comes from.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    printing = Printing()
    try:
        result = cli.main(
            args=list(arguments) if arguments is not None else None,
            prog_name="meerkat",
            standalone_mode=False,
            obj=printing,
        )
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except MeerkatError as error:
        _show_trace()
        printing.error(str(error) or str(type(error).__doc__), error.exit_code)
        return error.exit_code
    except BrokenPipeError:
        _forget_stdout()
        return 0
    except Exception as error:
        _show_trace()
        printing.error(
            f"A bug in meerkat: {error!r}. Your files are as they were; "
            "run it again with MEERKAT_DEBUG=1 and report what it shows.",
            EXIT_BUG,
        )
        return EXIT_BUG
    return result if isinstance(result, int) else 0


def main() -> None:
    """The console script."""
    sys.exit(run())


def _show_trace() -> None:
    if os.environ.get("MEERKAT_DEBUG"):
        traceback.print_exc()


def _forget_stdout() -> None:
    """Whoever read our output is gone; do not fail once more when the interpreter flushes it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
