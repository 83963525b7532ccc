"""Takes docs/images/web-*.png: real peers, people who write, and their pages in Chromium.

``python docs/make_page_images.py`` does it anew, with the word ``database`` only that one. Needs
playwright and /usr/bin/chromium, and a font with emoji for the same faces of the animals.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from meerkat.cli.demo_peer import DemoPeer
from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.node.home import StateFolder

IMAGES = Path(__file__).resolve().parent / "images"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PEOPLE = ("Alice Moreau", "Bob Tanaka", "Carla", "Deniz", "Emma Roth", "Farid")
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 780}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
NOTES = """# Week 12 at the Kuruman

Fourteen adults, five pups, *one* honey badger (at a distance).

## What we saw

- the sentinel changes every **18 minutes** 🦫
- pups leave burrow 3 at sunrise, and not before
- rain on Tuesday: nobody came out until ten

## What is left

1. weigh the pups, twice
2. move the camera to burrow 7
3. write it down, together

```python
counts = {"adults": 14, "pups": 5}
assert sum(counts.values()) == 19
```
"""
CENSUS = '''"""Counts who is at home."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sighting:
    """One animal, seen once."""

    name: str
    burrow: int
    weight_g: float


def heaviest(sightings: list[Sighting]) -> Sighting | None:
    # Pups are weighed twice: they do not hold still.
    return max(sightings, key=lambda one: one.weight_g, default=None)


if __name__ == "__main__":
    print(heaviest([Sighting("Flower", 3, 731.5), Sighting("Zaphod", 3, 702.0)]))
