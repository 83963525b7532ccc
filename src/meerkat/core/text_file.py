"""A text file's bytes and the text that is shared: exact in both directions.

A text whose line ends are all CRLF is shared with LF and a mark, since editor bindings break on
CRLF (CodeMirror's and its Yjs binding); a mixed one is shared as it is. Decides whether bytes are
text at all; does not decide whether the owner wants them shared as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["MAX_TEXT_BYTES", "Eol", "TextFile", "decode_file", "encode_file"]

MAX_TEXT_BYTES = 4 * 1024 * 1024  # larger files are shared as blobs (design, section 4)


class Eol(Enum):
    """How a text's lines end in the file."""

    LF = "lf"  # the text is the file, whatever its line ends are
    CRLF = "crlf"  # every "\n" of the text is "\r\n" in the file


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file's text and line ends; ``eol`` is None if it has no line end to tell by.

    The caller keeps the earlier ``eol`` then, so that emptying a CRLF file does not change it.
    """

    text: str
    eol: Eol | None


def decode_file(data: bytes, limit: int = MAX_TEXT_BYTES) -> TextFile | None:
    """The text in a file's bytes, or None if they are not text.

    Not text: above ``limit`` bytes, a NUL anywhere, or invalid UTF-8. A byte order mark is kept
    as a character.
    """
    if len(data) > limit or b"\0" in data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    feeds = text.count("\n")
    returns = text.count("\r")
    if not feeds and not returns:
        return TextFile(text, None)
    # All CRLF: as many pairs as there are of either half.
    if feeds == returns == text.count("\r\n"):
        return TextFile(text.replace("\r\n", "\n"), Eol.CRLF)
    return TextFile(text, Eol.LF)


def encode_file(text: str, eol: Eol | None) -> bytes:
    r"""The file's bytes: ``encode_file(f.text, f.eol)`` gives back what ``f`` was decoded from.

    A text marked CRLF may have gained lone CRs or CRLFs by remote edits: each "\n" not yet
    preceded by one gets its "\r", so that no line end is doubled.

    Raises:
        ValueError: if the text holds lone surrogates.
    """
    if eol is Eol.CRLF:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return text.encode()
