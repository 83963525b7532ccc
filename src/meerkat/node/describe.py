"""A running (or resting) node in plain JSON values: what ``status --json`` prints."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from meerkat.core.status import Problem, Status

from .folder_bridge import FolderProgress
from .listening import Reach

__all__ = ["describe", "with_databases", "with_problems"]

NOWHERE = Reach()
LOG_SUFFIX = "-wal"  # what programs wrote last may be there only


def with_problems(status: Status, more: Iterable[Problem]) -> Status:
    """The status with problems that the peer does not know of."""
    known = {(problem.path, problem.text) for problem in status.problems}
    fresh = tuple(problem for problem in more if (problem.path, problem.text) not in known)
    return replace(status, problems=(*status.problems, *fresh)) if fresh else status


def with_databases(status: Status, folder: Path, paths: Iterable[str]) -> Status:
    """The status with what live databases take, which only the system knows: not their copies."""
    size = 0
    for path in paths:
        for part in (path, path + LOG_SUFFIX):
            with suppress(OSError):
                size += os.lstat(folder / part).st_size
    return replace(status, content_bytes=status.content_bytes + size) if size else status


def describe(
    status: Status,
    *,
    folder: Path,
    member: str,
    running: bool,
    reach: Reach = NOWHERE,
    reading: Iterable[FolderProgress] = (),
    paused: bool = False,
) -> dict[str, Any]:
    """Everything at one moment. ``reading``: large files being looked at."""
    return {
        "running": running,
        "pid": os.getpid() if running else None,
        "folder": str(folder),
        "member": member,
        "address": reach.links[0] if reach.links else "",
        "addresses": list(reach.links),
        "door": list(reach.door),
        "listening": reach.bound,
        "paused": paused,
        "reading": [
            {"path": one.path, "done_bytes": one.done_bytes, "total_bytes": one.total_bytes}
            for one in reading
        ],
        **asdict(status),
    }
