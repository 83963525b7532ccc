"""The ports survive a restart: members that all start again find each other where they were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from meerkat.node.home import locked, open_home
from meerkat.node.last_ports import Ports, keep_ports, last_ports
from meerkat.node.listening import Reach, listen
from meerkat.node.node import Node
from meerkat.node.options import NodeOptions
from meerkat.testing.memory_store import MemoryStore
from meerkat.transport.base import PortTaken
from tests.node.pool import OPTIONS, QUICK, Pool
from tests.node.waiting import until


class Ear:
    """A transport or a door: only listens. ``taken`` ports are another's."""

    def __init__(self, *taken: int) -> None:
        self._taken = taken

    async def listen(self, host: str, port: int) -> str:
        if port in self._taken:
            raise PortTaken(port)
        return f"{host}:{port or 50_000}"


@pytest.mark.parametrize(
    ("options", "taken", "bound", "door_bound"),
    [
        (NodeOptions(), (), 7400, 7420),
        (NodeOptions(), (7400,), 7337, 7338),
        (NodeOptions(), (7420,), 7400, 7401),
        (NodeOptions(port=0), (), 7400, 7420),
        (NodeOptions(port=0), (7400,), 50_000, 50_000),
        (NodeOptions(port=7500), (), 7500, 7501),
        (NodeOptions(port=7400), (), 7400, 7420),
        # Whoever forwards ports was told that the door is the next one.
        (NodeOptions(advertise=("example.net:7400",)), (), 7400, 7401),
    ],
)
def test_the_last_ports_are_taken_if_they_are_free(
    options: NodeOptions, taken: tuple[int, ...], bound: int, door_bound: int
):
    ear = Ear(*taken)
    options = replace(options, host="127.0.0.1")

    async def story() -> Reach:
        return await listen(ear, ear, options, QUICK, Ports(7400, 7420))  # type: ignore[arg-type]

    reach = asyncio.run(story())

    assert (reach.bound, reach.door_bound) == (f"127.0.0.1:{bound}", f"127.0.0.1:{door_bound}")


def test_a_run_without_ports_does_not_forget_them():
    store = MemoryStore()
    assert last_ports(store) == Ports()

    keep_ports(store, "[::]:7339", "[::]:7340")
    keep_ports(store, "", "")

    assert last_ports(store) == Ports(7339, 7340)


@asynccontextmanager
async def again(pool: Pool, folder: Path) -> AsyncIterator[Node]:
    with locked(folder) as state:
        home = open_home(state)
        try:
            async with Node(
                home, OPTIONS, config=QUICK, make_transport=pool.make_transport
            ) as node:
                yield node
        finally:
            home.close()


def test_members_that_all_start_again_find_each_other(tmp_path: Path):
    """Whatever port they had, and in whatever order they start."""

    async def story() -> None:
        pool = Pool(tmp_path)
        async with pool.share("alice") as alice, pool.join("bob", alice) as bob:
            await until(lambda: alice.status().peers and bob.status().peers, "they are linked")
            before = alice.reach.links, alice.reach.door_bound
        async with again(pool, tmp_path / "bob"), again(pool, tmp_path / "alice") as alice:
            await until(lambda: alice.status().peers, "they are linked again")
            assert (alice.reach.links, alice.reach.door_bound) == before

    asyncio.run(story())
