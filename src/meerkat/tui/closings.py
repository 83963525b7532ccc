"""What becomes of a text whose session is over: nothing that was typed is lost.

Decides for each reason what is kept, what is said and what a person can choose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from meerkat.core.diff import diff
from meerkat.core.text_file import Eol, encode_file
from meerkat.errors import FolderError

from .buffer import Buffer
from .session import Closing
from .side_files import create_file, keep_aside

__all__ = ["Choice", "Ending", "ending_of", "keep_unsaved"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A key, what it says, and what it does."""

    key: str
    says: str
    work: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Ending:
    """What to do: ``reopen`` at once, or show the sentence and let a person choose."""

    text: str = ""
    reopen: bool = False
    choices: tuple[Choice, ...] = field(default=())


def keep_unsaved(folder: Path, buffer: Buffer) -> str:
    """Keep what could not be synced; a sentence that says where, or nothing if all is saved."""
    if buffer.session.is_saved or not buffer.text:
        return ""
    try:
        place = keep_aside(folder, buffer.path, buffer.text)
    except FolderError as error:
        return str(error)
    return f"What you typed in {buffer.path} is kept in {place.relative_to(folder)}."


def ending_of(
    buffer: Buffer,
    why: Closing,
    folder: Path,
    *,
    open_anew: Callable[[Callable[[Buffer], None] | None], None],
    choose_other: Callable[[], None],
) -> Ending:
    """What to do about a session that ended.

    ``open_anew`` opens the path with a fresh document and then calls what it is given.
    """
    other = Choice("o", "O: another file", choose_other)
    match why.reason:
        case "stopping" | "slow":
            return Ending(reopen=why.reason == "slow")
        case "deleted":
            text = buffer.text

            def restore() -> None:
                eol = Eol.CRLF if buffer.line_end == "CRLF" else Eol.LF
                create_file(folder, buffer.path, encode_file(text, eol).decode())
                open_anew(None)

            return Ending(str(why), False, (Choice("r", "R: make it a file again", restore), other))
        case "replaced":
            kept = keep_unsaved(folder, buffer)
            old = buffer.text

            def put_back(fresh: Buffer) -> None:
                fresh.editing.write(diff(fresh.text, old))

            return Ending(
                f"{why} {kept}".strip(),
                False,
                (
                    Choice("a", "A: open it anew", lambda: open_anew(None)),
                    Choice("r", "R: put this text back", lambda: open_anew(put_back)),
                    other,
                ),
            )
        case "binary":
            return Ending(f"{why} {keep_unsaved(folder, buffer)}".strip(), False, (other,))
        case _:  # "stale", "protocol", "damaged": the text lives, our document does not
            kept = keep_unsaved(folder, buffer)
            return Ending(kept and f"{why} {kept}", reopen=True)
