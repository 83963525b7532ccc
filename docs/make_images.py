"""Draws docs/images/demo.svg: runs the real ``meerkat demo`` and renders what it printed.

``python docs/make_images.py`` runs it anew. The picture holds no font and no address of one:
whoever shows it uses a monospaced font of their own.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

IMAGES = Path(__file__).resolve().parent / "images"
COMMAND = "meerkat demo"
WIDTH = 96  # columns; the longest line of the demo has 84
THEME = TerminalTheme(
    (250, 249, 245),
    (40, 42, 46),
    [
        (40, 42, 46),
        (176, 48, 48),
        (54, 128, 70),
        (150, 105, 0),
        (48, 92, 160),
        (130, 70, 140),
        (30, 120, 130),
        (120, 122, 126),
    ],
)
LINE = re.compile(r"^(\s*[\d.]+ s)(  .*?)(  \([^()]*\))?$")
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
LOCAL = re.compile(r"(/[\w.+-]+){2,}")


def printed() -> str:
    """What the demo prints.

    Raises:
        SystemExit: if it failed; the picture stays as it was.
    """
    run = subprocess.run(
        [sys.executable, "-m", *COMMAND.split()], capture_output=True, text=True, check=False
    )
    if run.returncode:
        sys.exit(f"{COMMAND} failed:\n{run.stdout}{run.stderr}")
    return run.stdout


def drawn(output: str) -> str:
    """The picture of a terminal that shows ``output``."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "dim"), (COMMAND, "bold")))
    for line in output.splitlines():
        console.print(_colored(line))
    svg = console.export_svg(title=COMMAND, theme=THEME, unique_id="demo")
    return FONT_FACE.sub("", svg).replace("Fira Code", "ui-monospace").rstrip() + "\n"


def _colored(line: str) -> Text:
    found = LINE.match(line)
    if found is None:
        return Text(line)
    good = "green" if "byte-identical" in line else ""
    return Text.assemble((found[1], "dim"), (found[2], good), (found[3] or "", "cyan"))


def main() -> None:
    """Run the demo, draw the picture."""
    output = printed()
    if local := LOCAL.search(output):
        sys.exit(f"the output names a path of this machine: {local[0]}")
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "demo.svg").write_text(drawn(output), encoding="utf-8")


if __name__ == "__main__":
    main()
