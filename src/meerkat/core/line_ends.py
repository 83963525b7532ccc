"""Line ends that come to be others while a text is open, or while somebody saves it.

Pure questions about texts; what a file's line ends are, ``text_file`` knows.
"""

from __future__ import annotations

from .edits import Edit
from .ids import ContentHash
from .text_file import Eol, TextFile, encode_file

__all__ = ["as_found", "readings", "surplus_returns"]


def readings(written: str) -> tuple[str, ...]:
    r"""The texts that an editor may show which wrote exactly this: with CRLF, or as it is.

    Not the same as ``decode_file``: an editor may show a lone CR in a text that it saves with CRLF,
    or have a CR of the text itself at the end of every line.
    """
    feeds = written.count("\n")
    if feeds and feeds == written.count("\r\n"):
        return written.replace("\r\n", "\n"), written
    return (written,)


def surplus_returns(text: str) -> list[Edit]:
    r"""What deletes each CR before an LF: in a text marked CRLF, which has them in its file anyway.

    Such a text gets them when others type into it what was copied elsewhere, or when it became CRLF
    here while lines were added there. Deleting is the same thing whoever does it, and however many.
    """
    edits = []
    at = text.find("\r\n")
    while at >= 0:
        first = at
        while first and text[first - 1] == "\r":
            first -= 1
        edits.append(Edit(first, at + 1 - first, ""))
        at = text.find("\r\n", at + 2)
    return edits


def as_found(base: str, saved: TextFile, now: str, digest: bytes) -> tuple[str, str] | None:
    """What was before and after a save that only kept the line ends that it found, as texts with
    the line ends ``now``, to which others have changed them since; None if it is no such save.

    Args:
        base: the text in the file before.
        saved: what was saved.
        now: ``Version.eol`` of the text.
        digest: of the file before.
    """
    current = Eol.CRLF if now == Eol.CRLF.value else Eol.LF
    if saved.eol in (None, current):
        return None
    found = [bytes(ContentHash.of(encode_file(base, one))) for one in (saved.eol, current)]
    if not found[0] == digest != found[1]:
        return None
    if saved.eol is Eol.LF:
        return base, saved.text
    return encode_file(base, saved.eol).decode(), encode_file(saved.text, saved.eol).decode()
