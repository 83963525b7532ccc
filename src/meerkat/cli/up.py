"""`meerkat up`: go on with a folder that was shared or joined before."""

from __future__ import annotations

from pathlib import Path

import click

from .options import folder_argument, node_options, serving_options

__all__ = ["command"]


@click.command("up")
@folder_argument
@serving_options
@click.option("--detach", "-d", is_flag=True, help="Run in the background; return when ready.")
@click.option("--ready-fd", type=int, hidden=True)
@click.pass_context
def command(
    context: click.Context,
    folder: Path,
    name: str | None,
    listen: str | None,
    port: int | None,
    no_listen: bool,
    advertise: tuple[str, ...],
    discover: bool | None,
    as_json: bool,
    quiet: bool,
    detach: bool,
    ready_fd: int | None,
) -> None:
    """Resume the folder DIR (default: here)."""
    options = node_options(listen, port, no_listen, advertise, discover)
    if detach:
        if ready_fd is not None:
            raise click.UsageError("--detach and --ready-fd exclude each other; leave one out.")
        from .detach import detach_up

        detach_up(context, folder, as_json)
        return
    from meerkat.node.share import resume

    from .serving import Home, Serving, StateFolder, known_as, serve

    async def open_home(state: StateFolder) -> Home:  # noqa: RUF029 - as for join
        return known_as(resume(state), name)

    serving = Serving(options, as_json, quiet, ready_fd=ready_fd)
    serve(folder, open_home, serving, existing=True)
