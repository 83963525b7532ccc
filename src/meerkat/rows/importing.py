"""Imports in the rows process: one at a time beside everything else, since a copy takes a while."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from meerkat.core.rows import DatabaseImported, DatabaseRefused, ImportDatabase, RowsReport

from .file import FileBusy, FileGone, FileStuck
from .imports import RefusedError, import_base
from .working import Working, import_name

__all__ = ["Importing"]

LOG = logging.getLogger(__name__)
GONE = "It is not there any more."
BUG = "It could not be read because of a bug ({}); the log has more. It is shared as a file."

_RETRY = 0.25  # seconds until a file that a program holds is tried again; guess


class Importing:
    """Reports of each file what it is named, or why it cannot be live."""

    def __init__(
        self, folder: Path, bases: Path, say: Callable[[RowsReport], None], working: Working
    ) -> None:
        self._root, self._bases = folder, bases
        self._say = say
        self._working = working
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="import")
        self._closed = threading.Event()

    def begin(self, request: ImportDatabase) -> None:
        """Import a file when it is its turn."""
        self._thread.submit(self._import, request)

    def close(self) -> None:
        """Begin nothing more."""
        self._closed.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _import(self, request: ImportDatabase) -> None:
        try:
            with self._working.on(import_name(request.path)):
                base = import_base(self._root / request.path, self._bases)
        except FileBusy:
            self._again(request)
        except FileGone:
            self._say(DatabaseRefused(request.ticket, request.path, GONE))
        except (RefusedError, FileStuck) as error:
            self._say(DatabaseRefused(request.ticket, request.path, str(error)))
        except Exception as error:
            LOG.exception("importing %r", request.path)
            reason = BUG.format(type(error).__name__)
            self._say(DatabaseRefused(request.ticket, request.path, reason))
        else:
            self._say(
                DatabaseImported(request.ticket, request.path, base.digest, base.size, base.chunks)
            )

    def _again(self, request: ImportDatabase) -> None:
        """A program holds the file: the others first, and then after a pause."""
        if not self._closed.wait(_RETRY):
            try:
                self._thread.submit(self._import, request)
            except RuntimeError:  # closed meanwhile
                return
