"""What `meerkat doctor` looks at: each check is a name, how it went, and what to do about it."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from meerkat.errors import MeerkatError
from meerkat.store import SqliteStore, StateFolder
from meerkat.transport.addresses import parse_address

from .options import DEFAULT_PORT

__all__ = ["Finding", "check_folder"]

OLDEST_CLOCK = 1_735_689_600  # 2025-01-01: before this release, so a clock that says so is wrong
WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
MOST_FOLDERS = 200_000  # counted at most
FREE_BYTES = 256 * 1024 * 1024
LIBRARIES = ("grpcio", "pycrdt", "cryptography", "msgspec", "blake3", "rich", "click")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``advice``: what to do if it is not ``good``."""

    name: str
    good: bool
    text: str
    advice: str = ""


Check = Callable[[StateFolder, tuple[str, ...]], Finding]


def check_folder(folder: Path, addresses: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Look at everything. ``addresses``: where a running node says it listens."""
    state = StateFolder(folder)
    for check in CHECKS:
        try:
            yield check(state, addresses)
        except (MeerkatError, OSError) as error:
            name = check.__name__.removeprefix("_")
            yield Finding(name, False, str(error), "See what the sentence says.")


def _folder(state: StateFolder, _: tuple[str, ...]) -> Finding:
    state.require()
    free = os.statvfs(state.folder)
    free_bytes = free.f_bavail * free.f_frsize
    if free_bytes < FREE_BYTES:
        text = f"only {free_bytes // 1_000_000} MB are free"
        return Finding("folder", False, text, "Free some space on this disk.")
    return Finding("folder", True, f"{state.folder} can be read and written")


def _state(state: StateFolder, _: tuple[str, ...]) -> Finding:
    mode = state.path.stat().st_mode & 0o777
    if mode & 0o077:
        return Finding("state", False, f"{state.path} is open to others", f"chmod 700 {state.path}")
    unknown = state.read_config().unknown
    if unknown:
        text = f"config.toml has unknown settings: {', '.join(unknown)}"
        return Finding("state", False, text, "Correct or remove them.")
    return Finding("state", True, "keys and state are private")


def _store(state: StateFolder, _: tuple[str, ...]) -> Finding:
    pid = state.running_pid()
    with closing(SqliteStore(state.store, must_exist=True)) as store:
        if pid is None:
            store.verify()
            return Finding("store", True, "every row is as it was written")
        store.quick_check()
    return Finding("store", True, f"sound (quick check; process {pid} uses it)")


def _copy(state: StateFolder, _: tuple[str, ...]) -> Finding:
    if state.is_original():
        return Finding("copy", True, "this store was made here")
    return Finding(
        "copy",
        False,
        "this folder was copied or restored",
        "Nothing to do: at the next start it writes under a new author key.",
    )


def _clock(_: StateFolder, __: tuple[str, ...]) -> Finding:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if now < OLDEST_CLOCK:
        return Finding("clock", False, f"it says {shown}", "Set it; invitations expire by it.")
    return Finding("clock", True, shown)


def _watches(state: StateFolder, _: tuple[str, ...]) -> Finding:
    if not WATCHES.exists():
        return Finding("watches", True, "this system has no such limit")
    limit = int(WATCHES.read_text())
    count = sum(1 for _ in zip(os.walk(state.folder), range(MOST_FOLDERS), strict=False))
    if count > limit:
        advice = f"sysctl fs.inotify.max_user_watches={2 * count}"
        return Finding("watches", False, f"{count} folders, {limit} can be watched", advice)
    return Finding("watches", True, f"{count} folders, {limit:,} can be watched")


def _port(state: StateFolder, addresses: tuple[str, ...]) -> Finding:
    if not addresses:
        with socket.socket() as probe:
            port = state.read_config().port
            taken = probe.connect_ex(("127.0.0.1", port or DEFAULT_PORT)) == 0
        if port and taken:
            text = f"port {port} of config.toml is taken"
            return Finding("port", False, text, "Choose another, or leave it out.")
        text = f"port {port or DEFAULT_PORT} is "
        text += "taken; the next free one is used" if taken else "free"
        return Finding("port", True, text)
    for address in addresses:
        host, port = parse_address(address)
        try:
            with socket.create_connection((host, port), timeout=2.0):
                return Finding("port", True, f"{address} answers from this machine")
        except OSError:
            continue
    advice = "Look at the firewall, or use --advertise HOST:PORT."
    return Finding("port", False, f"nothing answers at {', '.join(addresses)}", advice)


def _versions(_: StateFolder, __: tuple[str, ...]) -> Finding:
    found = [f"python {sys.version.split()[0]}"]
    for library in ("meerkat-p2p", *LIBRARIES):
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            continue
    return Finding("versions", True, ", ".join(found))


CHECKS: tuple[Check, ...] = (_folder, _state, _store, _copy, _clock, _watches, _port, _versions)
