"""The rows process as the node has it: started when needed, asked, ended, and when it crashes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from meerkat.core import rows
from meerkat.core.rows import RowsReport
from meerkat.errors import MeerkatError
from meerkat.node.node import Node
from meerkat.node.rows_host import RowsConfig, RowsHost
from meerkat.node.spawn import spawner
from meerkat.rows.wire import Changes
from tests.node.pool import Pool
from tests.node.waiting import until

NAME = "shop.db"
VERSION = bytes(range(16))
AUTHOR = b"a" * 32
QUICK = RowsConfig(restart_shortest=0.01)


class Peer:
    """A folder and a host, and as much of a peer as signs what is captured."""

    def __init__(self, folder: Path, group: asyncio.TaskGroup, config: RowsConfig) -> None:
        self.folder = folder
        self.reports: list[RowsReport] = []
        self.restarts = 0
        self.bugs: list[Exception] = []
        self.host = RowsHost(
            folder,
            spawn=spawner(group, self.bugs.append),
            reported=self._reported,
            restarted=self._restarted,
            config=config,
        )
        self.base = b""
        self.sequence = 0
        self.signs = True

    def _reported(self, reports: tuple[RowsReport, ...]) -> None:
        self.reports += reports
        for report in reports:
            if isinstance(report, rows.RowsCaptured) and self.signs:
                marks = []
                for _ in report.batches:
                    self.sequence += 1
                    marks.append((self.sequence, self.sequence))
                self.host.send(rows.RowsSigned(VERSION, report.number, AUTHOR, tuple(marks), 1_000))

    def _restarted(self) -> None:
        self.restarts += 1
        self.load()

    def load(self) -> None:
        self.host.send(rows.LoadDatabase(VERSION, self.base, AUTHOR))
        self.host.send(rows.AttachDatabase(VERSION, NAME))

    def run(self, sql: str) -> None:
        """A program of somebody."""
        program(self.folder / NAME, sql)
        self.host.look(NAME)

    def of(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.reports if isinstance(one, kind)]

    async def wait_for(self, kind: type[Any], count: int = 1) -> Any:
        await until(lambda: len(self.of(kind)) >= count, f"{kind.__name__}; {self.reports}")
        return self.of(kind)[-1]

    async def wait_restarts(self, count: int) -> None:
        await until(lambda: self.restarts == count, "the restart")

    async def go_live(self, sql: str = "CREATE TABLE item(id INTEGER PRIMARY KEY, name)") -> None:
        self.run(sql)
        self.host.send(rows.ImportDatabase(1, NAME))
        imported = await self.wait_for(rows.DatabaseImported)
        self.base = imported.digest
        self.load()
        await self.wait_for(rows.DatabaseAttached)


def tell(
    folder: Path, story: Callable[[Peer], Awaitable[None]], config: RowsConfig = QUICK
) -> Peer:
    """Run a story, and end the process."""
    (folder / ".meerkat" / "rows").mkdir(parents=True)
    (folder / ".meerkat" / "bases").mkdir()
    root = folder.resolve()
    told: list[Peer] = []

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            peer = Peer(root, group, config)
            told.append(peer)
            try:
                await story(peer)
            finally:
                await peer.host.stop()

    asyncio.run(run())
    assert told[0].bugs == []
    return told[0]


def program(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(10_000)
        connection.execute(sql).fetchall()
    finally:
        connection.close()


def is_live(node: Node) -> bool:
    return node.rows.pid is not None and node.rows.databases() == [(NAME, "", 0)]


def is_running(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_nothing_is_started_for_nothing(tmp_path: Path):
    async def story(peer: Peer) -> None:
        peer.host.look(NAME)
        with pytest.raises(MeerkatError, match="no live database"):
            await peer.host.query(NAME, "SELECT 1")
        await peer.host.capture()
        assert peer.host.pid is None
        assert peer.host.databases() == []
        assert peer.host.problem == ""

    tell(tmp_path, story)


def test_the_node_never_loads_sqlite_for_people():
    code = "import sys, meerkat.node.node; sys.exit('apsw' in sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_database_is_imported_attached_and_captured(tmp_path: Path):
    async def story(peer: Peer) -> None:
        await peer.go_live()
        peer.run("INSERT INTO item VALUES (1, 'pear')")
        captured = await peer.wait_for(rows.RowsCaptured)
        assert captured.number == 1
        assert peer.host.databases() == [(NAME, "", 0)]
        assert is_running(peer.host.pid or 0)

        program(peer.folder / NAME, "INSERT INTO item VALUES (2, 'fig')")
        await peer.host.capture()  # as before the end
        assert len(peer.of(rows.RowsCaptured)) == 2

    peer = tell(tmp_path, story)
    assert peer.host.pid is None


def test_what_is_no_database_is_refused(tmp_path: Path):
    async def story(peer: Peer) -> None:
        (peer.folder / NAME).write_bytes(b"SQLite format 3\0" + b"x" * 5000)
        peer.host.send(rows.ImportDatabase(7, NAME))
        peer.host.send(rows.ImportDatabase(8, "missing.db"))
        await peer.wait_for(rows.DatabaseRefused, 2)
        assert [one.ticket for one in peer.of(rows.DatabaseRefused)] == [7, 8]
        assert all(one.reason for one in peer.of(rows.DatabaseRefused))

    tell(tmp_path, story)


def test_a_change_that_nobody_hints_at_is_found(tmp_path: Path):
    async def story(peer: Peer) -> None:
        await peer.go_live()
        program(peer.folder / NAME, "INSERT INTO item VALUES (1, 'pear')")
        await peer.wait_for(rows.RowsCaptured)

    tell(tmp_path, story)


def test_faces_read_write_and_ask(tmp_path: Path):
    async def story(peer: Peer) -> None:
        await peer.go_live()
        host = peer.host
        written = await host.execute(NAME, "INSERT INTO item(name) VALUES (?)", (b"\x00\xff",))
        assert written.changed == 1
        await peer.wait_for(rows.RowsCaptured)
        read = await host.query(NAME, "SELECT id, name FROM item WHERE id = :id", {"id": 1})
        assert (read.columns, read.rows) == (("id", "name"), ((1, b"\x00\xff"),))
        with pytest.raises(MeerkatError, match="no such table"):
            await host.query(NAME, "SELECT * FROM missing")
        for params in ((2**70,), ("\ud800",), (object(),)):
            with pytest.raises(MeerkatError, match="value"):
                await host.query(NAME, "SELECT ?", params)  # type: ignore[arg-type]
        facts = await host.describe(NAME)
        assert (facts.path, facts.version, facts.problem, facts.aside) == (NAME, VERSION, "", 0)
        assert [(one.name, one.key, one.rows) for one in facts.tables] == [("item", ("id",), 1)]
        assert facts.file_bytes > 0
        assert facts.state_bytes > 0
        assert await host.conflicts(NAME) == ()
        cells = await host.history(NAME, "item", (1,))
        assert {(one.column, one.author) for one in cells} >= {("name", AUTHOR)}

    tell(tmp_path, story)


def test_a_watcher_hears_what_changes(tmp_path: Path):
    async def story(peer: Peer) -> None:
        heard: list[Changes] = []
        with pytest.raises(MeerkatError, match="no live database"):
            await peer.host.watch(NAME, "item", heard.append)
        await peer.go_live("CREATE TABLE item(id INTEGER PRIMARY KEY, name); CREATE TABLE b(x)")
        stop = await peer.host.watch(NAME, "ITEM", heard.append)
        peer.run("INSERT INTO item VALUES (1, 'pear'); INSERT INTO b VALUES (1)")
        await until(lambda: heard, "the insert")
        peer.run("UPDATE item SET name = 'fig'")
        await until(lambda: len(heard) == 2, "the update")
        peer.run("DELETE FROM item")
        await until(lambda: len(heard) == 3, "the deletion")
        stop()
        peer.run("INSERT INTO item VALUES (2, 'kiwi')")
        await peer.wait_for(rows.RowsCaptured, 4)

        found = [change for news in heard for change in news.changes]
        assert [(one.operation, one.key, one.old, one.new) for one in found] == [
            ("insert", (1,), None, {"id": 1, "name": "pear"}),
            ("update", (1,), {"id": 1, "name": "pear"}, {"id": 1, "name": "fig"}),
            ("delete", (1,), {"id": 1, "name": "fig"}, None),
        ]
        assert {one.author for one in found} == {b""}
        assert not any(news.again for news in heard)

        heard.clear()
        await peer.host.watch(NAME, "", heard.append)
        many = "WITH RECURSIVE n(x) AS (SELECT 3 UNION ALL SELECT x + 1 FROM n LIMIT 2000)"
        peer.run(f"INSERT INTO item {many} SELECT x, 'pear' FROM n")
        await until(lambda: heard, "there is too much")
        assert (heard[0].again, heard[0].changes) == (True, ())

    tell(tmp_path, story)


def test_a_query_that_is_cancelled_ends_there_too(tmp_path: Path):
    async def story(peer: Peer) -> None:
        await peer.go_live()
        forever = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) "
        tasks = [
            asyncio.ensure_future(peer.host.query(NAME, forever + "SELECT max(x) FROM n"))
            for _ in range(4)  # as many as run at once
        ]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        answer = await peer.host.query(NAME, "SELECT 1")
        assert answer.rows == ((1,),)

    tell(tmp_path, story)


def test_a_crash_is_survived(tmp_path: Path):
    async def story(peer: Peer) -> None:
        heard: list[Changes] = []
        await peer.go_live()
        await peer.host.watch(NAME, "item", heard.append)
        waiting = asyncio.ensure_future(
            peer.host.query(
                NAME, "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT 1 FROM n"
            )
        )
        await asyncio.sleep(0)
        os.kill(peer.host.pid or 0, signal.SIGKILL)
        with suppress(MeerkatError):  # it may have been answered before
            await waiting
        await peer.wait_restarts(1)
        await peer.wait_for(rows.DatabaseAttached, 2)
        await until(lambda: any(news.again for news in heard), "the watcher knows")
        heard.clear()
        peer.run("INSERT INTO item VALUES (1, 'pear')")
        await peer.wait_for(rows.RowsCaptured)
        await until(lambda: heard, "the watcher hears on")

    tell(tmp_path, story)


def test_a_database_that_crashes_again_and_again_is_given_up(tmp_path: Path):
    async def story(peer: Peer) -> None:
        await peer.go_live()
        working = peer.folder / ".meerkat" / "rows" / "working"
        for crash in range(1, QUICK.crashes + 1):
            os.kill(peer.host.pid or 0, signal.SIGSTOP)  # so that it does not clear its mark
            working.write_bytes(VERSION)
            os.kill(peer.host.pid or 0, signal.SIGKILL)
            await peer.wait_restarts(crash)
            if crash < QUICK.crashes:
                await peer.wait_for(rows.DatabaseAttached, crash + 1)
        given_up = await peer.wait_for(rows.DatabaseDetached)
        assert "crashed 3 times" in given_up.reason
        assert "keeps crashing" in peer.host.problem
        assert peer.host.pid is None
        ((path, problem, _),) = peer.host.databases()
        assert (path, problem) == (NAME, given_up.reason)
        with pytest.raises(MeerkatError, match="crashed 3 times"):
            await peer.host.query(NAME, "SELECT 1")
        peer.load()
        await peer.wait_for(rows.DatabaseDetached, len(peer.of(rows.DatabaseDetached)) + 1)
        attached = len(peer.of(rows.DatabaseAttached))
        peer.host.send(rows.LoadDatabase(VERSION, peer.base, AUTHOR, again=True))
        peer.host.send(rows.AttachDatabase(VERSION, NAME))
        await peer.wait_for(rows.DatabaseAttached, attached + 1)
        assert peer.host.databases() == [(NAME, "", 0)]
        assert "keeps crashing" in peer.host.problem
        peer.host._config = replace(QUICK, told=0.0)  # that time has passed
        assert peer.host.problem == ""

    tell(tmp_path, story)


def test_abandoned_it_begins_anew_and_repeats_what_was_not_signed(tmp_path: Path):
    async def story(peer: Peer) -> None:
        await peer.go_live()
        peer.signs = False
        peer.run("INSERT INTO item VALUES (1, 'pear')")
        first = await peer.wait_for(rows.RowsCaptured)
        await peer.host.abandon()
        assert peer.host.pid is None
        peer.signs = True
        peer.load()
        again = await peer.wait_for(rows.RowsCaptured, 2)
        assert again == first
        await peer.wait_for(rows.DatabaseAttached, 2)

    tell(tmp_path, story)


def test_a_node_goes_on_when_its_rows_process_has_crashed(tmp_path: Path):
    async def story() -> None:
        async with Pool(tmp_path).share("alice") as alice:
            path = alice.home.state.folder / NAME
            program(path, "CREATE TABLE item(id INTEGER PRIMARY KEY, name)")
            await until(lambda: is_live(alice), "it is live")
            os.kill(alice.rows.pid or 0, signal.SIGKILL)
            await until(lambda: not is_live(alice), "it was")
            program(path, "INSERT INTO item VALUES (1, 'pear')")
            await until(lambda: is_live(alice), "it is live again")
            before = alice.status().heads
            program(path, "INSERT INTO item VALUES (2, 'fig')")
            await until(lambda: alice.status().heads != before, "the row is signed")
            cells = await alice.rows.history(NAME, "item", (2,))
            assert {one.author.hex() for one in cells} == set(before)

    asyncio.run(story())
