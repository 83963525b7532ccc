"""`meerkat chat`: what a line means, how lines are shown, and the command against a fake node."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.cli.chat_lines import Command, Nothing, Said, address, read_line, receipt, sentence
from meerkat.cli.network_log import NetworkLog
from meerkat.cli.visible import visible
from tests.faces.conftest import Meerkat
from tests.faces.fake_desk import ALICE, BOB, CAROL, ServedFolder, chat_event, served_folder

NAMES = ["bob", "Bobby", "Carol Ann", "zoë"]
SOON = 20.0


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[ServedFolder]:
    with served_folder(tmp_path) as folder:
        yield folder


# --- Lines ---


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("hello", Said("hello")),
        ("  two  words ", Said("two  words")),
        ("", Nothing()),
        ("   ", Nothing()),
        ("@bob hi", Said("hi", "bob")),
        ("@BOB: hi", Said("hi", "bob")),
        ("@bobby, hi", Said("hi", "Bobby")),
        ("@carol ann hi there", Said("hi there", "Carol Ann")),
        ('@"Carol Ann" hi', Said("hi", "Carol Ann")),
        ("@Zoë hi", Said("hi", "zoë")),
        ("@bobb hi", Said("hi", "bobb")),
        ("@nobody hi", Said("hi", "nobody")),
        ("@@bob hi", Said("@bob hi")),
        ("//etc", Said("/etc")),
        ("/quit", Command("quit", "")),
        ("/NAME  New Name ", Command("name", "New Name")),
        ("mail@bob hi", Said("mail@bob hi")),
    ],
)
def test_what_a_line_means(line: str, meant: Said | Command | Nothing):
    assert read_line(line, NAMES) == meant


@pytest.mark.parametrize("line", ["@", "@ hi", "@bob", "@bob  ", '@"" hi', '@"Carol Ann"'])
def test_a_direct_line_without_name_or_text_is_explained(line: str):
    assert read_line(line, NAMES) == Nothing("Write `@name text`.")


def test_plain_text_goes_to_whom_one_talks_to():
    assert read_line("hi", NAMES, to="bob") == Said("hi", "bob")
    assert read_line("@zoë hi", NAMES, to="bob") == Said("hi", "zoë")


@given(st.sampled_from(NAMES), st.text(st.characters(categories=["L", "N", "P"]), min_size=1))
def test_an_address_is_read_as_it_is_written(name: str, text: str):
    meant = read_line(f"{address(name)} {text}", NAMES)

    assert isinstance(meant, Said)
    assert meant.to == name


@given(st.text(max_size=200))
def test_what_was_meant_for_one_never_goes_to_all(line: str):
    meant = read_line(f"@{line}", NAMES)

    assert not isinstance(meant, Command)
    assert isinstance(meant, Nothing) or meant.to or meant == Said(f"@{line}".strip()[1:])


@given(st.text(max_size=200))
def test_nothing_that_others_write_controls_the_terminal(text: str):
    shown = visible(text)

    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert not set(shown) & set(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
    )
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2J\x1b]0;owned\x07", "\ufffd[2J\ufffd]0;owned\ufffd"),
        ("\x9b31m", "\ufffd31m"),
        ("one\ntwo\r\n", "one two "),
        ("a\u202eb", "a\ufffdb"),
        ("zoë 👩\u200d🚀 नमस्ते", "zoë 👩\u200d🚀 नमस्ते"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
        ("\ud800", "\ufffd"),
    ],
)
def test_visible(text: str, shown: str):
    assert visible(text) == shown


def test_lines_say_who_says_what_to_whom():
    def said(*arguments: object, **more: object) -> str:
        return sentence(chat_event(*arguments, **more))[6:]  # type: ignore[arg-type]

    assert said("hi") == "bob: hi"
    assert said("hi", ALICE) == "you: hi"
    assert said("hi", BOB, ALICE) == "bob -> you (direct): hi"
    assert said("hi", ALICE, CAROL) == "you -> Carol Ann (direct): hi"
    assert said("a\nb\x1b", name="m\x07") == "m\ufffd: a b\ufffd"
    assert sentence(chat_event("hi", wall_ms=2**53)).endswith("bob: hi")


def test_receipts():
    event = {"event": "delivered", "id": "1", "to_name": "bob", "hops": 1, "seconds": 0.0412}
    assert receipt(event) == "delivered to bob after 1 hop, 41 ms"
    assert receipt({**event, "hops": 3}) == "delivered to bob after 3 hops, 41 ms"
    assert receipt({"event": "waiting", "to_name": "bob\x1b"}) == "waits for bob\ufffd"


def test_the_networks_own_words_are_appended_with_the_time(tmp_path: Path):
    for _ in range(2):
        with NetworkLog(tmp_path / "log") as log:
            log.write({"event": "network", "what": "join_req", "name": "bob\n\x1b[2J"})
            log.write({"event": "peer_lost", "name": "Carol Ann", "reason": ""})
            log.write({"event": "chat", "text": "not for the log"})
    lines = (tmp_path / "log").read_text().splitlines()

    assert len(lines) == 4
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ", line) for line in lines)
    assert lines[0][24:] == 'JOIN_REQ name="bob \ufffd[2J"'
    assert lines[1][24:] == 'PEER_LOST name="Carol Ann" reason=""'


# --- The command ---


def test_one_shot(notes: ServedFolder, meerkat: Meerkat):
    to_all = meerkat("chat", "-C", notes.folder, "hello", "all")
    to_bob = meerkat("chat", "-C", notes.folder, "@bob", "psst")
    to_carol = meerkat("chat", "-C", notes.folder, "@carol ann", "later")

    assert (to_all.returncode, to_all.stdout, to_all.stderr) == (0, "", "")
    assert to_bob.stdout == "delivered to bob after 3 hops, 41 ms\n"
    assert to_carol.stdout == "waits for Carol Ann\n"
    assert notes.desk.requests.said == [("hello all", ""), ("psst", BOB), ("later", CAROL)]


def test_a_pipe_says_its_lines_and_ends(notes: ServedFolder, meerkat: Meerkat):
    lines = "one\n\n@bob two\n/etc/hosts\n@zzz three\n@@four\nrefuse\nfive"

    done = meerkat("chat", "-C", notes.folder, stdin=lines)

    texts = [("one", ""), ("two", BOB), ("/etc/hosts", ""), ("@four", ""), ("five", "")]
    assert notes.desk.requests.said == texts
    assert "delivered to bob" in done.stderr
    assert "Nobody is called 'zzz'" in done.stderr
    assert "This is refused." in done.stderr
    assert done.returncode == 1  # of the last mistake
    assert done.stdout == ""  # what we say ourselves is not told back


def test_a_pipe_may_carry_anything(notes: ServedFolder):
    done = subprocess.run(
        [*_meerkat(), "chat", "-C", str(notes.folder)],
        input=b"caf\xe9 \xff\n" + b"x" * 9_000 + b"\nlast\0",
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert [text for text, _ in notes.desk.requests.said] == ["caf\ufffd \ufffd", "last\0"]
    assert b"too long" in done.stderr
    assert done.returncode == 1


def test_a_pipe_to_one_says_every_line_as_it_is(notes: ServedFolder, meerkat: Meerkat):
    done = meerkat("chat", "-C", notes.folder, "--plain", "@bob", stdin="@carol hi\n/who\n")

    assert notes.desk.requests.said == [("@carol hi", BOB), ("/who", BOB)]
    assert done.returncode == 0


def test_json_lines(notes: ServedFolder, meerkat: Meerkat):
    notes.desk.requests.lines = [
        {key: value for key, value in chat_event("old").items() if key != "event"}
    ]

    done = meerkat("chat", "-C", notes.folder, "--json", "--last", 5, "@bob", stdin="hi\n")

    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["event"] for one in events] == ["chat", "chat", "delivered"]
    assert [one.get("text") for one in events] == ["old", "hi", None]
    assert events[2]["hops"] == 3


def test_mistakes_are_sentences_and_nothing_is_said(notes: ServedFolder, meerkat: Meerkat):
    at = ("chat", "-C", notes.folder)

    nobody = meerkat(*at, "@nobody", "hi")
    nobody_yet = meerkat(*at, "@nobody", stdin="hi\n")
    no_name = meerkat(*at, "@", "hi")
    both = meerkat(*at, "--follow", "hi")
    long = meerkat(*at, "x" * 9000)
    elsewhere = meerkat("chat", "-C", notes.folder.parent, "hi")
    no_log = meerkat(*at, "--log", notes.folder / "no" / "log", "hi")

    assert (nobody.returncode, nobody_yet.returncode) == (8, 8)
    assert "The members are: " in nobody.stderr
    assert (no_name.returncode, both.returncode, long.returncode) == (2, 2, 1)
    assert (elsewhere.returncode, no_log.returncode) == (3, 3)
    assert notes.desk.requests.said == []


def test_without_a_process(tmp_path: Path, meerkat: Meerkat):
    with served_folder(tmp_path) as notes:
        pass

    done = meerkat("chat", "-C", notes.folder, "hi")

    assert done.returncode == 4
    assert "meerkat up" in done.stderr


def test_following_prints_what_is_said_until_the_process_ends(tmp_path: Path):
    with served_folder(tmp_path) as notes:
        process = subprocess.Popen(
            [*_meerkat(), "chat", "-C", str(notes.folder), "--follow", "--log", "net.log"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        _until(lambda: bool(notes.desk.listeners), "it listens")
        notes.publish(chat_event("\x1b[31mhello"))
        notes.publish(chat_event("psst", BOB, ALICE))
        notes.publish({"event": "network", "what": "accepted", "name": "bob"})
        notes.publish(chat_event("mine", ALICE))
        assert process.stdout is not None
        lines = [process.stdout.readline()[6:-1] for _ in range(3)]
    _, errors = process.communicate(timeout=SOON)

    assert lines == ["bob: \ufffd[31mhello", "bob -> you (direct): psst", "you: mine"]
    assert process.returncode == 4
    assert "ended" in errors
    assert "Traceback" not in errors
    assert (tmp_path / "net.log").read_text().endswith("ACCEPTED name=bob\n")


# --- On a terminal ---


class Terminal:
    """A pretend terminal with the live chat in it."""

    def __init__(self, *arguments: object) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        self._process = subprocess.Popen(
            [*_meerkat(), "chat", *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.raw = b""

    @property
    def shown(self) -> str:
        """Without the sequences that move the cursor and set colors."""
        plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>78]", b"", self.raw)
        return plain.decode(errors="replace").replace("\r", "")

    def type(self, line: str, *, enter: bool = True) -> None:
        os.write(self._ours, f"{line}\r".encode() if enter else line.encode())

    def wait(self, text: str) -> None:
        try:
            _until(lambda: self._read() and text in self.shown, repr(text))
        except TimeoutError as error:
            raise TimeoutError(f"{error} in {self.shown}") from None

    def end(self) -> int:
        """Read until it has ended; its exit code."""
        _until(lambda: self._process.poll() is not None or not self._read(), "it ends")
        code = self._process.wait(SOON)
        os.close(self._ours)
        return code

    def _read(self) -> bool:
        if select.select([self._ours], [], [], 0.01)[0]:
            try:
                found = os.read(self._ours, 65_536)
            except OSError:
                return False
            if b"\x1b[6n" in found:  # where is the cursor?
                os.write(self._ours, b"\x1b[1;1R")
            self.raw += found
        return True


def test_the_live_chat(notes: ServedFolder):
    facts = chat_event("from before", wall_ms=1_795_262_400_000 - 86_400_000)
    notes.desk.requests.lines = [{key: value for key, value in facts.items() if key != "event"}]
    chat = Terminal("-C", notes.folder)

    chat.wait("bob: from before")
    chat.wait("1 linked")
    notes.publish(chat_event("\x1b[2Jhello\x1b]0;owned\x07", name="ev\x1bil"))
    chat.wait("ev\ufffdil: \ufffd[2Jhello\ufffd]0;owned\ufffd")
    chat.type("hello there")
    chat.wait("you: hello there")
    chat.type("@bob psst")
    chat.wait("you -> bob (direct): psst")
    chat.wait("delivered to bob after 3 hops, 41 ms")
    chat.type('@"Carol Ann" later')
    chat.wait("waits for Carol Ann")
    notes.publish(chat_event("psst", BOB, ALICE))
    chat.wait("bob -> you (direct): psst")
    chat.type("/who")
    chat.wait("Carol Ann (cccccccc): here, 1 link")
    chat.type("/map")
    chat.wait("3 peers, 2 links")
    chat.type("/ping bob")
    chat.wait("bob: 12.3 ms")
    chat.type("/name Ali")
    chat.wait("from now on")
    chat.type("@nobody hi")
    chat.wait("Nobody is called 'nobody'")
    chat.type("/nonsense")
    chat.wait("/nonsense is no command")
    chat.type("/help")
    chat.wait("stands for itself")
    chat.type("/quit")

    assert chat.end() == 0
    assert b"\x1b]0;" not in chat.raw
    assert [text for text, _ in notes.desk.requests.said] == ["hello there", "psst", "later"]
    assert notes.desk.requests.names == ["Ali"]


def test_many_lines_at_once_are_all_shown_in_order(notes: ServedFolder):
    chat = Terminal("-C", notes.folder)
    chat.wait("1 linked")

    for number in range(500):
        notes.publish(chat_event(f"line {number}.", id=str(number)))
    chat.wait("line 499.")
    chat.type("/quit")

    assert chat.end() == 0
    assert [int(one) for one in re.findall(r"line (\d+)\.", chat.shown)] == list(range(500))


def test_a_live_chat_with_one_and_its_completion(notes: ServedFolder):
    chat = Terminal("-C", notes.folder, "@bob")

    chat.wait("@bob>")
    chat.type("hi")
    chat.wait("you -> bob (direct): hi")
    chat.type("/all hi all")
    chat.wait("you: hi all")
    chat.type("@c\t", enter=False)
    chat.wait('@"Carol Ann"')
    chat.type("hello")
    chat.wait("you -> Carol Ann (direct): hello")
    chat.type("/qu\t", enter=False)
    chat.wait("/quit")
    chat.type("")

    assert chat.end() == 0


def test_a_live_chat_ends_with_the_process_and_says_so(tmp_path: Path):
    with served_folder(tmp_path) as notes:
        chat = Terminal("-C", notes.folder)
        chat.wait("1 linked")
    chat.wait("ended")

    assert chat.end() == 4
    assert "Traceback" not in chat.shown


def _meerkat() -> list[str]:
    return [sys.executable, "-m", "meerkat"]


def _until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not: {what}")
        select.select([], [], [], 0.005)
