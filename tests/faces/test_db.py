"""Live databases by command and by program, on two real peers that share one SQLite file."""

from __future__ import annotations

import asyncio
import io
import json
import os
import select
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import meerkat as meerkat_api
from meerkat.api.database import READS, Row, path_in
from meerkat.cli.db_values import csv_line, json_line, parameters, shown, value_of
from meerkat.cli.db_views import change_lines, conflict_lines
from meerkat.cli.demo_peer import DemoPeer, wait_for
from meerkat.cli.main import cli, run
from meerkat.cli.printing import Printing
from meerkat.control import schema
from meerkat.control.cells import RawText, Scalar, from_json, to_json
from meerkat.control.client import ControlClient
from meerkat.errors import MeerkatError
from meerkat.node.home import StateFolder
from tests.faces.conftest import ENDS_WITHIN, SOURCE, MakePeer, Meerkat

SOON = 30.0
SCHEMA = """
CREATE TABLE beds (id INTEGER PRIMARY KEY, title TEXT UNIQUE NOT NULL);
CREATE TABLE plants (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, bed INTEGER REFERENCES beds (id), height REAL,
    photo BLOB
);
CREATE TABLE seeds (species TEXT, year INT, grams REAL, PRIMARY KEY (species, year)) WITHOUT ROWID;
CREATE VIEW tall AS SELECT name FROM plants WHERE height > 50;
INSERT INTO beds (title) VALUES ('wall'), ('pond');
INSERT INTO plants VALUES (1, 'bean', 1, 1.0, x'00ff'), (2, 'mint', 2, NULL, '');
INSERT INTO seeds VALUES ('bean', 2025, 2.5);
"""


def make_database(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(SCHEMA)
    connection.close()


class Pair:
    """Alice and bob, and a database that both have: a new one for each test."""

    def __init__(self, alice: DemoPeer, bob: DemoPeer, path: str) -> None:
        self.alice, self.bob, self.path = alice, bob, path
        make_database(alice.folder / path)
        for peer in (alice, bob):
            self.wait_live(peer)

    @property
    def files(self) -> tuple[Path, Path]:
        return self.alice.folder / self.path, self.bob.folder / self.path

    def is_live(self, peer: DemoPeer) -> bool:
        try:
            return not ask(peer, schema.DbStatus(path=self.path))["problem"]
        except MeerkatError:
            return False

    def wait_live(self, peer: DemoPeer) -> None:
        wait_for(lambda: self.is_live(peer), f"{peer.name} has {self.path}", within=SOON)

    def select(self, peer: DemoPeer, sql: str) -> list[list[Any]]:
        rows: list[list[Any]] = ask(peer, schema.DbQuery(path=self.path, sql=sql))["rows"]
        return rows

    def wait_rows(self, peer: DemoPeer, sql: str, rows: list[list[Any]]) -> None:
        wait_for(lambda: self.select(peer, sql) == rows, f"{peer.name} has {rows}", within=SOON)

    def kept_out(self, peer: DemoPeer) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(peer, schema.DbConflicts(path=self.path))["conflicts"]
        return found

    def wait_kept_out(self, peer: DemoPeer) -> None:
        wait_for(lambda: len(self.kept_out(peer)) == 1, f"{peer.name} shows it", within=SOON)


@pytest.fixture
def meerkat(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Meerkat:
    """Run a command in this process: starting one for each would take longer than all the rest."""

    def run_here(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = run([str(one) for one in arguments])
        said = capsys.readouterr()
        return subprocess.CompletedProcess([], code, said.out, said.err)

    return run_here


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DemoPeer, DemoPeer]]:
    place = tmp_path_factory.mktemp("peers")
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        alice, bob = DemoPeer("alice", place), DemoPeer("bob", place)
        try:
            invitation = alice.start("share")["invitation"]
            bob.start("join", invitation)
            yield alice, bob
        finally:
            bob.stop()
            alice.stop()


@pytest.fixture
def pair(peers: tuple[DemoPeer, DemoPeer], request: pytest.FixtureRequest) -> Pair:
    return Pair(*peers, f"{request.node.name}.db")


def ask(peer: DemoPeer, request: schema.Request) -> dict[str, Any]:
    with ControlClient(StateFolder(peer.folder).control_socket()) as client:
        return client.ask(request)


# --- Values ---


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        (None, None),
        ("", ""),
        ("ünï\u2028", "ünï\u2028"),
        (0, 0),
        (-7, -7),
        (2**53 - 1, 2**53 - 1),
        (2**53, {"integer": "9007199254740992"}),
        (-(2**63), {"integer": "-9223372036854775808"}),
        (1.5, 1.5),
        (1.0, {"real": "1.0"}),
        (-0.0, {"real": "-0.0"}),
        (float("inf"), {"real": "inf"}),
        (b"\x00\xff", {"blob": "AP8="}),
        (RawText(b"\xff"), {"raw_text": "/w=="}),
    ],
)
def test_cells_come_back_as_what_they_were(value: Scalar, carried: Any):
    assert to_json(value) == carried
    back = from_json(json.loads(json.dumps(carried)))
    assert (type(back), repr(back)) == (type(value), repr(value))


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {},
        {"blob": "?"},
        {"blob": 5},
        {"integer": "1" * 30},
        {"integer": "x"},
        {"real": "x"},
        {"blob": "", "integer": "1"},
        2**63,
        {"integer": str(2**63)},
    ],
)
def test_what_is_no_cell_is_refused(wrong: Any):
    with pytest.raises(MeerkatError):
        from_json(wrong)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("NULL", None),
        ("null", None),
        ("42", 42),
        ("-1", -1),
        ("99999999999999999999", 1e20),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'42'", "42"),
        ("'it''s'", "it's"),
        ("x'00FF'", b"\x00\xff"),
        ("x'0'", "x'0'"),
        ("bean", "bean"),
        ("", ""),
    ],
)
def test_words_on_the_command_line_as_values(word: str, value: Scalar):
    assert (value_of(word), type(value_of(word))) == (value, type(value))