'''
GARDEN = """
CREATE TABLE animals (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, grams REAL, burrow INT, photo BLOB
);
CREATE TABLE sightings (animal INT REFERENCES animals (id), at TEXT, what TEXT);
CREATE TABLE burrows (id INTEGER PRIMARY KEY, place TEXT UNIQUE);
CREATE VIEW pups AS SELECT name FROM animals WHERE born > '2026-08-01';
INSERT INTO burrows (place) VALUES ('dry pan'), ('old dam'), ('acacia');
"""
# fmt: off
ANIMALS = (
    "Flower", "Zaphod", "Shakespeare", "Mozart", "Rocket", "Daisy", "Yossarian", "Hannibal",
    "Tosca", "Pookie", "Mitch", "Kinkajou", "Carlos", "Punk", "Baddiel", "Maybelline", "Machu",
)
# fmt: on
FILES = {
    "notes/week-11.md": "# Week 11\n",
    "notes/week-12.md": NOTES,
    "src/census.py": CENSUS,
    "data/colony.json": '{"colony": "Whiskers"}\n',
    "data/weights.csv": "name,burrow,grams\nFlower,3,731.5\n",
    "README.md": "# Field notes\n",
    "budget.csv": "what,how much\n",
}


def make_database(file: Path) -> None:
    """Who lives where."""
    connection = sqlite3.connect(file)
    connection.executescript(GARDEN)
    with connection:
        for number, name in enumerate(ANIMALS):
            born = f"20{20 + number % 7}-{1 + number * 5 % 12:02}-{1 + number * 7 % 28:02}"
            photo = bytes(40_000 + 997 * number) if number % 3 == 0 else None
            row = (name, born, 690.0 + number * 37 % 90 / 2, 1 + number % 3, photo)
            sql = "INSERT INTO animals (name, born, grams, burrow, photo) VALUES (?, ?, ?, ?, ?)"
            connection.execute(sql, row)
    connection.close()


def change_database(file: Path, sql: str) -> None:
    """As any program does."""
    connection = sqlite3.connect(file, timeout=10)
    with connection:
        connection.execute(sql)
    connection.close()


def take_database(browser: Browser, addresses: list[str]) -> None:
    """The picture of a database in which somebody changes two cells."""
    page = browser.new_context(**WIDE).new_page()
    page.goto(addresses[0])
    page.locator(".light:not(.off)").wait_for()
    page.locator('.row[id="row-colony.db"]').click()
    page.get_by_role("tab", name="animals", exact=True).click()
    page.locator("td", has_text="Mozart").click()
    other = RUNNING[1].folder / "colony.db"
    change_database(other, "UPDATE animals SET grams = 744.5 WHERE name = 'Mozart'")
    change_database(other, "UPDATE animals SET name = 'Rocket Dog' WHERE name = 'Rocket'")
    page.locator("td.glowing", has_text="Rocket Dog").wait_for()
    page.locator("td", has_text="744.5").click()
    page.locator(".written", has_text="Bob").wait_for()
    page.screenshot(path=IMAGES / "web-database.png")


RUNNING: list[DemoPeer] = []


def start_peers(place: Path) -> list[str]:
    """All of PEOPLE, in one folder each; the addresses of their pages."""
    addresses = []
    invitation = ""
    for number, name in enumerate(PEOPLE):
        home = place / str(number)
        home.mkdir()
        peer = DemoPeer("field-notes", home)
        peer.name = name
        if invitation:
            peer.start("join", invitation)
        else:
            for path, text in FILES.items():
                target = peer.folder / path
                target.parent.mkdir(exist_ok=True)
                target.write_text(text, encoding="utf-8")
            make_database(peer.folder / "colony.db")
            invitation = peer.start("share")["invitation"]
        RUNNING.append(peer)
        client = ControlClient(StateFolder(peer.folder).control_socket())
        addresses.append(str(client.ask(schema.ServeWeb())["url"]))
        client.close()
    return addresses


def open_text(browser: Browser, address: str, path: str, options: dict[str, Any]) -> Page:
    """A page with a text in front."""
    page = browser.new_context(**options).new_page()
    page.goto(address)
    page.locator(".light:not(.off)").wait_for()
    page.locator(".row, .phone-bar").first.wait_for()
    page.evaluate("path => { location.hash = '/' + path }", path)
    page.locator(".cm-content .tok-heading, .cm-content .tok-keyword").first.wait_for()
    return page


def stand(page: Page, line: str, *keys: str) -> None:
    """Put the cursor into a line, and then press keys."""
    page.locator(".cm-line", has_text=line).first.click()
    for key in keys:
        page.keyboard.press(key)


def say(page: Page, text: str) -> None:
    """In the chat."""
    page.locator(".writing textarea").fill(text)
    page.keyboard.press("Enter")
    page.locator(".line-text", has_text=text).wait_for()


def take(browser: Browser, addresses: list[str]) -> None:
    """The pictures."""
    alice = open_text(browser, addresses[0], "notes/week-12.md", WIDE)
    bob = open_text(browser, addresses[1], "notes/week-12.md", WIDE)
    carla = open_text(browser, addresses[2], "notes/week-12.md", WIDE)
    deniz = open_text(browser, addresses[3], "src/census.py", {**WIDE, "color_scheme": "dark"})
    emma = open_text(browser, addresses[4], "src/census.py", WIDE)
    for page in (bob, alice, carla):
        page.locator('.row[id="row-data"]').wait_for()
    say(alice, "The pups are out since six 🦦")
    say(bob, "Good! I take burrow 3.")
    say(carla, "Who has the scale?")
    say(deniz, "In the car. Bringing it.")
    alice.locator(".section-words", has_text=f"{len(PEOPLE)} peers here").wait_for(timeout=60_000)
    stand(emma, "weight_g: float", "Home", "Shift+End")
    stand(deniz, "max(sightings", "End")
    stand(bob, "one* honey badger", "End")
    stand(carla, "weigh the pups", "End")
    stand(alice, "rain on Tuesday", "End")
    alice.locator(".cm-caret").nth(1).wait_for(state="attached")
    stand(bob, "one* honey badger", "End", "ArrowLeft")
    stand(carla, "weigh the pups", "Home", "Shift+End")
    alice.wait_for_timeout(500)
    alice.screenshot(path=IMAGES / "web-light.png")
    stand(emma, "burrow: int", "Home", "Shift+End")
    deniz.locator(".cm-caret-named").wait_for(state="attached")
    deniz.wait_for_timeout(500)
    deniz.screenshot(path=IMAGES / "web-dark.png")
    phone = open_text(browser, addresses[5], "notes/week-12.md", PHONE)
    phone.locator(".cm-caret").first.wait_for(state="attached")
    stand(bob, "one* honey badger", "End")
    phone.wait_for_timeout(500)
    phone.screenshot(path=IMAGES / "web-phone.png")


def main(only: str = "") -> None:
    """Start everything, take the pictures, stop everything."""
    with tempfile.TemporaryDirectory() as place:
        try:
            addresses = start_peers(Path(place))
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                take_database(browser, addresses)
                if only != "database":
                    take(browser, addresses)
                browser.close()
        finally:
            for peer in RUNNING:
                peer.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
