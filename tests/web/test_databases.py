"""What a page asks of a database, over its websocket, of a real node and its rows process."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from meerkat.control import tables
from meerkat.errors import MeerkatError
from meerkat.node.node import Node
from meerkat.web.host import WebHost
from tests.node.pool import Pool, run
from tests.node.waiting import until
from tests.web.served import WITHIN

ODD = "a \"b\" [c] `d` 'e'; DROP TABLE plants -- ü"
SCHEMA = f"""
CREATE TABLE plants (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, height REAL DEFAULT 1.5, photo BLOB,
    loud TEXT GENERATED ALWAYS AS (upper(name)) VIRTUAL, any
);
CREATE TABLE nokey (a, b);
CREATE TABLE named (code TEXT PRIMARY KEY, value) ;
CREATE TABLE pairs (x TEXT COLLATE NOCASE, y INT, z, PRIMARY KEY (x, y DESC)) WITHOUT ROWID;
CREATE TABLE "{ODD.replace('"', '""')}" ("{ODD.replace('"', '""')}" PRIMARY KEY, "select" INT);
CREATE TABLE wide ({", ".join(f"c{number} INT" for number in range(300))});
CREATE VIRTUAL TABLE found USING fts5(text);
CREATE VIEW tall AS SELECT name FROM plants WHERE height > 50;
CREATE VIEW broken AS SELECT * FROM gone;
"""
LONG = "ü" * (tables.CELL_CHARS + 1)
MANY = 25  # rows of the paged tables


def make_database(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(SCHEMA)
    for number in range(1, MANY + 1):
        sql = "INSERT INTO plants (id, name, height) VALUES (?, ?, ?)"
        connection.execute(sql, (number * 10, f"plant {number}", float(number * 4)))
        pair = ("aBc"[number % 3], number // 3, number)
        connection.execute("INSERT INTO pairs VALUES (?, ?, ?)", pair)
    connection.execute("UPDATE plants SET photo = x'00ff', any = ? WHERE id = 10", (LONG,))
    connection.execute("UPDATE plants SET any = CAST(x'ff41' AS TEXT) WHERE id = 20")
    connection.execute("UPDATE plants SET any = 9007199254740993 WHERE id = 30")
    connection.commit()
    connection.close()


class Page:
    """A tab, and what it was told without asking."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.events: list[dict[str, Any]] = []

    async def ask(self, what: str, **fields: Any) -> dict[str, Any]:
        """The answer's result."""
        answer = await self._answer(what, {"path": "garden.db", **fields})
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def refused(self, what: str, **fields: Any) -> str:
        """The sentence that says no."""
        return str((await self._answer(what, {"path": "garden.db", **fields}))["error"])

    async def _answer(self, what: str, fields: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_str(json.dumps({"ask": what, "id": self._number, **fields}))
        while (value := await self.hear()).get("id") != self._number:
            self.events.append(value)
        return value

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN):
            value: dict[str, Any] = json.loads(await self._socket.receive_str())
            return value

    async def event(self) -> dict[str, Any]:
        return self.events.pop(0) if self.events else await self.hear()

    async def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        answer = await self.ask("db_rows", table=table, **where)
        rows: list[dict[str, Any]] = answer["rows"]
        return rows

    async def cell(self, table: str, key: list[Any], column: int = 0) -> Any:
        [row] = await self.rows(table, at=key, limit=1)
        assert row["key"] == key
        return row["cells"][column]


@asynccontextmanager
async def page_of(node: Node) -> AsyncIterator[Page]:
    async with WebHost(node) as web:
        base, _, token = (await web.serve(0, ()))["url"].partition("/#token=")
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{base}/ws?token={token}", max_msg_size=0) as socket,
        ):
            yield Page(socket)


@asynccontextmanager
async def garden(place: Path) -> AsyncIterator[Page]:
    """A page of a node with a live database."""
    pool = Pool(place)
    async with pool.share("alice") as node:
        make_database(node.home.state.folder / "garden.db")
        await is_live(node)
        async with page_of(node) as page:
            yield page


async def is_live(node: Node) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                await node.rows.describe("garden.db")
            except MeerkatError:  # not yet
                await asyncio.sleep(0)
            else:
                return


