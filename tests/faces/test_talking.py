"""Real processes that talk: chat, looking around, and the Python API on top of them."""

from __future__ import annotations

import asyncio
import json
import select
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import meerkat as meerkat_api
from meerkat.cli.demo_peer import DemoPeer, wait_for
from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.errors import NotRunning
from meerkat.node.home import StateFolder
from tests.faces.conftest import MakePeer, Meerkat
from tests.node.waiting import until

SOON = 30.0
Messages = AsyncIterator[meerkat_api.Message]
HERE = meerkat_api.NodeOptions(host="127.0.0.1", port=0, discover=False)
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "chat.py"


def ask(peer: DemoPeer, request: schema.Request) -> dict[str, Any]:
    with ControlClient(StateFolder(peer.folder).control_socket()) as client:
        return client.ask(request)


def texts(peer: DemoPeer) -> list[str]:
    return [line["text"] for line in ask(peer, schema.ChatHistory())["lines"]]


def trio(peer: MakePeer) -> tuple[DemoPeer, DemoPeer, DemoPeer]:
    """Alice, bob and carol, who have heard of each other."""
    alice, bob, carol = peer("alice"), peer("bob"), peer("carol")
    invitation = alice.start("share")["invitation"]
    bob.start("join", invitation)
    carol.start("join", invitation)
    for one in (alice, bob, carol):
        wait_for(lambda one=one: heard_of_all(one), f"{one.name} knows all", within=SOON)  # type: ignore[misc]
    return alice, bob, carol


def heard_of_all(peer: DemoPeer) -> bool:
    nodes = ask(peer, schema.Network())["nodes"]
    members = peer.status()["members"]
    return len(nodes) == len(members) == 3 and all(node["neighbors"] for node in nodes)


def test_what_is_said_arrives_and_newcomers_have_the_history(
    peer: MakePeer, meerkat: Meerkat, tmp_path: Path
):
    alice, bob, carol = trio(peer)

    assert meerkat("chat", "-C", alice.folder, "hello", "all").returncode == 0
    direct = meerkat("chat", "-C", alice.folder, "@BOB", "psst")
    for one in (alice, bob, carol):
        wait_for(lambda one=one: "hello all" in texts(one), "it arrives", within=SOON)  # type: ignore[misc]
    wait_for(lambda: "psst" in texts(bob), "bob has it", within=SOON)

    assert direct.stdout.startswith("delivered to bob after 1 hop, ")
    assert texts(carol) == ["hello all"]
    invitation = meerkat("invite", carol.folder).stdout.strip()
    dave = peer("dave")
    dave.start("join", invitation)
    wait_for(lambda: texts(dave) == ["hello all"], "dave reads it", within=SOON)
    shown = meerkat("chat", "-C", dave.folder, "--plain", "--last", 5).stdout
    assert shown[6:] == "alice: hello all\n"