def test_parameters_by_name_or_in_order():
    assert parameters((), ["a=1", ":b=x=y", "c="]) == {"a": 1, "b": "x=y", "c": ""}
    assert parameters(("1", "x"), ()) == (1, "x")
    for words, named in ((("1",), ["a=1"]), ((), ["=1"]), ((), ["1=1"])):
        with pytest.raises(ValueError, match=r"NAME=VALUE|not both"):
            parameters(words, named)


def test_rows_as_csv_and_json():
    row = (
        None,
        "",
        "a,b",
        'say "x"',
        "two\nlines",
        " pad",
        b"\x00\xff",
        1,
        1.0,
        "x",
        RawText(b"\xff"),
    )

    assert csv_line(row) == (',"","a,b","say ""x""","two\nlines"," pad",X\'00FF\',1,1.0,x,\ufffd')
    columns = ["a", "a", "a", "b", "c"]
    line = json_line(columns, (1, 2**63 - 1, float("-inf"), b"\x00", "\u2028"))
    assert line == (
        '{"a":1,"a:2":9223372036854775807,"a:3":-9e999,"b":{"blob":"AA=="},"c":"\\u2028"}'
    )
    assert json.loads(line)["a:3"] == float("-inf")
    assert [shown(one) for one in (None, b"123", "a\x1b[2Jb")] == ["NULL", "3 bytes", "a\ufffd[2Jb"]