def test_tables_and_views_are_listed_and_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def story() -> None:
        async with garden(tmp_path) as page:
            listed = (await page.ask("db_tables"))["tables"]
            names = [one["name"] for one in listed if one["name"] != "broken"]
            facts = {name: await page.ask("db_rows", table=name) for name in names}

            assert {one["name"]: one["kind"] for one in listed} == {
                **dict.fromkeys(("plants", "nokey", "named", "pairs", ODD, "wide"), "table"),
                "found": "virtual",
                "tall": "view",
                "broken": "view",
            }
            assert [name for name, one in facts.items() if not one["table"]["editable"]] == ["tall"]
            columns = {one["name"]: one for one in facts["plants"]["table"]["columns"]}
            assert columns["id"]["key"] == 1
            assert columns["name"]["not_null"]
            assert columns["height"]["default"] == "1.5"
            assert columns["loud"]["generated"]
            assert [one["name"] for one in facts["pairs"]["table"]["columns"]] == ["x", "y", "z"]
            assert len(facts["wide"]["table"]["columns"]) == tables.SHOWN_COLUMNS
            assert facts["wide"]["table"]["hidden_columns"] == 300 - tables.SHOWN_COLUMNS
            assert facts["plants"]["count"] == MANY
            monkeypatch.setattr(tables, "COUNTED", MANY - 1)
            assert (await page.ask("db_rows", table="plants"))["count"] is None
            assert "gone" in await page.refused("db_rows", table="broken")

    run(story())


def test_pages_of_rows_join_into_the_table_both_ways(tmp_path: Path):
    async def story() -> None:
        async with garden(tmp_path) as page:
            for table in ("plants", "pairs", "tall"):
                await read_both_ways(page, table)

    run(story())


async def read_both_ways(page: Page, table: str) -> None:
    whole = await page.rows(table, limit=1000)
    for size in (1, 4, len(whole) - 1, len(whole), len(whole) + 1):
        down = await page.ask("db_rows", table=table, limit=size)
        found = down["rows"]
        while down["more"]:
            last = found[-1]["key"]
            where = {"after": last} if last else {"offset": len(found)}
            down = await page.ask("db_rows", table=table, limit=size, **where)
            found += down["rows"]
        assert found == whole
        if not whole[0]["key"]:
            continue
        up = await page.ask("db_rows", table=table, limit=size, end=True)
        found = up["rows"]
        while up["more"]:
            up = await page.ask("db_rows", table=table, limit=size, before=found[0]["key"])
            found = up["rows"] + found
        assert found == whole
    if whole[0]["key"]:
        assert await page.rows(table, at=whole[3]["key"], limit=2) == whole[3:5]


def test_cells_are_shown_as_what_they_are_and_large_ones_cut(tmp_path: Path):
    async def story() -> None:
        async with garden(tmp_path) as page:
            first, second, third = await page.rows("plants", limit=3)

            assert first["cells"][:5] == [10, "plant 1", {"real": "4.0"}, {"bytes": 2}, "PLANT 1"]
            assert first["cells"][5] == {"start": "ü" * tables.CELL_CHARS}
            assert second["cells"][3] is None
            assert second["cells"][5] == {"raw_text": "/0E="}
            assert third["cells"][5] == {"integer": "9007199254740993"}
            whole = await page.ask("db_cell", table="plants", key=[10], column="any")
            exact = await page.ask("db_cell", table="plants", key=[30], column="any")
            assert whole["value"] == LONG
            assert exact["value"] == {"integer": "9007199254740993"}

    run(story())


def test_a_cell_keeps_what_is_written_and_its_type(tmp_path: Path):
    integers = [0, -5, {"integer": "9223372036854775807"}]
    values = [None, "", "NULL", 'it\'s "so"\n', 2.5, {"real": "3.0"}, *integers]

    async def story() -> None:
        async with garden(tmp_path) as page:
            for table, key, column, number in (
                ("plants", [10], "any", 5),
                ("pairs", ["a", 1], "z", 2),
            ):
                for value in values:
                    await page.ask("db_set_cell", table=table, key=key, column=column, value=value)
                    assert await page.cell(table, key, number) == value

    run(story())


def test_rows_come_and_go_in_every_kind_of_table(tmp_path: Path):
    async def story() -> None:
        async with garden(tmp_path) as page:
            wanted: dict[str, dict[str, Any]] = {
                "plants": {"name": "fern"},
                "nokey": {},
                "named": {"code": "x", "value": 1},
                "pairs": {"x": "zz", "y": 7},
                ODD: {ODD: 5, "select": None},
                "found": {"text": "needle"},
            }
            for table, values in wanted.items():
                before = await page.ask("db_rows", table=table)
                made = await page.ask("db_insert_row", table=table, values=values)
                key = made["key"] or [1]
                [row] = await page.rows(table, at=key, limit=1)
                assert row["key"] == key, table
                for column, value in values.items():
                    names = [one["name"] for one in before["table"]["columns"]]
                    assert row["cells"][names.index(column)] == value, table
                await page.ask("db_delete_row", table=table, key=key)
                assert (await page.ask("db_rows", table=table))["count"] == before["count"], table
            default = await page.ask("db_insert_row", table="plants", values={"name": "fern"})
            assert await page.cell("plants", default["key"], 2) == 1.5

    run(story())


