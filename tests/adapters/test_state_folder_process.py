"""One process serves a folder, and is reached through its socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import meerkat
from meerkat.errors import AlreadyRunning, FolderError
from meerkat.store import StateFolder
from meerkat.store.control_path import SOCKET_PATH_BYTES


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    state = StateFolder(tmp_path)
    state.create()
    return state


# ---------------------------------------- one process


HOLDER = """
import sys
from pathlib import Path
from meerkat.store import StateFolder
state = StateFolder(Path(sys.argv[1]))
state.lock.acquire(started=0.0)
state.mark_started()
print("held", flush=True)
sys.stdin.read()
"""


def holder(state: StateFolder) -> subprocess.Popen:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(meerkat.__file__).parents[1])},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    return child


def test_only_one_process_serves_a_folder(state: StateFolder):
    with holder(state) as child:
        assert state.running_pid() == child.pid
        with pytest.raises(AlreadyRunning, match=rf"pid {child.pid}\)"):
            state.lock.acquire(started=1.0)
        os.kill(child.pid, signal.SIGKILL)

    assert state.running_pid() is None
    assert state.unclean_stop()
    assert not state.rebooted_since()
    with state.lock:
        state.lock.acquire(started=1.0)
        assert StateFolder(state.folder).running_pid() == os.getpid()
        assert json.loads((state.path / "lock").read_text())["started"] == 1.0
        with pytest.raises(AlreadyRunning):
            StateFolder(state.folder).lock.acquire(started=2.0)
    assert state.running_pid() is None


def test_looking_keeps_nobody_out(state: StateFolder):
    """Somebody who looks holds a shared lock for a moment; that is not a running process."""
    looks: list[int | None] = []
    looker = (
        "import sys; from pathlib import Path; from meerkat.store import StateFolder\n"
        "state = StateFolder(Path(sys.argv[1])); print(flush=True)\n"
        "while True: state.running_pid()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", looker, str(state.folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(meerkat.__file__).parents[1])},
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        for _ in range(300):
            state.lock.acquire(started=0.0)
            looks.append(StateFolder(state.folder).running_pid())
            state.lock.release()
        child.kill()

    assert looks == [os.getpid()] * 300


# ---------------------------------------- the control socket


def test_the_control_socket_is_in_the_state_folder(state: StateFolder):
    path = state.prepare_control_socket()

    assert path == state.control_socket()
    assert path.parent == state.path or len(os.fsencode(state.path / path.name)) > 107


@pytest.fixture
def long_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StateFolder]:
    with tempfile.TemporaryDirectory(prefix="mk") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        folder = tmp_path / ("x" * 90) / "shared"
        folder.mkdir(parents=True)
        state = StateFolder(folder)
        state.create()
        yield state


def test_a_long_path_gets_a_short_socket(long_state: StateFolder):
    path = long_state.prepare_control_socket()

    assert len(os.fsencode(path)) <= SOCKET_PATH_BYTES
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    assert long_state.control_socket() == path
    assert StateFolder(long_state.folder).prepare_control_socket() == path  # taken over
    assert not path.exists()
    long_state.remove_control_socket()
    assert not path.parent.exists()
    assert long_state.control_socket().parent == long_state.path


def test_a_recorded_place_that_others_can_enter_is_not_used(long_state: StateFolder):
    path = long_state.prepare_control_socket()
    path.parent.chmod(0o777)

    with pytest.raises(FolderError, match="not yours alone"):
        long_state.control_socket()

    assert long_state.prepare_control_socket() != path