def test_what_is_said_to_one_who_is_away_waits_and_arrives(peer: MakePeer, meerkat: Meerkat):
    alice, bob, _carol = trio(peer)
    bob.stop()

    waits = meerkat("chat", "-C", alice.folder, "@bob", "for later")
    alice_listens = subprocess.Popen(
        [sys.executable, "-m", "meerkat", "chat", "-C", alice.folder, "--follow", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    bob.start("up")
    wait_for(lambda: "for later" in texts(bob), "bob has it", within=SOON)
    assert alice_listens.stdout is not None
    told = json.loads(alice_listens.stdout.readline())
    alice_listens.terminate()
    alice_listens.communicate(timeout=SOON)

    assert waits.stdout == "waits for bob\n"
    assert (told["event"], told["to_name"]) == ("delivered", "bob")
    assert texts(bob).count("for later") == 1


def test_a_new_name_is_everywhere_and_found_by_everyone(peer: MakePeer, meerkat: Meerkat):
    alice, bob, _carol = trio(peer)

    ask(bob, schema.Rename(name="Robert"))
    names = lambda one: {member["name"] for member in one.status()["members"]}  # noqa: E731
    wait_for(lambda: "Robert" in names(alice), "alice knows", within=SOON)

    assert meerkat("chat", "-C", alice.folder, "@robert", "hi").stdout.startswith("delivered to")
    assert bob.status()["name"] == "Robert"
    old = meerkat("chat", "-C", alice.folder, "@bob", "hi")
    assert old.returncode == 8
    assert "Robert" in old.stderr


def test_looking_around(peer: MakePeer, meerkat: Meerkat):
    alice, bob, _carol = trio(peer)

    peers = [
        json.loads(line) for line in meerkat("peers", alice.folder, "--json").stdout.splitlines()
    ]
    drawn = meerkat("map", alice.folder).stdout
    ping = meerkat("ping", "-C", alice.folder, "bob", "-n", 2)
    echo = json.loads(
        meerkat("echo", "-C", alice.folder, "carol", "--size", 30_000, "--json").stdout.split("\n")[
            0
        ]
    )
    by_id = meerkat("ping", "-C", alice.folder, bob.status()["member"][:10], "-n", 1)

    assert {one["name"] for one in peers} == {"bob", "carol"}
    assert all(one["here"] and one["kind"] for one in peers)
    assert "alice (you)" in drawn
    assert "3 peers" in drawn
    assert ping.stdout.count("32 bytes from bob") == 2
    assert "2 sent, 2 came back, 0 % lost" in ping.stdout
    assert (echo["event"], echo["hops"], echo["back"]) == ("echo", 1, 1)
    assert 0 < echo["seconds"] < 5
    assert by_id.returncode == 0


# --- The Python API ---


def test_pools_in_one_program_publish_to_each_other(tmp_path: Path):
    folders = [tmp_path / name for name in ("alice", "bob", "carol")]
    folders[0].mkdir()

    async def hear(messages: Messages, heard: list[tuple[str, bytes]]) -> None:
        async for message in messages:
            heard.append((message.author, message.data))

    async def story() -> list[list[tuple[str, bytes]]]:
        heard: list[list[tuple[str, bytes]]] = [[], [], []]
        shared = await meerkat_api.share(folders[0], name="alice", options=HERE)
        async with shared as alice:
            assert alice.serving
            joined = []
            for name, folder in (("bob", folders[1]), ("carol", folders[2])):
                invitation = await alice.invite()
                joined.append(await meerkat_api.join(invitation, folder, name=name, options=HERE))
            async with joined[0] as bob, joined[1] as carol, asyncio.TaskGroup() as group:
                pools = (alice, bob, carol)
                tasks = []
                for pool, found in zip(pools, heard, strict=True):
                    await linked(pool, 2)
                    messages = pool.messages()
                    await messages.wait_listening()
                    tasks.append(group.create_task(hear(messages, found)))
                for number in range(50):
                    await alice.publish(b"a%d" % number)
                    await bob.publish(b"b%d" % number)
                counts = [50, 50, 100]
                await until(lambda: [len(one) for one in heard] == counts, "all is heard")
                for task in tasks:
                    task.cancel()
        return heard

    heard = asyncio.run(story())

    assert heard[0] == [("bob", b"b%d" % number) for number in range(50)]
    assert heard[1] == [("alice", b"a%d" % number) for number in range(50)]
    by_alice = [data for author, data in heard[2] if author == "alice"]
    assert by_alice == [b"a%d" % number for number in range(50)]


async def linked(pool: meerkat_api.Pool, count: int) -> None:
    """Return when the pool has so many links."""
    events = pool.events("peer_linked")
    await events.wait_listening()
    while len((await pool.status())["peers"]) < count:
        await anext(events)


def test_a_pool_serves_a_folder_that_nobody_serves_and_attaches_where_somebody_does(
    peer: MakePeer, meerkat: Meerkat
):
    alice = peer("alice")
    (alice.folder / "notes.txt").write_text("hello\n")
    alice.start("share")
    alice.stop()

    async def story() -> tuple[bool, bool, dict[str, Any]]:
        async with pool_of(alice) as first, pool_of(alice) as second:
            return first.serving, second.serving, await second.status()

    first, second, status = asyncio.run(story())

    assert (first, second) == (True, False)
    assert status["files"] == 1
    assert "not running" in meerkat("status", alice.folder).stdout


def pool_of(peer: DemoPeer) -> meerkat_api.Pool:
    return meerkat_api.Pool(peer.folder, options=HERE)


def test_a_pool_that_serves_can_be_stopped_from_outside(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    alice.start("share")
    alice.stop()

    async def story() -> None:
        async with pool_of(alice) as pool:
            messages = pool.messages()
            await messages.wait_listening()
            stopped = await asyncio.to_thread(meerkat, "stop", alice.folder)
            assert stopped.returncode == 0
            with pytest.raises(NotRunning):
                await anext(messages)

    asyncio.run(story())


def test_two_pools_without_a_loop_in_one_program(peer: MakePeer):
    alice, bob = peer("alice"), peer("bob")
    bob.start("join", alice.start("share")["invitation"])
    wait_for(lambda: bool(alice.status()["peers"]), "they are linked", within=SOON)
    bob.stop()
    wait_for(lambda: not alice.status()["peers"], "bob is gone", within=SOON)

    with meerkat_sync(alice) as ours, meerkat_sync(bob) as theirs:
        assert (ours.serving, theirs.serving) == (False, True)
        for one in (ours, theirs):
            wait_for(lambda one=one: bool(one.status()["peers"]), "linked again", within=SOON)  # type: ignore[misc]
        messages = ours.messages(within=SOON)
        theirs.publish(b"from bob")
        assert next(messages) == meerkat_api.Message("bob", theirs.status()["member"], b"from bob")
        assert ours.echo("bob").hops == 1


def meerkat_sync(peer: DemoPeer) -> meerkat_api.SyncPool:
    return meerkat_api.SyncPool(peer.folder, options=HERE)


def test_the_example_is_a_whole_program(peer: MakePeer):
    alice, bob = peer("alice"), peer("bob")
    bob.start("join", alice.start("share")["invitation"])
    wait_for(lambda: bool(alice.status()["peers"]), "they are linked", within=SOON)
    programs = [chat_program(one) for one in (alice, bob)]
    try:
        mine, theirs = programs
        assert mine.stdin is not None
        assert theirs.stdout is not None
        wait_for_line(lambda: tell(mine, "hello"), theirs)
    finally:
        for one in programs:
            one.kill()
            one.communicate()


def chat_program(peer: DemoPeer) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE), str(peer.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(program: subprocess.Popen[str], text: str) -> None:
    assert program.stdin is not None
    program.stdin.write(f"{text}\n")
    program.stdin.flush()


def wait_for_line(again: Callable[[], None], program: subprocess.Popen[str]) -> None:
    """Say it until somebody hears it: nobody knows when the other program has begun to listen."""
    output = program.stdout
    assert output is not None

    def heard() -> bool:
        again()
        return bool(select.select([output], [], [], 0.2)[0])

    wait_for(heard, "the other program prints it", within=SOON)
    assert output.readline() == "alice: 'hello'\n"
