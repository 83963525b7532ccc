"""Pools inside pools: not allowed, since one file would then belong to two."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from meerkat.errors import FolderInUse

__all__ = ["STATE_FOLDER_NAME", "check_not_nested", "find_pool_above", "find_pool_below"]

STATE_FOLDER_NAME = ".meerkat"
DEPTH = 8  # levels below the folder that are searched. guess: repositories are shallower
FOLDER_COUNT = 50_000  # folders looked into, about 1 s here; then we trust there is none


def is_pool(folder: Path) -> bool:
    """Whether ``folder`` itself is shared: it has a state folder with a store or keys."""
    state = folder / STATE_FOLDER_NAME
    return any(os.path.lexists(state / name) for name in ("store.db", "keys"))


def find_pool_above(folder: Path) -> Path | None:
    """The nearest shared folder that contains ``folder``, or None."""
    return next((parent for parent in folder.resolve().parents if is_pool(parent)), None)


def find_pool_below(
    folder: Path, *, depth: int = DEPTH, folder_count: int = FOLDER_COUNT
) -> Path | None:
    """A shared folder inside ``folder``, or None; follows no symlinks, nearest levels first."""
    waiting = deque([(folder, 0)])
    seen = 0
    while waiting and seen < folder_count:
        place, level = waiting.popleft()
        seen += 1
        if level and is_pool(place):
            return place
        if level < depth:
            waiting.extend((inner, level + 1) for inner in _folders_in(place))
    return None


def check_not_nested(folder: Path) -> None:
    """Refuse a folder that lies inside a pool's folder or has one inside.

    Raises:
        FolderInUse: saying which.
    """
    if above := find_pool_above(folder):
        raise FolderInUse(f"{folder} lies inside the shared folder {above}. Choose another folder.")
    if below := find_pool_below(folder):
        raise FolderInUse(f"{folder} has the shared folder {below} inside. Choose another folder.")


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.name != STATE_FOLDER_NAME and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []  # not ours to read, or gone meanwhile
    return [folder / name for name in sorted(names)]