def test_what_cannot_be_is_refused_with_a_sentence_and_nothing_is_written(tmp_path: Path):
    async def story() -> None:
        async with garden(tmp_path) as page:
            before = await page.rows("plants", limit=1000)
            cell = {"table": "plants", "key": [10], "column": "name", "value": "x"}
            refusals: list[tuple[str, dict[str, Any], str]] = [
                ("db_rows", {"table": "gone"}, "no table"),
                ("db_rows", {"table": "sqlite_master"}, "no table"),
                ("db_rows", {"table": 'plants"; DROP TABLE plants; --'}, "no table"),
                ("db_rows", {"table": "pairs", "after": [1]}, "another key"),
                ("db_set_cell", {**cell, "key": [11]}, "not there any more"),
                ("db_set_cell", {**cell, "key": ["10", 5]}, "another key"),
                ("db_set_cell", {**cell, "column": "no"}, "no column"),
                ("db_set_cell", {**cell, "column": 'name" = 1 --'}, "no column"),
                ("db_set_cell", {**cell, "column": "loud"}, "computed"),
                ("db_set_cell", {**cell, "value": None}, "NOT NULL"),
                ("db_set_cell", {**cell, "value": {"blob": "?"}}, "base64"),
                ("db_set_cell", {**cell, "value": [1]}, "none of them"),
                ("db_set_cell", {**cell, "value": {"integer": "9223372036854775808"}}, "64 bits"),
                ("db_insert_row", {"table": "plants", "values": {}}, "NOT NULL"),
                ("db_insert_row", {"table": "tall", "values": {"name": "x"}}, "view"),
                ("db_delete_row", {"table": "plants", "key": [11]}, "not there any more"),
                ("db_delete_row", {"table": "tall", "key": [1]}, "view"),
                ("db_cell", {"table": "plants", "key": [11], "column": "name"}, "not there"),
                ("db_query", {"sql": "SELECT 1"}, "not for a page"),
                ("db_exec", {"sql": "DELETE FROM plants"}, "not for a page"),
                ("db_off", {}, "not for a page"),
                ("db_tables", {"path": "../store.db"}, "no live database"),
                ("db_tables", {"path": ".meerkat/store.db"}, "no live database"),
            ]
            for what, fields, words in refusals:
                assert words in await page.refused(what, **fields), (what, fields)
            assert await page.rows("plants", limit=1000) == before

    run(story())


def test_a_watched_table_tells_what_any_program_changes(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with pool.share("alice") as alice:
            make_database(alice.home.state.folder / "garden.db")
            await is_live(alice)
            async with pool.join("bob", alice) as bob:
                await is_live(bob)
                async with page_of(alice) as page:
                    await page.ask("db_watch", watch=7, table="plants")
                    assert "another number" in await page.refused("db_watch", watch=7, table="")
                    file = bob.home.state.folder / "garden.db"
                    await asyncio.to_thread(
                        change, file, "UPDATE plants SET name = 'x' WHERE id = 10"
                    )
                    told = await page.event()
                    written = await page.ask("db_history", table="plants", key=[10])
                    await page.ask("db_unwatch", watch=7)
                    await page.ask("db_watch", watch=8, table="nokey")
                    await asyncio.to_thread(change, file, "DELETE FROM plants WHERE id = 20")
                    await asyncio.to_thread(change, file, "INSERT INTO nokey VALUES (1, 2)")
                    last = await page.event()

        [row] = told["changes"]
        assert (told["event"], told["watch"], told["again"]) == ("rows", 7, False)
        assert (row["table"], row["operation"], row["key"]) == ("plants", "update", [10])
        assert (row["old"]["name"], row["new"]["name"], row["name"]) == ("plant 1", "x", "bob")
        assert {one["column"]: one["name"] for one in written["cells"]}["name"] == "bob"
        assert (last["watch"], last["changes"][0]["new"]) == (8, {"a": 1, "b": 2})

    run(story())


def test_a_database_that_cannot_be_live_says_why(tmp_path: Path):
    async def story() -> None:
        async with Pool(tmp_path).share("alice") as node, page_of(node) as page:
            file = node.home.state.folder / "garden.db"
            change(file, "CREATE TABLE meerkat_taken (a)")
            await until(
                lambda: any(one["path"] == "garden.db" for one in node.describe()["problems"]),
                "it is refused",
            )

            assert "ordinary file" in await page.refused("db_tables")
            assert "db list" in await page.refused("db_tables", path="other.db")

    run(story())


def change(file: Path, sql: str) -> None:
    """As any program does."""
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(sql)
    connection.close()
