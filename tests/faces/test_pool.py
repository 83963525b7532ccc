"""Two real processes and a folder each: what one saves, the other has."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from meerkat.cli.demo_peer import DemoPeer, wait_for
from tests.faces.conftest import MakePeer, Meerkat

SOON = 20.0


def same(one: DemoPeer, other: DemoPeer) -> bool:
    """Linked, in sync, and the same heads."""
    a, b = one.status(), other.status()
    linked = len(a["peers"]) == len(b["peers"]) == 1
    return bool(linked and a["in_sync"] and b["in_sync"] and a["heads"] == b["heads"])


def pair(peer: MakePeer) -> tuple[DemoPeer, DemoPeer]:
    alice, bob = peer("alice"), peer("bob")
    (alice.folder / "notes.txt").write_text("hello\n")
    ready = alice.start("share")
    bob.start("join", ready["invitation"])
    wait_for(lambda: same(alice, bob), "they are in sync", within=SOON)
    return alice, bob


def test_ready_says_where_and_how_to_join(peer: MakePeer):
    alice = peer("alice")

    ready = alice.start("share")

    assert ready["event"] == "ready"
    assert ready["folder"] == str(alice.folder)
    assert ready["address"].startswith("127.0.0.1:")
    assert ready["invitation"].startswith("meerkat1:")


def test_join_gets_the_files_and_saves_travel_both_ways(peer: MakePeer):
    alice, bob = pair(peer)

    assert (bob.folder / "notes.txt").read_text() == "hello\n"
    (bob.folder / "notes.txt").write_text("hello from bob\n")
    wait_for(lambda: alice.has("notes.txt", "hello from bob"), "alice has it", within=SOON)
    (alice.folder / "folder").mkdir()
    (alice.folder / "folder" / "picture.raw").write_bytes(bytes(range(256)) * 9000)
    copy = bob.folder / "folder" / "picture.raw"
    wait_for(lambda: copy.exists() and same(alice, bob), "bob has the picture", within=SOON)
    assert copy.read_bytes() == bytes(range(256)) * 9000


def test_status_has_what_programs_need(peer: MakePeer, meerkat: Meerkat):
    alice, bob = pair(peer)

    status = json.loads(meerkat("status", alice.folder, "--json").stdout)

    assert status["running"] is True
    assert status["files"] == 1
    assert status["in_sync"] is True
    assert status["conflicts"] == status["problems"] == status["transfers"] == []
    assert set(status["heads"]) == {status["author"], bob.status()["author"]}
    assert [one["name"] for one in status["peers"]] == ["bob"]
    assert status["peers"][0]["direction"] == "in"
    assert {one["name"] for one in status["members"]} == {"alice", "bob"}
    assert status["lamport"] > 0


def test_killed_and_started_again_it_catches_up_and_loses_nothing(peer: MakePeer):
    alice, bob = pair(peer)

    bob.kill()
    (alice.folder / "notes.txt").write_text("hello\nwhile bob was dead\n")
    (bob.folder / "offline.txt").write_text("saved while nobody watched\n")
    bob.start("up")
    wait_for(lambda: same(alice, bob), "they are in sync again", within=SOON)

    assert (bob.folder / "notes.txt").read_text() == "hello\nwhile bob was dead\n"
    assert (alice.folder / "offline.txt").read_text() == "saved while nobody watched\n"
    assert len(list(alice.folder.iterdir())) == len(list(bob.folder.iterdir())) == 3


def test_sigterm_leaves_gracefully_and_the_others_hear_it(peer: MakePeer, tmp_path: Path):
    alice, bob = pair(peer)
    process = bob._process
    assert process is not None

    os.kill(process.pid, signal.SIGTERM)

    assert process.wait(SOON) == 0
    wait_for(lambda: not alice.status()["peers"], "alice knows", within=SOON)
    events = [json.loads(line) for line in (tmp_path / "alice.jsonl").read_text().splitlines()]
    lost = [event for event in events if event["event"] == "peer_lost"]
    assert lost[-1]["reason"] == "leave"
    last = (tmp_path / "bob.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["event"] == "stopped"


def test_a_member_that_only_dials_out_works_as_well(peer: MakePeer, meerkat: Meerkat):
    alice, bob = peer("alice"), peer("bob")
    (alice.folder / "notes.txt").write_text("hello\n")
    ready = alice.start("share")
    bob.start("join", ready["invitation"], listen=False)

    wait_for(lambda: same(alice, bob), "they are in sync", within=SOON)
    (alice.folder / "notes.txt").write_text("hello again\n")
    wait_for(lambda: bob.has("notes.txt", "hello again"), "bob has it", within=SOON)

    assert bob.status()["address"] == ""
    refused = meerkat("invite", bob.folder)
    assert refused.returncode == 5
    assert "cannot invite" in refused.stderr


def test_a_third_enters_through_anyone_and_links_to_all(peer: MakePeer, meerkat: Meerkat):
    alice, bob = pair(peer)
    invitation = meerkat("invite", bob.folder).stdout.strip()
    carol = peer("carol")

    carol.start("join", invitation)

    wait_for(lambda: len(carol.status()["peers"]) == 2, "carol has both", within=SOON)
    wait_for(lambda: len(alice.status()["peers"]) == 2, "alice has both", within=SOON)
    wait_for(lambda: carol.has("notes.txt", "hello"), "carol has the file", within=SOON)


def test_both_folders_may_hold_files_before_they_meet(peer: MakePeer):
    alice, bob = peer("alice"), peer("bob")
    for one, text in ((alice, "mine\n"), (bob, "mine\n")):
        (one.folder / "same.txt").write_text(text)
        (one.folder / "differs.txt").write_text(f"{one.name}'s\n")
    (bob.folder / "only bob.txt").write_text("b\n")
    ready = alice.start("share")
    bob.start("join", ready["invitation"])
    wait_for(lambda: same(alice, bob), "they are in sync", within=SOON)

    names = {path.name for path in alice.folder.iterdir()} - {".meerkat"}

    assert len(names) == 4, names
    assert names == {path.name for path in bob.folder.iterdir()} - {".meerkat"}
    texts = {(alice.folder / name).read_text() for name in names}
    assert texts == {"mine\n", "alice's\n", "bob's\n", "b\n"}
    assert len(alice.status()["conflicts"]) == 1