def test_changes_and_conflicts_for_people():
    row: dict[str, Any] = {"id": 3, "name": "fig\n", "height": {"real": "1.0"}}
    change: dict[str, Any] = {"table": "plants", "key": [3], "author": "", "name": ""}
    event = {
        "changes": [
            {**change, "operation": "insert", "old": None, "new": row},
            {
                **change,
                "operation": "update",
                "old": row,
                "new": {**row, "name": None},
                "name": "bob",
            },
            {**change, "operation": "delete", "old": {"id": 3}, "new": None},
        ],
        "again": True,
    }
    conflict = {"table": "beds", "values": {"id": 4, "title": "a\x1b"}, "reason": "taken"}

    assert list(change_lines(event)) == [
        "insert plants 3: id = 3, name = fig , height = 1.0",
        "update plants 3: name = NULL (was fig )  (by bob)",
        "delete plants 3: id = 3",
        "Some changes were left out; read the table again.",
    ]
    assert list(conflict_lines([{**conflict, "name": "bob", "wall_ms": 2**53}])) == [
        "beds: taken, by bob, at no time",
        "  id = 4",
        "  title = a\ufffd",
    ]
    assert list(conflict_lines([])) == ["No row is set aside."]


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT 1", True),
        (" \n-- note\n/* more; */ select * from t;\n", True),
        ("VALUES (1)", True),
        ("EXPLAIN DELETE FROM t", True),
        ("SELECTION", False),
        ("SELECT 1; DELETE FROM t", False),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", False),
        ("/* a */ DELETE FROM t /* b */ SELECT", False),
        ("-- SELECT 1", False),
        (" " * 10_000 + "DELETE FROM t", False),
        ("/*" * 10_000, False),
        ("", False),
    ],
)
def test_what_only_reads_takes_no_lock(sql: str, reads: bool):
    assert bool(READS.fullmatch(sql)) == reads


def test_a_row_is_a_tuple_with_names(tmp_path: Path):
    row = Row(("id", "name"), (1, "bean"))

    assert tuple(row) == (1, "bean")
    assert (row["name"], row[0], row[-1:], dict(row)) == (
        "bean",
        1,
        ("bean",),
        {"id": 1, "name": "bean"},
    )
    with pytest.raises(KeyError):
        row["no"]
    assert path_in(tmp_path, tmp_path / "a" / "b.db") == path_in(tmp_path, "a/b.db") == "a/b.db"
    with pytest.raises(MeerkatError, match="outside"):
        path_in(tmp_path / "a", tmp_path / "b.db")


# --- Mistakes ---


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["query", "x.db", "SELECT 1", "--csv", "--json"], "two forms"),
        (["query", "x.db", "SELECT 1", "5", "-p", "a=1"], "not both"),
        (["exec", "x.db", "SELECT 1", "-p", "a"], "NAME=VALUE"),
        (["history", "x.db", "t"], "Missing argument"),
    ],
)
def test_command_lines_that_make_no_sense(arguments: list[str], words: str):
    result = CliRunner().invoke(cli, ["db", *arguments], obj=Printing())

    assert (result.exit_code, words in result.output) == (2, True), result.output


