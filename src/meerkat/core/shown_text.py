"""What other people wrote, made fit to be shown: in a terminal, in a list, in a file's name.

The rules are fixed ranges and do not ask Python's Unicode tables, which differ from release to
release: all peers must judge a name alike.
"""

from __future__ import annotations

__all__ = ["MAX_NAME_CHARS", "clean_text", "is_name", "one_line"]

MAX_NAME_CHARS = 64

_KEPT = frozenset("\n\t")
_LINE_ENDS = ("\r\n", "\r", "\u0085", "\u2028", "\u2029")
# Directions that a terminal obeys without showing them, so that a line reads as another one:
# embeddings, overrides and isolates (Unicode bidi algorithm, UAX 9), and the marks beside them.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPACE, _DELETE, _AFTER_C1 = 0x20, 0x7F, 0xA0
_SURROGATES = range(0xD800, 0xE000)
_SHOWN_INSTEAD = "\ufffd"


def clean_text(text: str) -> str:
    """A text without anything a terminal would obey.

    Every control character but line feed and tab (so also the escape that begins a sequence),
    every invisible change of direction and every lone surrogate becomes U+FFFD: one sees that
    something was there. Line ends become line feeds; white space at both ends is dropped.
    """
    if text.isascii() and text.isprintable():  # 0x20 to 0x7E: nearly every name and line
        return text.strip()
    for end in _LINE_ENDS:
        text = text.replace(end, "\n")
    return "".join(one if _is_harmless(one) else _SHOWN_INSTEAD for one in text).strip()


def _is_harmless(character: str) -> bool:
    if character in _KEPT:
        return True
    code = ord(character)
    control = code < _SPACE or _DELETE <= code < _AFTER_C1
    return not (control or code in _SURROGATES or character in _BIDI)


def one_line(text: str) -> str:
    """The same, and any white space is a blank."""
    return " ".join(clean_text(text).split())


def is_name(name: str) -> bool:
    """Whether a member may be called so: 1 to 64 characters, trimmed, in one line, all shown."""
    return (
        0 < len(name) <= MAX_NAME_CHARS
        and clean_text(name) == name
        and not _KEPT.intersection(name)
    )
