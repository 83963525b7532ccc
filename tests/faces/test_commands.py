"""What a person can do wrong, each answered by a sentence and an exit code, and nothing lost."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from meerkat.cli.demo_peer import wait_for
from meerkat.cli.main import COMMANDS, cli, run
from meerkat.cli.printing import Printing, byte_size, count
from tests.faces.conftest import MakePeer, Meerkat

SOON = 20.0


def ask(*arguments: str) -> tuple[int, str]:
    """Run in this process, without a terminal."""
    result = CliRunner().invoke(cli, list(arguments), obj=Printing())
    return result.exit_code, result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str):
    code, text = ask(command, "--help")

    assert code == 0
    assert "Usage:" in text
    assert command in ask("--help")[1]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["share", "{}/missing"], 3, "missing"),
        (["share", "{}/a file"], 3, "not a folder"),
        (["up", "{}"], 3, "not a meerkat folder yet"),
        (["status", "{}"], 3, "not a meerkat folder yet"),
        (["stop", "{}"], 3, "not a meerkat folder yet"),
        (["invite", "{}"], 3, "not a meerkat folder yet"),
        (["rebuild", "{}"], 3, "not a meerkat folder yet"),
        (["join", "hello", "{}/new"], 5, "not a meerkat invitation"),
        (["join", "meerkat1:AAAA", "{}/new"], 5, "damaged"),
        (["join", "meerkat9:AAAA", "{}/new"], 5, "newer"),
        (["share", "{}", "--listen", "nonsense:x"], 1, "HOST:PORT"),
        (["share", "{}", "--no-listen", "--port", "1"], 2, "contradicts"),
        (["share", "{}", "--expires", "soon"], 2, "no duration"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_mistakes_get_a_sentence_and_an_exit_code(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    exit_code: int,
    words: str,
):
    (tmp_path / "a file").write_text("x")

    code = run([argument.format(tmp_path) for argument in arguments])

    said = capfd.readouterr().err
    assert code == exit_code
    assert words in said
    assert "Traceback" not in said
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "a file").read_text() == "x"


def test_errors_are_json_too_if_that_was_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    code = run(["up", str(tmp_path), "--json"])

    said = capfd.readouterr()
    event = json.loads(said.out)
    assert code == event["exit_code"] == 3
    assert event["event"] == "error"
    assert event["error"] in said.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)

    assert run(["share", str(tmp_path)]) == 3
    assert "may not" in capfd.readouterr().err


def test_one_process_for_one_folder(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    ready = alice.start("share")

    second = meerkat("up", alice.folder, "--json")

    assert second.returncode == 4
    assert str(ready["pid"]) in second.stderr
    assert alice.status()["running"]


def test_a_folder_inside_a_pool_s_folder_or_around_it(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    inside = alice.folder / "inside"
    inside.mkdir()
    alice.start("share")

    nested = meerkat("share", inside)
    around = meerkat("share", alice.folder.parent)

    assert (nested.returncode, around.returncode) == (3, 3)
    assert str(alice.folder) in nested.stderr
    assert str(alice.folder) in around.stderr
    assert not (inside / ".meerkat").exists()
    assert not (alice.folder.parent / ".meerkat").exists()


def test_a_taken_port_is_said_and_the_default_moves_on(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        taken = meerkat("share", alice.folder, "--listen", "127.0.0.1", "--port", port)

    assert taken.returncode == 6
    assert str(port) in taken.stderr


def test_an_invitation_of_a_pool_that_is_gone(peer: MakePeer, meerkat: Meerkat, tmp_path: Path):
    alice = peer("alice")
    ready = alice.start("share")
    alice.stop()

    late = meerkat("join", "-", tmp_path / "late", "--json", stdin=ready["invitation"] + "\n")

    assert late.returncode == 1
    assert "Nobody opens" in late.stderr
    assert not (tmp_path / "late").exists()


def test_an_invitation_that_is_used_up(peer: MakePeer, meerkat: Meerkat, tmp_path: Path):
    alice, bob = peer("alice"), peer("bob")
    ready = alice.start("share", "--uses", "1")
    bob.start("join", ready["invitation"])

    late = meerkat("join", "-", tmp_path / "late", stdin=ready["invitation"])

    assert late.returncode == 5
    assert "used up" in late.stderr
    assert not (tmp_path / "late").exists()


def test_a_folder_of_another_pool_is_not_joined(peer: MakePeer, meerkat: Meerkat):
    alice, bob = peer("alice"), peer("bob")
    ready = alice.start("share")
    bob.start("share")
    bob.stop()

    other = meerkat("join", "-", bob.folder, stdin=ready["invitation"])

    assert other.returncode == 3
    assert "another pool" in other.stderr


def test_the_invitation_can_stay_out_of_the_process_list(
    peer: MakePeer, monkeypatch: pytest.MonkeyPatch
):
    alice, bob = peer("alice"), peer("bob")
    ready = alice.start("share")
    monkeypatch.setenv("MEERKAT_INVITATION", ready["invitation"])

    assert ask("join", "--help")[1].count("MEERKAT_INVITATION")
    monkeypatch.delenv("MEERKAT_INVITATION")
    bob.start("join", ready["invitation"])
    wait_for(lambda: bool(bob.status()["peers"]), "bob is in", within=SOON)


def test_status_and_stop_with_and_without_a_process(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    (alice.folder / "notes.txt").write_text("hello\n")
    alice.start("share")
    wait_for(lambda: alice.status()["files"] == 1, "the file is known", within=SOON)
    running = json.loads(meerkat("status", alice.folder, "--json").stdout)

    stopped = meerkat("stop", alice.folder)

    assert (stopped.returncode, stopped.stdout) == (0, "Stopped.\n")
    resting = json.loads(meerkat("status", alice.folder, "--json").stdout)
    assert (running["running"], resting["running"]) == (True, False)
    assert resting["files"] == 1
    assert resting["heads"] == running["heads"]
    again = meerkat("stop", alice.folder)
    assert again.returncode == 4
    assert "meerkat up" in again.stderr
    assert "not running" in meerkat("status", alice.folder).stdout


def test_in_the_background(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    alice.start("share")
    alice.stop()

    started = meerkat("up", alice.folder, "--detach", "--listen", "127.0.0.1:0", "--json")
    try:
        assert started.returncode == 0, started.stderr
        pid = json.loads(started.stdout)["pid"]
        status = json.loads(meerkat("status", alice.folder, "--json").stdout)
        assert (status["running"], status["pid"]) == (True, pid)
        twice = meerkat("up", alice.folder, "--detach")
        assert twice.returncode != 0
        assert str(pid) in twice.stderr
    finally:
        assert meerkat("stop", alice.folder).returncode == 0


def test_a_background_process_gets_the_options_as_they_were_understood():
    from meerkat.cli.detach import spelled_options
    from meerkat.cli.up import command

    given = ["-qd", "--port", "7", "-h", "--name=-odd name"]
    given += ["--advertise", "a.example:1", "--advertise=b.example:2", "--no-discover", "here"]
    given.remove("-h")
    with command.make_context("up", given, obj=Printing()) as context:
        spelled = spelled_options(context)

    assert spelled == [
        *("--name=-odd name", "--port=7", "--advertise=a.example:1", "--advertise=b.example:2"),
        "--no-discover",
        "--quiet",
    ]
    assert ask("up", "--detach", "--ready-fd", "1")[0] == 2


def test_short_options_in_one_word_start_one_process(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    alice.start("share")
    alice.stop()

    started = meerkat("up", "-qd", "--listen", "127.0.0.1:0", "--name", "alicia", alice.folder)
    try:
        assert started.returncode == 0, started.stderr
        assert "You are alice to the others, not alicia" in started.stderr
        status = json.loads(meerkat("status", alice.folder, "--json").stdout)
        assert (status["running"], status["name"]) == (True, "alice")
        assert meerkat("up", "-dq", alice.folder).returncode == 4
    finally:
        assert meerkat("stop", alice.folder).returncode == 0


def test_a_name_is_fixed_by_the_first_share_or_join(peer: MakePeer):
    alice, bob = peer("alice"), peer("bob")
    ready = alice.start("share")
    bob.start("join", ready["invitation"])
    bob.stop()
    (bob.folder / ".meerkat" / "config.toml").write_text('name = "rob"\n')

    bob.name = "robert"  # what start() says as --name
    bob.start("up")

    wait_for(lambda: bool(alice.status()["peers"]), "they are linked", within=SOON)
    assert bob.status()["name"] == alice.status()["peers"][0]["name"] == "bob"
    assert "not robert" in (bob.folder.parent / "bob.err").read_text()


def test_join_makes_the_folders_above_and_leaves_none_behind(
    peer: MakePeer, meerkat: Meerkat, tmp_path: Path
):
    alice, bob = peer("alice"), peer("bob")
    ready = alice.start("share")
    bob.folder = tmp_path / "a" / "b" / "c"
    bob.start("join", ready["invitation"])
    assert bob.status()["folder"] == str(bob.folder)
    alice.stop()

    late = meerkat("join", "-", tmp_path / "d" / "e" / "f", stdin=ready["invitation"])

    assert late.returncode == 1
    assert not (tmp_path / "d").exists()
    assert meerkat("join", ready["invitation"], bob.folder / "g" / "h").returncode == 3
    assert not (bob.folder / "g").exists()


def test_doctor(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    alice.start("share")

    well = meerkat("doctor", alice.folder)

    assert well.returncode == 0, well.stdout
    assert "ok   store" in well.stdout
    alice.stop()
    store = alice.folder / ".meerkat" / "store.db"
    store.write_bytes(b"garbage" * 1000)
    ill = meerkat("doctor", alice.folder)
    assert ill.returncode == 1
    assert "meerkat rebuild" in ill.stdout


def test_a_damaged_store_says_rebuild_and_that_brings_everything_back(
    peer: MakePeer, meerkat: Meerkat
):
    alice, bob = peer("alice"), peer("bob")
    (alice.folder / "notes.txt").write_text("hello\n")
    (alice.folder / "x.log").write_text("alice's\n")
    ready = alice.start("share")
    bob.start("join", ready["invitation"])
    wait_for(lambda: bob.has("notes.txt", "hello"), "bob has it", within=SOON)
    wait_for(lambda: bob.has("x.log", "alice's"), "bob has the log", within=SOON)
    (alice.folder / ".meerkatignore").write_text("*.log\n")
    wait_for(lambda: bob.has(".meerkatignore", "*.log"), "bob has the rule", within=SOON)
    bob.stop()
    (bob.folder / "x.log").write_text("bob's own\n")
    (bob.folder / ".meerkat" / "store.db").write_bytes(b"garbage" * 1000)
    (bob.folder / "unsent.txt").write_text("only bob has this\n")

    refused = meerkat("up", bob.folder, "--listen", "127.0.0.1:0")
    lost = meerkat("rebuild", bob.folder)
    rebuilt = meerkat("rebuild", bob.folder, "--from", "-", stdin=ready["invitation"])

    assert refused.returncode == 7
    assert "meerkat rebuild" in refused.stderr
    assert lost.returncode == 1
    assert "--from INVITATION" in lost.stderr
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert rebuilt.stderr == ""
    assert (bob.folder / ".meerkat" / "store.db.damaged-1").exists()
    bob.start("up")
    assert bob.status()["name"] == "bob"
    wait_for(lambda: alice.has("unsent.txt", "only bob"), "alice has bob's file", within=SOON)
    assert bob.has("notes.txt", "hello")
    wait_for(lambda: bool(bob.status()["in_sync"]), "bob is in sync", within=SOON)
    assert (bob.folder / "x.log").read_text() == "bob's own\n"
    assert (alice.folder / "x.log").read_text() == "alice's\n"
    assert not bob.status()["problems"]
    assert not alice.status()["conflicts"]
    assert {one["name"] for one in alice.status()["members"]} == {"alice", "bob"}


def test_a_readable_store_leads_back_by_itself(peer: MakePeer, meerkat: Meerkat):
    alice, bob = peer("alice"), peer("bob")
    (alice.folder / "notes.txt").write_text("hello\n")
    ready = alice.start("share")
    bob.start("join", ready["invitation"])
    wait_for(lambda: bob.has("notes.txt", "hello"), "bob has it", within=SOON)
    author = bob.status()["author"]
    bob.stop()

    rebuilt = meerkat("rebuild", bob.folder)

    assert rebuilt.returncode == 0, rebuilt.stderr
    bob.start("up")
    wait_for(lambda: bob.status()["files"] == 1, "bob knows the file again", within=SOON)
    wait_for(lambda: bool(bob.status()["in_sync"]), "bob is in sync again", within=SOON)
    assert bob.status()["author"] != author
    assert bob.status()["member"] in {one["member"] for one in alice.status()["members"]}
    assert bob.has("notes.txt", "hello")
    assert not alice.status()["conflicts"]


def test_a_copied_folder_writes_under_a_new_author(peer: MakePeer, tmp_path: Path):
    import shutil

    alice = peer("alice")
    (alice.folder / "notes.txt").write_text("hello\n")
    alice.start("share")
    wait_for(lambda: alice.status()["files"] == 1, "the file is known", within=SOON)
    first = alice.status()
    alice.stop()
    copy = peer("copy")
    shutil.rmtree(copy.folder)
    shutil.copytree(alice.folder, copy.folder)
    alice.start("up")

    copy.start("up")

    status = copy.status()
    assert status["pool"] == first["pool"]
    assert status["author"] != first["author"] == alice.status()["author"]


def test_quantities_as_people_say_them():
    assert [byte_size(n) for n in (0, 999, 1_500, 3_000_000)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "3.0 MB",
    ]
    assert [count(n, "file") for n in (0, 1, 2_000)] == ["0 files", "1 file", "2,000 files"]