def test_without_a_process_it_says_how_to_start_one(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    make_database(alice.folder / "garden.db")
    file = alice.folder / "garden.db"
    apart = meerkat("db", "query", file, "SELECT 1")
    alice.start("share")
    outside = meerkat("db", "status", alice.folder / ".meerkat" / "store.db")
    alice.stop()

    stopped = meerkat("db", "query", file, "SELECT 1")

    assert (apart.returncode, stopped.returncode, outside.returncode) == (3, 4, 3)
    assert "meerkat share" in apart.stderr
    assert "Start it with `meerkat up`." in stopped.stderr
    assert "belongs to meerkat" in outside.stderr


# --- By command ---


def test_list_and_status_and_what_is_no_database(pair: Pair, meerkat: Meerkat):
    alice, _ = pair.files
    (pair.alice.folder / "notes.txt").write_text("hello")

    listed = meerkat("db", "list", pair.alice.folder)
    told = json.loads(meerkat("db", "status", alice, "--json").stdout)
    status = meerkat("db", "status", alice)
    wrong = meerkat("db", "query", pair.alice.folder / "notes.txt", "SELECT 1")

    assert [pair.path, "live"] in [line.split() for line in listed.stdout.splitlines()]
    assert [(one["name"], one["rows"]) for one in told["tables"] if one["name"] == "plants"] == [
        ("plants", 2)
    ]
    assert "plants: 5 columns, 2 rows" in status.stdout
    assert (wrong.returncode, "notes.txt" in wrong.stderr) == (1, True)


def wait_state(peer: DemoPeer, path: str, state: str) -> None:
    def is_so() -> bool:
        listed = ask(peer, schema.DbList())["databases"]
        return any((one["path"], one["state"]) == (path, state) for one in listed)

    wait_for(is_so, f"{path} is {state} at {peer.name}", within=SOON)


def test_what_cannot_be_live_is_listed_with_the_reason(pair: Pair, meerkat: Meerkat):
    file = pair.alice.folder / f"refused-{pair.path}"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE meerkat_mine (a)")
    connection.close()
    wait_state(pair.alice, file.name, "refused")

    listed = meerkat("db", "list", pair.alice.folder)
    status = meerkat("db", "status", file)
    told = json.loads(meerkat("db", "status", file, "--json").stdout)

    (line,) = (line for line in listed.stdout.splitlines() if line.startswith("refused-"))
    assert "refused: " in line
    assert status.returncode == 0
    assert "names that begin with meerkat_" in status.stdout
    assert (told["state"], told["tables"]) == ("refused", [])
    assert told["problem"] in status.stdout


def test_a_rule_stops_it_and_its_end_brings_all_together(pair: Pair, meerkat: Meerkat):
    alice, bob = pair.files
    rules = pair.alice.folder / ".meerkatignore"
    taken = pair.alice.status()["content_bytes"]
    assert taken >= alice.stat().st_size
    with sqlite3.connect(alice) as program:  # which keeps it open
        rules.write_text(f"{pair.path}\n")
        for peer in (pair.alice, pair.bob):
            wait_state(peer, pair.path, "ignored")
        program.execute("INSERT INTO plants (name) VALUES ('alice''s')")
    program.close()
    with sqlite3.connect(bob) as other:
        other.execute("INSERT INTO plants (name) VALUES ('bob''s')")
    other.close()

    status = meerkat("db", "status", alice)
    query = meerkat("db", "query", alice, "SELECT 1")
    off = meerkat("db", "off", alice)
    assert (status.returncode, "A rule of this folder ignores it" in status.stdout) == (0, True)
    assert (query.returncode, "A rule of this folder ignores it" in query.stderr) == (1, True)
    assert (off.returncode, "is ignored here" in off.stderr) == (1, True)
    rules.unlink()
    for peer in (pair.alice, pair.bob):
        pair.wait_live(peer)
    names = "SELECT name FROM plants ORDER BY name"
    for peer in (pair.alice, pair.bob):
        pair.wait_rows(peer, names, [["alice's"], ["bean"], ["bob's"], ["mint"]])


def test_a_query_in_three_forms(pair: Pair, meerkat: Meerkat):
    alice, _ = pair.files
    sql = "SELECT * FROM plants WHERE id >= ? ORDER BY id"

    table = meerkat("db", "query", alice, sql, 1)
    csv = meerkat("db", "query", alice, sql, 1, "--csv")
    lines = meerkat("db", "query", alice, sql, 1, "--json")
    by_name = "SELECT id FROM plants WHERE name = :n"
    named = meerkat("db", "query", alice, "-", "-p", "n=mint", "--csv", stdin=by_name)
    few = meerkat("db", "query", alice, sql, 1, "--limit", 1, "--csv")

    assert [line.split() for line in table.stdout.splitlines()] == [
        ["id", "name", "bed", "height", "photo"],
        ["1", "bean", "1", "1.0", "2", "bytes"],
        ["2", "mint", "2", "NULL"],
    ]
    assert csv.stdout == "id,name,bed,height,photo\n1,bean,1,1.0,X'00FF'\n2,mint,2,,\"\"\n"
    assert [json.loads(line) for line in lines.stdout.splitlines()] == [
        {"id": 1, "name": "bean", "bed": 1, "height": 1.0, "photo": {"blob": "AP8="}},
        {"id": 2, "name": "mint", "bed": 2, "height": None, "photo": ""},
    ]
    assert named.stdout == "id\n2\n"
    assert (len(few.stdout.splitlines()), "only the first 1 row" in few.stderr) == (2, True)


def test_what_one_writes_the_other_reads_and_who_wrote_it(pair: Pair, meerkat: Meerkat):
    alice, bob = pair.files

    wrote = meerkat("db", "exec", alice, "INSERT INTO plants (name, bed) VALUES (?, ?)", "kale", 1)
    pair.wait_rows(pair.bob, "SELECT id, name FROM plants WHERE id = 3", [[3, "kale"]])
    grow = "UPDATE plants SET height = :h WHERE id = 3"
    changed = meerkat("db", "exec", bob, grow, "-p", "h=9.5", "--json")
    pair.wait_rows(pair.alice, "SELECT height FROM plants WHERE id = 3", [[9.5]])
    history = meerkat("db", "history", alice, "plants", 3, "--json")

    assert wrote.stdout == "1 row changed.\n"
    assert json.loads(changed.stdout) == {"changed": 1}
    who = {one["column"]: one["name"] for one in map(json.loads, history.stdout.splitlines())}
    assert (who["name"], who["height"]) == ("alice", "bob")


def test_reading_cannot_write_and_writing_is_all_or_nothing(pair: Pair, meerkat: Meerkat):
    alice, _ = pair.files

    sly = meerkat("db", "query", alice, "DELETE FROM plants")
    half = meerkat("db", "exec", alice, "DELETE FROM seeds; INSERT INTO plants (id) VALUES (9)")
    beyond = meerkat("db", "exec", alice, "ATTACH 'other.db' AS other")

    assert (sly.returncode, half.returncode, beyond.returncode) == (1, 1, 1)
    assert "NOT NULL" in half.stderr
    assert pair.select(pair.alice, "SELECT count(*) FROM plants") == [[2]]
    assert pair.select(pair.alice, "SELECT count(*) FROM seeds") == [[1]]


def test_off_and_on_again(pair: Pair, meerkat: Meerkat):
    alice, bob = pair.files

    assert meerkat("db", "off", alice).returncode == 0
    wait_for(lambda: not pair.is_live(pair.bob), "bob hears of it", within=SOON)
    assert meerkat("db", "query", bob, "SELECT 1").returncode == 1
    # Not before bob's folder holds the file; until then it says so.
    wait_for(lambda: meerkat("db", "on", bob).returncode == 0, "on again", within=SOON)
    for peer in (pair.alice, pair.bob):
        pair.wait_live(peer)

    assert pair.select(pair.alice, "SELECT name FROM plants ORDER BY id") == [["bean"], ["mint"]]


# --- Watching ---


@pytest.fixture
def watching() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "meerkat", "db", "watch", *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], ENDS_WITHIN)[0]
    return process.stdout.readline()


