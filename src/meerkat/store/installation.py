"""Which machine and which disk a store lives on, and how the last run ended.

A copied or restored store looks sound and is not: its author's log may end before what others
have. These marks tell; what follows from them is the node's to decide (design, section 2).
"""

from __future__ import annotations

import os
import platform
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from meerkat.errors import StoreError

from .small_files import failure, read_json, write_json

__all__ = ["InstallationMark", "LastRun", "boot_id", "mark_of"]

_MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")  # machine-id(5)
_BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"  # random(4)
_MULTICAST = 1 << 40  # set in the address uuid makes up where there is no network card: RFC 9562


@dataclass(frozen=True, slots=True)
class InstallationMark:
    """What differs when a store is copied or put back from a backup."""

    machine: str  # hash of the machine's id; the id itself is nobody's business, machine-id(5)
    disk: int  # the file system's id
    file: int  # the store file's inode

    def to_json(self) -> dict[str, Any]:
        """As kept in ``.meerkat/installation``."""
        return {"machine": self.machine, "disk": self.disk, "file": self.file}


def mark_of(store: Path) -> InstallationMark | None:
    """The mark of the store file as it is here and now; None if there is no store."""
    try:
        status = store.stat()
        # f_fsid comes from the file system's UUID where it has one and then survives a reboot,
        # which st_dev need not (a disk found in another order); some systems leave it 0.
        disk = os.statvfs(store).f_fsid or status.st_dev
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure(error, store) from error
    return InstallationMark(_machine(), disk, status.st_ino) if status.st_size else None


def boot_id() -> str | None:
    """What is new with every start of the machine; None where the system does not say."""
    return _first_line(_BOOT_ID_FILE)


class LastRun:
    """Whether the last run said goodbye, and since which start of the machine it ran."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: dict[str, Any] | None = None
        self._known = False

    def mark_started(self) -> None:
        """A run begins. How the one before ended can still be asked afterwards."""
        self._load()
        write_json(self._path, {"boot": boot_id(), "pid": os.getpid(), "stopped": False})

    def mark_stopped(self) -> None:
        """The run ends as it should: everything is on the disk."""
        write_json(self._path, {"boot": boot_id(), "pid": os.getpid(), "stopped": True})

    def unclean_stop(self) -> bool:
        """Whether the last run ended without ``mark_stopped``."""
        last = self._load()
        return last is not None and last.get("stopped") is not True

    def rebooted_since(self) -> bool:
        """Whether the machine was started anew since the last run began, or may have been."""
        last = self._load()
        if last is None:
            return False
        boot = boot_id()
        return boot is None or last.get("boot") != boot

    def _load(self) -> dict[str, Any] | None:
        if not self._known:
            try:
                self._before = read_json(self._path)
            except StoreError:
                self._before = {}  # damaged: that was no clean end
            self._known = True
        return self._before


def _machine() -> str:
    for name in _MACHINE_ID_FILES:
        if line := _first_line(name):
            return _hash(line)
    address = uuid.getnode()
    return _hash(platform.node() if address & _MULTICAST else f"{address:012x}")


def _hash(text: str) -> str:
    return blake3(f"meerkat installation {text}".encode()).hexdigest(length=16)


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text("ascii").strip() or None
    except (OSError, ValueError):
        return None
