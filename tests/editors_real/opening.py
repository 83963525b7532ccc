"""What the tests with a played server begin with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.editors_real.neovim import Neovim
from tests.editors_real.played_server import PlayedServer

__all__ = ["Start", "opened", "received"]

Start = Callable[..., Neovim]
"""Start a Neovim; keywords are options of the plugin, and ``first``, a command before all."""


def opened(
    neovim: Neovim, server: PlayedServer, path: Path, content: str | bytes
) -> tuple[str, str]:
    """A file that is open and live: its URI, and what the server was told it holds."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    neovim.edit(path)
    server.accept()
    uri, shown = server.open()
    neovim.live()
    return uri, shown


def received(neovim: Neovim, count: int) -> None:
    """Wait until Neovim has applied so many edits of the server's."""
    neovim.wait(f"return (...).server_revision == {count}", f"{count} edits applied")
