"""A linked member who sends anything that is well-formed: no exception, no growth (S2)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from meerkat.core.effects import CloseLink, Effect
from meerkat.core.events import BulkReceived, LinkId, MessageReceived
from meerkat.core.ids import ContentHash
from meerkat.core.messages import (
    MAX_HEADS,
    AddressEntry,
    Addresses,
    HaveHeads,
    Hello,
    Message,
    NoChunks,
    Operations,
    Ping,
    Pong,
    WantChunks,
    WantOperations,
)
from meerkat.testing.simulator import WALL, SimulatedPeer, Simulator

ROUNDS = 400


class Villain:
    """Holds bob's end of a link to alice."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"villain {seed}")
        self.simulator = Simulator(seed)
        self.alice = self.simulator.found("alice")
        self.alice.folder.write("a.txt", b"one\n")
        self.alice.folder.write("b.bin", b"\0" + bytes(1000))
        self.simulator.look(self.alice)
        self.bob = self.simulator.join("bob", self.alice)
        assert self.simulator.settle() < 10
        assert self.alice.peer is not None
        self.peer = self.alice.peer
        self.link = self.peer._mesh.linked[0].id
        self.authors = [bytes(one) for one in self.peer._log.heads]
        self.now = self.simulator.now

    def send(self, message: Message) -> list[Effect]:
        return self.give(MessageReceived(self.link, message))

    def give(self, event: MessageReceived | BulkReceived) -> list[Effect]:
        self.now += 0.01
        with self.alice.store.transaction():
            return self.peer.handle(event, now=self.now, wall=WALL + self.now)

    def author(self) -> bytes:
        return self.rng.choice([*self.authors, self.rng.randbytes(32)])

    def number(self) -> int:
        return self.rng.choice([0, 1, 2, 5, 1000, 2**32, 2**53 - 1])

    def message(self) -> Message:
        rng = self.rng
        makers: list[Callable[[], Message]] = [
            lambda: HaveHeads(tuple((self.author(), self.number()) for _ in range(5))),
            lambda: WantOperations(
                tuple((self.author(), self.number(), self.number()) for _ in range(5)),
                rng.choice([1, 2**20]),
            ),
            lambda: Operations((rng.randbytes(100),), answer=rng.random() < 0.5),
            lambda: Operations(tuple(self.stolen()), answer=rng.random() < 0.5),
            lambda: Addresses(
                tuple(
                    AddressEntry(self.author(), (f"sim:{rng.randrange(9)}", "x" * 300))
                    for _ in range(20)
                )
            ),
            lambda: WantChunks(tuple(rng.randbytes(32) for _ in range(5))),
            lambda: NoChunks(tuple(rng.randbytes(32) for _ in range(5))),
            lambda: Ping(self.number()),
            lambda: Pong(self.number()),
        ]
        return rng.choice(makers)()

    def stolen(self) -> list[bytes]:
        """Good operations, out of order, doubled, some damaged."""
        log, found = self.peer._log, []
        for author, last in log.heads.items():
            found += [log.operation(author, n).data for n in range(1, last + 1)]
        self.rng.shuffle(found)
        return [one if self.rng.random() < 0.8 else one[:-1] + b"?" for one in found]


def sizes(one: SimulatedPeer) -> dict[str, int]:
    """How much a peer keeps of what others say."""
    peer = one.peer
    assert peer is not None
    return {
        "links": len(peer._mesh.links),
        "open chunks": len(peer._blobs._open),
        "wanted": len(peer._blobs._wanted),
        "downloads": len(peer._blobs._downloads),
        "authors": len(peer._roster.authors),
        "log": sum(sequence for _, sequence in peer._log.heads.items()),
        "dirty": len(peer._planner.dirty),
        "rows": sum(len(one.store.snapshot().tables[table]) for table in one.store._tables),
    }


def test_nothing_that_is_sent_raises_or_stays(simulation_seed):
    villain = Villain(simulation_seed)
    before = sizes(villain.alice)
    for _ in range(ROUNDS):
        villain.send(villain.message())
        if villain.rng.random() < 0.2:
            data = villain.rng.randbytes(50)
            villain.give(BulkReceived(villain.link, ((ContentHash.of(data), data),)))
    after = sizes(villain.alice)

    limit = villain.peer._config.mesh.authors_count
    assert after.pop("rows") - before.pop("rows") <= limit
    assert after == before
    assert villain.alice.folder.files()["a.txt"] == b"one\n"


def test_a_client_list_cannot_fill_the_store():
    villain = Villain(0)
    for _ in range(10):
        entries = tuple(AddressEntry(villain.rng.randbytes(32), ("sim:1",)) for _ in range(1_024))
        villain.send(Addresses(entries))

    assert len(villain.peer._mesh._targets) <= villain.peer._config.mesh.authors_count


def test_heads_of_nobody_cannot_fill_memory():
    villain = Villain(0)
    for _ in range(20):
        heads = tuple((villain.rng.randbytes(32), 1) for _ in range(10_000))
        villain.send(HaveHeads(heads))

    state = villain.peer._sync._links[villain.link]
    assert len(state.theirs) <= MAX_HEADS


def test_a_second_hello_costs_the_link():
    villain = Villain(0)
    hello = Hello(1, bytes(32), bytes(32), b"x", "bob", (), ())

    assert CloseLink(villain.link, "protocol") in villain.send(hello)


def test_a_message_before_hello_costs_the_link():
    villain = Villain(0)
    stranger = LinkId(999)
    villain.peer._mesh.link_up(
        stranger, villain.bob.identity.member, "sim:1", outbound=False, now=villain.now
    )
    effects = villain.give(MessageReceived(stranger, Ping(1)))

    assert CloseLink(stranger, "protocol") in effects


def test_a_message_of_a_link_that_is_gone_is_ignored():
    villain = Villain(0)

    assert not villain.give(MessageReceived(LinkId(12_345), Ping(1)))


@pytest.mark.parametrize("first", [0, 1, 2**53 - 1])
def test_absurd_ranges_are_answered_in_bounds(first):
    villain = Villain(0)
    ranges = tuple((author, first, 2**53 - 1) for author in villain.authors) * 1000
    effects = villain.send(WantOperations(ranges, 2**20))

    sent = [e.message for e in effects if hasattr(e, "message")]
    size = sum(len(one) for m in sent if isinstance(m, Operations) for one in m.operations)
    assert size <= 2**20


def test_a_lying_neighbor_does_not_keep_us_from_the_others():
    """It says that it has everything and answers with nothing."""
    villain = Villain(3)
    carol = villain.simulator.join("carol", villain.alice)
    assert villain.simulator.settle() < 10
    assert carol.peer is not None
    assert villain.peer._mesh.link_of(carol.peer.author) is not None
    villain.send(HaveHeads(((bytes(carol.peer.author), 50),)))
    for _ in range(30):
        villain.send(Operations((), answer=True))
    carol.folder.write("new.txt", b"from carol\n")
    villain.simulator.look(carol)
    villain.simulator.run(villain.simulator.now + 30)

    assert villain.alice.folder.files()["new.txt"] == b"from carol\n"
