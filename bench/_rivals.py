"""The Yjs servers that meerkat is measured beside: y-websocket's own, and hocuspocus. From npm.

Both as their documentation starts them: they sign nothing, encrypt nothing and keep nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent / "yjs_servers"
INSTALL_WITHIN = 300.0  # s
PROGRAMS = {
    "y-websocket": ("node_modules/y-websocket/bin/server.cjs",),
    "hocuspocus": ("hocuspocus.mjs",),
}


@dataclass(frozen=True)
class Rival:
    """A server that runs."""

    name: str
    url: str
    room: str  # in each message, for hocuspocus
    pid: int


def installed() -> str:
    """Empty, or why the servers cannot be here. Installs them the first time."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node and npm are not here"
    if (HERE / "node_modules" / "@hocuspocus").exists():
        return ""
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    try:
        done = subprocess.run(command, cwd=HERE, timeout=INSTALL_WITHIN, check=False)
    except subprocess.TimeoutExpired:
        return f"npm install was not done after {INSTALL_WITHIN:.0f} s"
    return "" if done.returncode == 0 else f"npm install ended with {done.returncode}"


@contextmanager
def rival(name: str, room: str = "notes") -> Iterator[Rival]:
    """One of ``PROGRAMS``, on a free port of loopback."""
    port = _free_port()
    process = subprocess.Popen(
        ["node", *PROGRAMS[name]],
        cwd=HERE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, HOST="127.0.0.1", PORT=str(port), NODE_ENV="production"),
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "running" in line:
                break
        else:
            raise RuntimeError(f"{name} did not start")
        in_messages = room if name == "hocuspocus" else ""
        yield Rival(name, f"ws://127.0.0.1:{port}/{room}", in_messages, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