def test_watch_tells_what_anybody_changes(
    pair: Pair, watching: Callable[..., subprocess.Popen[str]]
):
    alice, bob = pair.files
    watch = watching(alice, "plants", "--json")
    assert json.loads(next_line(watch)) == {
        "event": "watching",
        "path": pair.path,
        "table": "plants",
    }

    connection = sqlite3.connect(bob)  # any program
    with connection:
        connection.execute("UPDATE plants SET height = 3.0 WHERE name = 'mint'")
    connection.close()
    told = json.loads(next_line(watch))

    assert (told["operation"], told["key"], told["name"]) == ("update", [2], "bob")
    assert (told["old"]["height"], told["new"]["height"]) == (None, {"real": "3.0"})


# --- By program ---


def test_the_python_api(pair: Pair):
    async def story() -> None:
        async with (
            meerkat_api.Pool(pair.alice.folder) as alice,
            meerkat_api.Pool(pair.bob.folder) as bob,
        ):
            here, there = alice.database(pair.path), bob.database(pair.files[1])
            changes = there.watch("plants")
            everything = there.changes()
            await changes.wait_listening()
            await everything.wait_listening()

            done = await here.execute(
                "INSERT INTO beds (title) VALUES ('tub'); "
                "INSERT INTO plants (name, bed, photo) VALUES (:name, 3, :photo)",
                {"name": "fig", "photo": bytearray(b"\x00")},
            )
            async with asyncio.timeout(SOON):
                change = await anext(changes)
                told = {(await anext(everything)).table for _ in range(2)}
            rows = await there.execute("SELECT * FROM plants WHERE name = ?", ["fig"])

            assert done.changed == 2
            assert (change.operation, change.name) == ("insert", "alice")
            assert change.new == {
                "id": 3, "name": "fig", "bed": 3, "height": None, "photo": b"\x00"
            }  # fmt: skip
            assert told == {"beds", "plants"}
            assert [tuple(row) for row in rows] == [(3, "fig", 3, None, b"\x00")]
            assert rows[0]["name"] == "fig"
            assert rows.columns == ("id", "name", "bed", "height", "photo")
            assert {one.name for one in await there.history("plants", 3)} == {"alice"}
            assert await there.conflicts() == []
            assert (await there.status())["path"] == pair.path
            many = (
                "INSERT INTO beds (title) WITH RECURSIVE n (i) AS "
                "(SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT i || ? FROM n"
            )
            await here.execute(many, [40, "x" * 10_000])
            async with asyncio.timeout(SOON):
                assert {(await anext(everything)).operation for _ in range(40)} == {"insert"}
                await here.execute(many, [2_000, "y"])
                assert (await anext(everything)).operation == "reload"
            with pytest.raises(MeerkatError, match="LIMIT"):
                await there.execute("SELECT * FROM plants", limit=1)
            with pytest.raises(MeerkatError, match="no such table"):
                await there.execute("SELECT * FROM nowhere")
            with pytest.raises(TypeError):
                await there.execute("SELECT ?", [object()])  # type: ignore[list-item]

    asyncio.run(story())


