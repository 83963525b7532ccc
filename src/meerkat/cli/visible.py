"""What others wrote, made harmless for a terminal: no escape sequence, no line of its own.

Names, texts and reasons come from other machines. Nothing of them may move the cursor, change
the direction of writing or pretend to be another line.
"""

from __future__ import annotations

import unicodedata

__all__ = ["visible"]

REPLACEMENT = "\ufffd"
JOINERS = "\u200c\u200d"  # format characters that letters and emoji are made with
SPACES = {"\n": " ", "\r": "", "\t": " ", "\u2028": " ", "\u2029": " "}
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # general categories (Unicode, chapter 4.5)
MARKS = ("Mn", "Me")
MOST_MARKS = 4  # on one letter; more climb over the lines above. guess


def visible(text: str) -> str:
    """``text`` on one line, as it may be printed."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in MARKS else 0
        if marks > MOST_MARKS:
            continue
        if character in SPACES:
            shown.append(SPACES[character])
        elif category in HIDDEN and character not in JOINERS:
            shown.append(REPLACEMENT)
        else:
            shown.append(character)
    return "".join(shown)
