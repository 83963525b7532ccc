"""Files on the page: the tree, uploads, new names, previews, and names that mean harm."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from meerkat.cli.demo_peer import wait_for
from tests.web_page.conftest import MakePeers, OpenPage
from tests.web_page.pages import WITHIN, Peer

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>\u202etxt.exe"


def picture(width: int, height: int) -> bytes:
    """A PNG of one color."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = (b"\0" + b"\xb3\x54\x1e" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    )


PDF = b"""%PDF-1.4\n%\xe2\xe3\xcf\xd3
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>endobj
trailer<</Root 1 0 R>>
"""
FILES = {
    "notes/a.md": b"a\n",
    "notes/deep/b.md": b"b\n",
    "there.txt": b"the old one\n",
    "moving/x.txt": b"x\n",
    "doomed.txt": b"doomed\n",
    "picture.png": picture(30, 20),
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"></svg>\n',
    "paper.pdf": PDF,
    "data.bin": bytes(range(256)) * 40,
    HOSTILE: b"harmless\n",
}


@pytest.fixture(scope="module")
def peers(make_peers: MakePeers) -> list[Peer]:
    return make_peers("alice", "bob", files=FILES)


def choose(screen: Any, folder: str, *files: dict[str, Any]) -> None:
    """Upload as the button does it, into the folder at the keyboard's place."""
    if folder:
        screen.row(folder).click()
    screen.page.locator("input[type=file]").set_input_files(list(files))


def upload(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def test_the_tree_shows_the_folder_as_it_changes(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.row("notes").click()
    screen.row("notes/deep").click()
    screen.row("notes/deep/b.md").wait_for()
    assert screen.row("notes").get_attribute("aria-expanded") == "true"
    assert screen.row("notes/deep/b.md").get_attribute("aria-level") == "3"

    (peers[1].folder / "notes" / "new.md").write_bytes(b"from bob\n")

    screen.row("notes/new.md").wait_for()


def test_names_that_mean_harm_are_only_text(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])

    row = screen.row(HOSTILE)
    row.wait_for()
    assert row.locator("img").count() == 0
    assert row.locator(".name").inner_text() == HOSTILE.replace("\u202e", "\ufffd")
    row.click()
    screen.page.locator(".cm-content").wait_for()
    screen.has_text("harmless\n")


def test_a_new_file_is_a_text_at_once(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.page.get_by_label("New file", exact=True).click()
    screen.page.get_by_label("Name of the file").fill("fresh.md")
    screen.page.keyboard.press("Enter")

    screen.page.locator(".tab.front", has_text="fresh.md").wait_for()
    screen.page.locator(".cm-content").wait_for()
    screen.type_at_end("# Fresh\n")

    peers[1].holds("fresh.md", b"# Fresh\n")


def test_a_name_that_is_taken_is_refused(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.page.get_by_label("New file", exact=True).click()
    screen.page.get_by_label("Name of the file").fill("there.txt")
    screen.page.keyboard.press("Enter")

    screen.page.locator(".toast.bad", has_text="already something called there.txt").wait_for()
    screen.page.get_by_label("Name of the file").press("Escape")
    assert (peers[0].folder / "there.txt").read_bytes() == b"the old one\n"


def test_a_folder_and_a_file_get_other_names(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.row("moving").click()
    screen.row("moving/x.txt").click()
    screen.page.locator(".cm-content").wait_for()

    screen.row("moving").click(button="right")
    screen.page.get_by_role("menuitem", name="Rename").click()
    screen.page.get_by_label("New name of moving").fill("moved")
    screen.page.keyboard.press("Enter")

    peers[1].holds("moved/x.txt", b"x\n")
    screen.page.locator('.tab.front [title="moved/x.txt"]').wait_for()
    screen.type_at_end("y\n")
    peers[1].holds("moved/x.txt", b"x\ny\n")


def test_deleting_asks_first(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.row("doomed.txt").click(button="right")
    screen.page.get_by_role("menuitem", name="Delete").click()
    dialog = screen.page.locator("dialog.ask")
    assert "history keeps what it was" in dialog.inner_text()
    dialog.get_by_role("button", name="Keep").click()
    assert (peers[0].folder / "doomed.txt").exists()

    screen.row("doomed.txt").click(button="right")
    screen.page.get_by_role("menuitem", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()

    screen.row("doomed.txt").wait_for(state="detached")
    peers[1].lacks("doomed.txt")


def test_files_are_uploaded_into_the_folder_one_is_at(
    peers: list[Peer], open_page: OpenPage
) -> None:
    screen = open_page(peers[0])
    big = bytes(range(251)) * 9_000
    choose(screen, "notes", upload("one.bin", big), upload("two.txt", "zwei ü\n".encode()))

    screen.page.locator(".toast", has_text="2 files uploaded").wait_for()
    peers[1].holds("notes/one.bin", big)
    peers[1].holds("notes/two.txt", "zwei ü\n".encode())


def test_an_upload_never_replaces_without_asking(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    dialog = screen.page.locator("dialog.ask")
    choose(screen, "", upload("there.txt", b"mine\n"))
    dialog.get_by_role("button", name="Keep both").click()
    peers[1].holds("there (2).txt", b"mine\n")
    peers[1].holds("there.txt", b"the old one\n")

    choose(screen, "", upload("there.txt", b"no\n"))
    dialog.get_by_role("button", name="Skip").click()
    dialog.wait_for(state="detached")

    choose(screen, "", upload("there.txt", b"the new one\n"))
    dialog.get_by_role("button", name="Replace").click()
    peers[1].holds("there.txt", b"the new one\n")


def test_what_is_dropped_on_a_folder_goes_into_it(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.row("notes").wait_for()
    transfer = screen.page.evaluate_handle(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["dropped\\n"], "drop.txt", { type: "text/plain" }));
          return transfer;
        }"""
    )
    for event in ("dragover", "drop"):
        screen.row("notes").dispatch_event(event, {"dataTransfer": transfer})

    peers[1].holds("notes/drop.txt", b"dropped\n")


def test_a_picture_is_shown_and_shown_anew(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.open("picture.png")
    screen.page.get_by_text("30 × 20").wait_for()

    (peers[1].folder / "picture.png").write_bytes(picture(50, 40))

    screen.page.get_by_text("50 × 40").wait_for()


def test_a_drawing_is_a_text_and_a_picture(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.open_text("drawing.svg")
    screen.page.locator(".status-bar").get_by_text("Preview").click()
    image = screen.page.locator(".preview-body img")
    image.wait_for()
    wait_for(lambda: bool(image.evaluate("one => one.naturalWidth")), "it is drawn", within=WITHIN)

    screen.page.get_by_text("Edit as text").click()
    screen.page.locator(".cm-content").wait_for()


def test_a_pdf_has_a_frame_and_other_bytes_a_size(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.open("paper.pdf")
    frame = screen.page.locator("iframe[title='paper.pdf']")
    frame.wait_for()
    assert re.search(r"/raw/paper\.pdf\?token=", frame.get_attribute("src") or "")

    screen.open("data.bin")
    screen.page.locator(".preview-head", has_text="10.2 KB").wait_for()
    with screen.page.expect_download() as download:
        screen.page.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_bytes() == FILES["data.bin"]