def test_the_python_api_without_asyncio(pair: Pair):
    with meerkat_api.SyncPool(pair.alice.folder) as pool:
        database = pool.database(pair.path)
        changes = database.watch("seeds", within=SOON)

        database.execute("INSERT INTO seeds VALUES ('pea', 2026, 1.5)")
        change = next(changes)

        assert (change.key, change.new) == (
            ("pea", 2026),
            {"species": "pea", "year": 2026, "grams": 1.5},
        )
        assert database.execute("SELECT count(*) FROM seeds") == [(2,)]
        assert database.conflicts() == []
        assert [one.column for one in database.history("seeds", "pea", 2026)] == [
            "species",
            "year",
            "grams",
        ]


def test_a_row_that_a_constraint_keeps_out_is_shown(pair: Pair, meerkat: Meerkat):
    alice, bob = pair.files
    cut = ask(pair.bob, schema.GetStatus())["member"]
    ask(pair.alice, schema.Cut(members=(cut,)))
    for file in (alice, bob):
        said = meerkat("db", "exec", file, "INSERT INTO beds (title) VALUES ('new')")
        assert said.returncode == 0, said.stderr
    ask(pair.alice, schema.Heal())

    for peer in (pair.alice, pair.bob):
        pair.wait_kept_out(peer)
    said = meerkat("db", "conflicts", bob)

    [row] = pair.kept_out(pair.alice)
    assert pair.kept_out(pair.bob) == [row]
    assert row["values"]["title"] == "new"
    assert "title = new" in said.stdout
    assert pair.select(pair.bob, "SELECT title FROM beds") == [["wall"], ["pond"], ["new"]]
