"""Files that the editor itself writes: new ones, and what could not be synced.

Decides where they are and that nothing is overwritten. Everything else the folder's process writes.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from meerkat.errors import FolderError

__all__ = ["create_file", "keep_aside", "line_end_of", "relative_path"]

KEPT = "unsynced"  # in .meerkat: texts that could not be synced
STATE_FOLDER = ".meerkat"
LOOKED_AT = 64 * 1024  # bytes of a file that tell its line ends


def relative_path(folder: Path, file: Path) -> str:
    """The path of a file in a folder, as the pool names it.

    Raises:
        FolderError: if it lies outside, or is none that is shared.
    """
    root = folder.resolve()
    # The file itself may be a symlink, which is shared as such; what leads there may not.
    place = file.absolute().parent.resolve() / file.name
    if file.name in ("", ".", "..") or place == root:
        raise FolderError(f"{file} is a folder; name a file in it.")
    if not place.is_relative_to(root):
        raise FolderError(f"{file} lies outside {folder}, so it cannot be edited live.")
    path = place.relative_to(root)
    if path.parts[0] == STATE_FOLDER:
        raise FolderError(f"{file} belongs to meerkat itself and is not shared.")
    if place.is_symlink():
        raise FolderError(f"{file} is a link; open the file that it leads to.")
    if place.is_dir():
        raise FolderError(f"{file} is a folder; name a file in it.")
    return path.as_posix()


def create_file(folder: Path, path: str, text: str = "") -> None:
    """Write a new file, with the folders that lead there.

    Raises:
        FolderError: if it exists already or cannot be written.
    """
    place = folder / path
    relative_path(folder, place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        relative_path(folder, place)  # no link led us elsewhere
        with open(place, "x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError as error:
        raise FolderError(f"{path} exists already.") from error
    except OSError as error:
        raise FolderError(f"{path} cannot be written: {error.strerror}.") from error


def keep_aside(folder: Path, path: str, text: str) -> Path:
    """Keep a text that could not be synced; where it is.

    Raises:
        FolderError: if it cannot be written.
    """
    place = folder / STATE_FOLDER / KEPT
    name = Path(path).name or "text"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        for number in range(1_000):
            stamp = time.strftime("%Y%m%d-%H%M%S") + (f"-{number}" if number else "")
            target = place / f"{stamp} {name}"
            try:
                with open(target, "x", encoding="utf-8", newline="") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
            except FileExistsError:
                continue
            return target
    except OSError as error:
        raise FolderError(f"{path} cannot be kept in {place}: {error.strerror}.") from error
    raise FolderError(f"{place} is full of kept texts; move them elsewhere.")


def line_end_of(folder: Path, path: str) -> str:
    """How lines end at the file's beginning: "LF", "CRLF" or "mixed"."""
    try:
        with open(folder / path, "rb") as file:
            data = file.read(LOOKED_AT)
    except OSError:
        return "LF"
    both, single = data.count(b"\r\n"), data.count(b"\n")
    if not both:
        return "LF"
    return "CRLF" if both == single else "mixed"
