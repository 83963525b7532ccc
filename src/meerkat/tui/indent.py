"""How a file is indented, guessed from what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

__all__ = ["Indent", "comment_sign", "guess_indent"]

LOOKED_AT = 2_000  # lines; enough to tell, and quick
WIDEST = 8  # blanks of one level
TAB_CELLS = 4  # how wide a tab is drawn in a file that does not tell. guess
_TABS_ONLY = ("Makefile", "makefile", "GNUmakefile", ".mk", ".go", ".tsv")
_TWO = (".js", ".ts", ".tsx", ".jsx", ".json", ".html", ".css", ".yaml", ".yml", ".vue", ".rb")
_SLASHES = (
    ".c", ".cc", ".cpp", ".cs", ".go", ".h", ".hpp", ".java", ".js", ".jsx", ".kt", ".php",
    ".proto", ".rs", ".scala", ".swift", ".ts", ".tsx",
)  # fmt: skip
_OTHERS = {
    ".sql": "--",
    ".lua": "--",
    ".hs": "--",
    ".tex": "%",
    ".lisp": ";",
    ".el": ";",
    ".vim": '"',
}


@dataclass(frozen=True, slots=True)
class Indent:
    """One level: a tab, or ``size`` blanks. ``size`` is also how wide a tab is drawn."""

    tabs: bool
    size: int

    @property
    def text(self) -> str:
        """What one level is written with."""
        return "\t" if self.tabs else " " * self.size

    def __str__(self) -> str:
        return f"Tabs {self.size}" if self.tabs else f"Spaces {self.size}"


def guess_indent(lines: Iterable[str], path: str) -> Indent:
    """From the steps by which lines are indented; without any, from the file's name."""
    tabs = blanks = before = 0
    steps: Counter[int] = Counter()
    for line in islice(lines, LOOKED_AT):
        if line[:1] == "\t":
            tabs += 1
        elif line[:1] in (" ", "") or line.strip():
            width = len(line) - len(line.lstrip(" "))
            if width == len(line):
                continue
            blanks += width > 1
            if 1 < abs(width - before) <= WIDEST:
                steps[abs(width - before)] += 1
            before = width
    if tabs > blanks:
        return Indent(True, TAB_CELLS)
    if steps:
        return Indent(False, min(steps, key=lambda one: (-steps[one], one)))
    if path.endswith(_TABS_ONLY):
        return Indent(True, WIDEST)
    return Indent(False, 2 if path.endswith(_TWO) else TAB_CELLS)


def comment_sign(path: str) -> str:
    """What begins a comment of one line in a file of this name."""
    if path.endswith(_SLASHES):
        return "//"
    return next((sign for end, sign in _OTHERS.items() if path.endswith(end)), "#")
