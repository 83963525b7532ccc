"""One process serves one folder: a lock that the system gives back when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from meerkat.errors import AlreadyRunning, FolderError

from .small_files import failure

__all__ = ["FolderLock"]

TRIES = 1000  # against processes that only look; each holds the lock for microseconds


class FolderLock:
    """An exclusive ``flock`` on ``.meerkat/lock``; the file says who holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self, *, started: float) -> None:
        """Take the lock. ``started`` is the wall time to write into it, for people.

        Raises:
            AlreadyRunning: if another process (or another lock in this one) has it.
            FolderError: if the file system cannot lock.
        """
        if self._handle is not None:
            raise RuntimeError("the lock is held already")
        handle = self._open(os.O_RDWR | os.O_CREAT)
        try:
            self._lock(handle)
            owner = json.dumps({"pid": os.getpid(), "started": started}) + "\n"
            os.ftruncate(handle, 0)
            os.pwrite(handle, owner.encode("ascii"), 0)
            self._handle = handle
        except OSError as error:
            raise failure(error, self._path) from error
        finally:
            if self._handle is None:
                os.close(handle)

    def release(self) -> None:
        """Give the lock back; the file stays, since removing it would let two processes in."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def running_pid(self) -> int | None:
        """The process that holds the lock (0 if it has not said so yet), or None."""
        try:
            handle = self._open(os.O_RDONLY)
        except FolderError:
            return None
        try:
            return self._owner(handle) if not _try_lock(handle, fcntl.LOCK_SH) else None
        finally:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _lock(self, handle: int) -> None:
        """Take it exclusively, past those who only look (they share; a holder does not)."""
        for _ in range(TRIES):
            if _try_lock(handle, fcntl.LOCK_EX):
                return
            if not _try_lock(handle, fcntl.LOCK_SH):
                break
            fcntl.flock(handle, fcntl.LOCK_UN)
        pid = self._owner(handle)
        raise AlreadyRunning(
            f"A meerkat process{f' (pid {pid})' if pid else ''} already serves "
            f"{self._path.parent.parent}. Use it, or stop it first."
        )

    def _owner(self, handle: int) -> int:
        try:
            return int(json.loads(os.pread(handle, 4096, 0))["pid"])
        except (ValueError, KeyError, TypeError):
            return 0

    def _open(self, flags: int) -> int:
        try:
            return os.open(self._path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise failure(error, self._path) from error


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise FolderError(
            f"This file system cannot lock files ({error.strerror}). "
            "Move the folder to a local disk."
        ) from error
    return True
