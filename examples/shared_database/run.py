"""Two members, each with a copy of one SQLite database and a Flask app that writes to it.

``python examples/shared_database/run.py [PLACE]`` shares two folders of this machine with each
other, starts both apps and prints their addresses; Ctrl-C ends everything. On two machines the same
is `meerkat share` and `meerkat join`, and an app on each.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

APP = Path(__file__).with_name("app.py")
DATABASE = "todo.db"
WITHIN = 30.0  # seconds for anything to be ready
LOOK = 0.05  # seconds between looks


def main() -> None:
    """Start everything, and wait."""
    if importlib.util.find_spec("flask") is None:
        sys.exit("This example needs Flask: pip install flask")
    with ExitStack() as stack:
        place = sys.argv[1] if len(sys.argv) > 1 else stack.enter_context(temporary())
        alice, bob = Path(place) / "alice", Path(place) / "bob"
        alice.mkdir(parents=True)
        create_tables(alice / DATABASE)
        ready = stack.enter_context(serving("share", alice))
        stack.enter_context(serving("join", ready["invitation"], bob))
        wait_for((bob / DATABASE).exists, f"bob has no {DATABASE}")
        for folder in (alice, bob):
            address = stack.enter_context(app(folder))
            print(f"{folder.name}: {address}  {folder / DATABASE}", flush=True)
        print("Write on either page, or into either file. Ctrl-C ends it.", flush=True)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            print("Stopping.", flush=True)


def create_tables(file: Path) -> None:
    """As the app has them."""
    code = "import sys, app; app.create_tables(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, cwd=APP.parent)


@contextmanager
def temporary() -> Iterator[str]:
    """A folder that goes with us."""
    with tempfile.TemporaryDirectory(prefix="meerkat-example-") as place:
        yield place


@contextmanager
def serving(*arguments: object) -> Iterator[dict[str, Any]]:
    """Run a meerkat command; what it says when it is ready."""
    command = [sys.executable, "-m", "meerkat", *map(str, arguments)]
    options = ["--json", "--listen", "127.0.0.1:0", "--name", Path(str(arguments[-1])).name]
    with running([*command, *options], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        facts: dict[str, Any] = json.loads(process.stdout.readline())
        if facts.get("event") != "ready":
            sys.exit(f"meerkat did not start: {facts.get('error', facts)}")
        # What it tells from now on is for nobody, but must not fill the pipe.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield facts


@contextmanager
def app(folder: Path) -> Iterator[str]:
    """Serve a member's copy; the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    command = [sys.executable, APP, folder / DATABASE, port, folder.name]
    with running(list(map(str, command)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
        wait_for(lambda: answers(address), f"the app of {folder.name} does not answer")
        yield address


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with us."""
    # In a session of its own: Ctrl-C is for us, and we end the others one after another.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={"MEERKAT_DISCOVER": "0", **os.environ},
        **options,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WITHIN)


def answers(address: str) -> bool:
    """Whether a page is served there."""
    try:
        with urllib.request.urlopen(address, timeout=WITHIN):  # noqa: S310 - it is http
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def wait_for(condition: Callable[[], bool], problem: str) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"After {WITHIN:.0f} s {problem}.")
        time.sleep(LOOK)


if __name__ == "__main__":
    main()
