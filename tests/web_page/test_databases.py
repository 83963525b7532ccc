"""A database in the page: rows that live, cells that are edited, by mouse, keyboard and finger."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from meerkat.cli.demo_peer import wait_for
from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.node.home import StateFolder
from tests.web_page.conftest import MakePeers, OpenPage
from tests.web_page.pages import WITHIN, Peer, Screen
from tests.web_page.test_use import AXE, PHONE, faults_of

pytestmark = pytest.mark.slow

DATABASE = "garden.db"
SCHEMA = """
CREATE TABLE plants (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, height REAL DEFAULT 1.0, bed INTEGER, photo BLOB,
    notes TEXT, loud TEXT GENERATED ALWAYS AS (upper(name)) VIRTUAL
);
CREATE TABLE seeds (species TEXT, year INT, grams, PRIMARY KEY (species, year)) WITHOUT ROWID;
CREATE TABLE beds (id INTEGER PRIMARY KEY, title TEXT UNIQUE);
CREATE VIEW tall AS SELECT name FROM plants WHERE height > 50;
INSERT INTO seeds VALUES ('bean', 2025, 2.5), ('<b>pea</b>', 2026, NULL);
"""
ROWS = 230


def garden(place: Path) -> bytes:
    """The bytes of a database."""
    file = place / "made.db"
    connection = sqlite3.connect(file)
    connection.executescript(SCHEMA)
    with connection:
        for number in range(1, ROWS + 1):
            row = (
                f"plant {number}",
                float(number),
                number % 3,
                None if number % 5 else b"\0" * 1500,
            )
            sql = "INSERT INTO plants (name, height, bed, photo) VALUES (?, ?, ?, ?)"
            connection.execute(sql, row)
    connection.close()
    return file.read_bytes()


@pytest.fixture(scope="module")
def peers(make_peers: MakePeers, tmp_path_factory: pytest.TempPathFactory) -> list[Peer]:
    found = make_peers("alice", "bob", files={DATABASE: garden(tmp_path_factory.mktemp("made"))})
    for peer in found:
        wait_for(lambda peer=peer: is_live(peer), f"{peer.name} has it", within=WITHIN)  # type: ignore[misc]
    return found


def ask(peer: Peer, request: schema.Request) -> dict[str, Any]:
    with ControlClient(StateFolder(peer.folder).control_socket()) as client:
        return client.ask(request)


def is_live(peer: Peer) -> bool:
    found = ask(peer, schema.ListFiles())["files"]
    return {"path": DATABASE, "kind": "database"}.items() <= next(iter(found), {}).items()


def change(peer: Peer, sql: str, *values: Any) -> None:
    """As any program does."""
    connection = sqlite3.connect(peer.folder / DATABASE, timeout=WITHIN)
    with connection:
        connection.execute(sql, values)
    connection.close()


def holds(peer: Peer, sql: str, *wanted: Any) -> None:
    """Wait until a program that asks finds this row."""

    def found() -> Any:
        connection = sqlite3.connect(peer.folder / DATABASE, timeout=WITHIN)
        try:
            return connection.execute(sql).fetchone()
        finally:
            connection.close()

    wait_for(lambda: found() == wanted, f"{peer.name}: {sql} gives {wanted}", within=WITHIN)


def open_table(screen: Screen, name: str = "plants") -> None:
    screen.open(DATABASE)
    screen.page.get_by_role("tab", name=name, exact=True).click()
    screen.page.get_by_role("tab", name=name, exact=True, selected=True).wait_for()
    screen.page.locator(".grid td").first.wait_for()


def cell(screen: Screen, key: int, column: str) -> Any:
    """The cell of the row with this id."""
    heads = screen.page.locator(".grid th").all_inner_texts()
    place = next(place for place, one in enumerate(heads) if column in one.split()) + 1
    row = f'.grid tbody tr:has(td:first-child:text-is("{key}"))'
    return screen.page.locator(f"{row} td:nth-child({place})")


def has(screen: Screen, key: int, column: str, text: str) -> None:
    """Wait until a cell shows this."""
    where = cell(screen, key, column)
    wait_for(lambda: where.inner_text().strip() == text, f"{column} is {text}", within=WITHIN)


def test_what_others_change_is_shown_at_once_and_says_who(
    peers: list[Peer], open_page: OpenPage
) -> None:
    screen = open_page(peers[0])
    open_table(screen)
    has(screen, 5, "photo", "blob, 1.5 KB")
    has(screen, 1, "photo", "NULL")
    has(screen, 1, "height", "1.0")

    change(peers[1], "UPDATE plants SET name = 'fern' WHERE id = 2")
    glowing = screen.page.locator("td.glowing", has_text=re.compile("^fern"))
    glowing.wait_for()

    assert glowing.get_attribute("title") == "bob, just now"
    cell(screen, 2, "name").click()
    screen.page.locator(".written", has_text="name: bob").wait_for()
    change(peers[1], "DELETE FROM plants WHERE id = 2")
    glowing.wait_for(state="detached")
    screen.page.locator("td", has_text="fern").first.wait_for(state="detached")
    screen.page.locator(".table-bar", has_text=f"of {ROWS - 1} rows").wait_for()


def test_cells_are_edited_in_place_and_keep_their_type(
    peers: list[Peer], open_page: OpenPage
) -> None:
    screen = open_page(peers[0])
    keyboard = screen.page.keyboard
    open_table(screen)
    type_of = "SELECT typeof({0}), {0} FROM plants WHERE id = 10"
    cell(screen, 10, "name").dblclick()
    keyboard.type("42")
    keyboard.press("Enter")
    holds(peers[1], type_of.format("name"), "text", "42")
    has(screen, 10, "name", "42")
    has(screen, 10, "loud", "42")

    cell(screen, 10, "height").click()
    keyboard.type("7")
    keyboard.press("Tab")
    holds(peers[1], type_of.format("height"), "real", 7.0)
    keyboard.press("Enter")  # the next cell, of integers
    field = screen.page.locator(".cell-editor textarea")
    keyboard.type("many")
    screen.page.locator(".cell-editor [role=alert]").wait_for()
    keyboard.press("Enter")
    assert field.is_visible()
    field.fill("9007199254740993")
    keyboard.press("Enter")
    holds(peers[1], type_of.format("bed"), "integer", 9007199254740993)
    has(screen, 10, "bed", "9007199254740993")

    cell(screen, 10, "notes").dblclick()
    keyboard.type("two")
    keyboard.press("Shift+Enter")
    keyboard.type("lines")
    screen.page.locator(".tab.front").click()  # leaving keeps it, too
    holds(peers[1], type_of.format("notes"), "text", "two\nlines")
    cell(screen, 10, "notes").dblclick()
    keyboard.type("nothing of this")
    keyboard.press("Escape")
    has(screen, 10, "notes", "two lines")

    cell(screen, 10, "notes").click(button="right")
    screen.page.get_by_role("menuitem", name="Set to NULL").click()
    holds(peers[1], type_of.format("notes"), "null", None)
    cell(screen, 10, "name").click(button="right")
    screen.page.get_by_role("menuitem", name="Set to NULL").click()
    screen.page.locator(".toast", has_text="NOT NULL").wait_for()
    holds(peers[0], type_of.format("name"), "text", "42")


def test_rows_are_added_and_deleted_by_keyboard_alone(
    peers: list[Peer], open_page: OpenPage
) -> None:
    screen = open_page(peers[0])
    keyboard = screen.page.keyboard
    screen.open(DATABASE)
    tab = screen.page.get_by_role("tab", name="seeds", exact=True)
    tab.click()
    screen.page.locator("th", has_text="species").wait_for()
    tab.focus()
    for _ in range(20):
        keyboard.press("Tab")
        if screen.page.evaluate("document.activeElement.role") == "gridcell":
            break
    keyboard.press("Control+End")
    keyboard.press("Home")
    keyboard.press("ArrowUp")
    assert screen.page.evaluate("document.activeElement.textContent") == "<b>pea</b>"

    screen.page.get_by_role("button", name="Add row").focus()
    keyboard.press("Enter")
    screen.page.get_by_role("dialog").wait_for()
    screen.page.get_by_label("species").first.focus()
    keyboard.type("oat")
    keyboard.press("Enter")
    screen.page.get_by_role("alert", name="").filter(has_text="NOT NULL").wait_for()
    screen.page.get_by_label("year").first.fill("2020")
    keyboard.press("Enter")
    screen.page.get_by_role("dialog").wait_for(state="detached")
    added = "SELECT species, typeof(year), grams FROM seeds WHERE year = 2020"
    holds(peers[1], added, "oat", "integer", None)

    screen.page.locator("td", has_text="oat").focus()
    keyboard.press("Delete")
    screen.page.locator("dialog.ask").wait_for()
    keyboard.press("Tab")
    keyboard.press("Enter")
    holds(peers[1], "SELECT count(*) FROM seeds WHERE year = 2020", 0)
    screen.page.locator("td", has_text="oat").wait_for(state="detached")


def test_pages_of_rows(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    open_table(screen)
    button = screen.page.get_by_role

    def keys() -> list[str]:
        return [str(one) for one in screen.page.locator(".grid td:first-child").all_inner_texts()]

    def shows(first: int) -> None:
        screen.page.locator(".table-bar", has_text=f"{first}–").wait_for()

    shows(1)
    first = keys()
    button("button", name="Next rows").click()
    shows(101)
    second = keys()
    button("button", name="Last rows").click()
    screen.page.locator("td", has_text=re.compile(f"^plant {ROWS}")).wait_for()
    last = keys()
    button("button", name="Previous rows").click()
    screen.page.locator("td", has_text=re.compile(f"^plant {int(last[0]) - 1}$")).wait_for()
    before_last = keys()
    button("button", name="First rows").click()
    shows(1)

    assert (len(first), len(second), len(last)) == (100, 100, 100)
    assert [*map(int, first + second)] == sorted({*map(int, first + second)})
    assert (int(last[-1]), int(before_last[-1])) == (ROWS, int(last[0]) - 1)
    assert keys() == first
    button("tab", name="tall view").click()
    screen.page.locator(".table-bar", has_text="A view").wait_for()


def test_what_a_constraint_keeps_out_is_shown_and_comes_back(
    peers: list[Peer], open_page: OpenPage
) -> None:
    screen = open_page(peers[0])
    open_table(screen, "seeds")
    bob = ask(peers[1], schema.GetStatus())["member"]
    ask(peers[0], schema.Cut(members=(bob,)))
    for peer in peers:
        change(peer, "INSERT INTO beds (title) VALUES ('wall')")
    ask(peers[0], schema.Heal())

    screen.page.get_by_role("button", name="Show", exact=True).click()
    screen.page.locator(".aside-list", has_text="wall").wait_for()
    for peer in peers:
        holds(peer, "SELECT count(*) FROM beds", 1)
    change(peers[1], "UPDATE beds SET title = 'pond'")
    screen.page.locator(".aside-rows").wait_for(state="detached")
    holds(peers[0], "SELECT count(*) FROM beds", 2)


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: make npm")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(peers: list[Peer], open_page: OpenPage, scheme: str) -> None:
    screen = open_page(peers[0], color_scheme=scheme, reduced_motion="reduce")
    open_table(screen)
    cell(screen, 3, "height").click()
    assert faults_of(screen) == []
    screen.page.keyboard.press("Enter")
    screen.page.locator(".cell-editor").wait_for()
    assert faults_of(screen) == []
    screen.page.keyboard.press("Escape")
    screen.page.get_by_role("button", name="Add row").click()
    screen.page.get_by_role("dialog").wait_for()
    assert faults_of(screen) == []


def test_on_a_phone(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0], path=DATABASE, **PHONE)
    screen.page.get_by_role("tab", name="plants", exact=True).tap()
    where = cell(screen, 20, "name")
    where.tap()
    assert not screen.page.locator(".cell-editor").is_visible()
    where.tap()
    screen.page.locator(".cell-editor textarea").fill("by finger")
    screen.page.keyboard.press("Enter")

    number = int(cell(screen, 20, "id").inner_text())
    holds(peers[1], f"SELECT name FROM plants WHERE id = {number}", "by finger")
    assert screen.page.evaluate("document.documentElement.scrollWidth") <= 390
