"""`meerkat edit` on a terminal, between real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meerkat.cli.demo_peer import wait_for

from .conftest import MakePeer, Meerkat
from .terminals import WITHIN, Terminal


def reads(file: Path, is_right: Callable[[str], bool]) -> None:
    """Wait until a file's text is as it should be."""
    wait_for(lambda: is_right(file.read_text()), f"{file} is right", within=WITHIN)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for one in opened:
        one.close()


@pytest.mark.slow
def test_two_people_on_two_machines_write_in_one_file(
    peer: MakePeer, terminals: list[Terminal]
) -> None:
    alice, bob = peer("alice"), peer("bob")
    (alice.folder / "notes.md").write_text("# Notes\n")
    ready = alice.start("share")
    bob.start("join", ready["invitation"])
    theirs = bob.folder / "notes.md"
    wait_for(theirs.exists, "bob has the file", within=WITHIN)
    here = Terminal("edit", alice.folder / "notes.md")
    there = Terminal("edit", theirs)
    terminals += [here, there]
    here.shows(" synced ")
    there.shows(" alice ")

    here.press("\x1b[1;5F")  # Ctrl-End
    here.press("from alice 日😀")
    there.shows("from alice")
    there.press("bob ")
    here.shows("bob ")
    there.press("\x1b[200~pasted\r\nlines \x1b[201~")
    both = "bob pasted\nlines # Notes\nfrom alice 日😀"
    for file in (alice.folder / "notes.md", theirs):
        reads(file, lambda text: text == both)
    here.press("\x1a\x1a\x1a")  # Ctrl-Z takes back what alice typed, word by word
    for file in (alice.folder / "notes.md", theirs):
        reads(file, lambda text: "alice" not in text)

    assert here.end() == 0
    assert there.end() == 0
    assert theirs.read_text().startswith("bob pasted\nlines # Notes\n")


@pytest.mark.slow
def test_it_starts_the_process_and_outlives_a_restart(
    peer: MakePeer, terminals: list[Terminal], meerkat: Meerkat
) -> None:
    alice = peer("alice")
    file = alice.folder / "new.md"
    alice.start("share")
    alice.stop()
    here = Terminal("edit", file)
    terminals.append(here)
    here.shows(" new file ")
    here.press("before ")
    wait_for(lambda: file.exists() and file.read_text() == "before ", "saved", within=WITHIN)

    assert meerkat("stop", alice.folder).returncode == 0
    here.press("while away ")  # maybe before it is noticed
    here.shows("process is away")
    assert meerkat("up", "--detach", alice.folder).returncode == 0
    wait_for(lambda: file.read_text() == "before while away ", "synced", within=WITHIN)

    assert meerkat("stop", alice.folder).returncode == 0
    here.press("and killed ")
    here.shows("and killed ")
    here.process.terminate()
    assert here.process.wait(WITHIN) == 0
    (kept,) = (alice.folder / ".meerkat" / "unsynced").iterdir()
    assert kept.read_text() == "before while away and killed "


def test_files_that_cannot_be_edited_are_refused_with_a_sentence(
    peer: MakePeer, terminals: list[Terminal], tmp_path: Path
) -> None:
    alice = peer("alice")
    (alice.folder / "sub").mkdir()
    (alice.folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    (tmp_path / "elsewhere.txt").write_text("elsewhere")
    (alice.folder / "link").symlink_to(tmp_path / "elsewhere.txt")
    alice.start("share")
    for path, sentence in {
        alice.folder / "sub": "is a folder",
        alice.folder / "picture.png": "not a text of at most 4 MiB",
        alice.folder / "link": "is a link",
        alice.folder / ".meerkat" / "log": "belongs to meerkat",
    }.items():
        here = Terminal("edit", path)
        terminals.append(here)
        assert here.process.wait(WITHIN) == 3
        here.shows(sentence)
    outside = Terminal("edit", "-C", alice.folder, tmp_path / "elsewhere.txt")
    terminals.append(outside)
    assert outside.process.wait(WITHIN) == 3
    outside.shows("lies outside")


def test_without_a_terminal_it_says_so(meerkat: Meerkat, tmp_path: Path) -> None:
    result = meerkat("edit", tmp_path / "a.md")
    assert result.returncode == 1
    assert "needs a terminal" in result.stderr


def test_without_a_pool_it_says_how_to_share(terminals: list[Terminal], tmp_path: Path) -> None:
    here = Terminal("edit", tmp_path / "a.md")
    terminals.append(here)
    assert here.process.wait(WITHIN) == 3
    here.shows("not a meerkat folder yet")
