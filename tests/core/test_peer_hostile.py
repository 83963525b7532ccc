"""A linked member who sends anything that is well-formed: no exception, no growth (S2)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from meerkat.core.effects import CloseLink, Effect
from meerkat.core.events import BulkReceived, LinkId, LinkUp, MessageReceived
from meerkat.core.ids import ContentHash
from meerkat.core.messages import (
    MAX_HEADS,
    Announce,
    Beacon,
    Beat,
    Broadcast,
    Contact,
    Contacts,
    Direct,
    DirectAck,
    DirectFailed,
    Graft,
    HaveChunks,
    HaveHeads,
    Hello,
    Intent,
    JoinHint,
    JoinOffer,
    JoinRequest,
    MergeHint,
    Message,
    NoChunks,
    Operations,
    Ping,
    Pong,
    Prune,
    Push,
    WalkKind,
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
        self.link = self.peer._network.linked[0].id
        self.authors = [bytes(one) for one in self.peer._log.heads]
        self.now = self.simulator.now

    def send(self, message: Message) -> list[Effect]:
        return self.give(MessageReceived(self.link, message))

    def give(self, event: MessageReceived | BulkReceived | LinkUp) -> list[Effect]:
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
            lambda: Contacts(tuple(self.contact() for _ in range(20)), answer=rng.random() < 0.5),
            lambda: JoinRequest(
                rng.randbytes(16),
                self.contact(),
                rng.choice(list(WalkKind)),
                rng.randrange(13),
                rng.randrange(33),
                rng.randbytes(64),
            ),
            lambda: JoinOffer(rng.randbytes(16), self.contact()),
            lambda: JoinHint(rng.randbytes(16), (self.contact(),)),
            lambda: Beat(rng.randrange(1_025), Beacon(self.author(), self.number()), b""),
            lambda: MergeHint(rng.randbytes(16), (self.contact(),)),
            lambda: Push(self.broadcast(), rng.randrange(256)),
            lambda: Announce(((self.author(), self.number(), self.number(), 1),)),
            lambda: Graft(rng.choice([b"", self.author()])),
            lambda: Prune(rng.choice([b"", self.author()])),
            lambda: Direct(
                rng.randbytes(16),
                self.author(),
                self.author(),
                rng.randbytes(99),
                rng.randrange(256),
                rng.random() < 0.5,
            ),
            lambda: DirectAck(rng.randbytes(16), self.author(), 1, 1, rng.randbytes(64)),
            lambda: DirectFailed(rng.randbytes(16)),
            lambda: WantChunks(tuple(rng.randbytes(32) for _ in range(5))),
            lambda: NoChunks(tuple(rng.randbytes(32) for _ in range(5))),
            lambda: HaveChunks(tuple(rng.randbytes(32) for _ in range(5))),
            lambda: Ping(self.number()),
            lambda: Pong(self.number()),
        ]
        return rng.choice(makers)()

    def contact(self) -> Contact:
        """Of anybody, signed by nobody."""
        rng = self.rng
        addresses = (f"sim:{rng.randrange(9)}", "x" * 300)
        return Contact(
            self.author(), addresses, rng.random() < 0.5, self.number(), rng.randbytes(64)
        )

    def broadcast(self) -> Broadcast:
        """In somebody's name."""
        rng = self.rng
        kind, data = rng.randrange(256), rng.randbytes(50)
        return Broadcast(self.author(), self.number(), self.number(), kind, data, rng.randbytes(64))

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
    network, space = peer._network, peer._folder
    return {
        "links": len(network.overlay.links),
        "walks": network.overlay.degree,
        "open chunks": len(space.blobs._open),
        "wanted": len(space.blobs._wanted),
        "downloads": len(space.blobs._downloads),
        "authors": len(peer._roster.authors),
        "log": sum(sequence for _, sequence in peer._log.heads.items()),
        "dirty": len(space._planner.dirty),
        "kept": len(network.gossip._kept),
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
    # A neighbor that lies this much may have been shown out.
    assert after.pop("links") <= before.pop("links")
    assert after.pop("walks") <= before.pop("walks")
    assert after == before
    assert villain.alice.folder.files()["a.txt"] == b"one\n"


def test_contacts_of_strangers_fill_nothing():
    villain = Villain(0)
    before = sizes(villain.alice)
    for _ in range(10):
        villain.send(Contacts(tuple(villain.contact() for _ in range(24))))

    assert sizes(villain.alice)["rows"] == before["rows"]


def test_whoever_vouches_for_forged_contacts_is_shown_out():
    villain = Villain(0)
    before = sizes(villain.alice)
    assert villain.bob.peer is not None
    bob = bytes(villain.bob.peer.author)
    forged = Contact(bob, ("sim:7",), True, int(WALL + 60) * 1000, bytes(64))
    effects = [one for _ in range(10) for one in villain.send(Contacts((forged,)))]

    assert sizes(villain.alice)["rows"] == before["rows"]
    assert CloseLink(villain.link, "forged") in effects


def test_heads_of_nobody_cannot_fill_memory():
    villain = Villain(0)
    for _ in range(20):
        heads = tuple((villain.rng.randbytes(32), 1) for _ in range(10_000))
        villain.send(HaveHeads(heads))

    state = villain.peer._sync._links[villain.link]
    assert len(state.theirs) <= MAX_HEADS


def test_a_second_hello_changes_nothing():
    """The network may bring one twice."""
    villain = Villain(0)
    nobody = bytes(32)
    contact, none = villain.contact(), Intent.NONE
    hello = Hello(2, nobody, nobody, b"x", "bob", contact, none, b"", b"", 0, None, b"", (), ())

    assert not [e for e in villain.send(hello) if isinstance(e, CloseLink)]
    assert villain.peer._network.is_neighbor(villain.link)


def test_a_message_before_hello_costs_the_link():
    villain = Villain(0)
    stranger = LinkId(999)
    villain.give(LinkUp(stranger, villain.bob.identity.member, "sim:1", outbound=False))
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
    assert villain.peer._network.overlay.link_of(carol.peer.author) is not None
    villain.send(HaveHeads(((bytes(carol.peer.author), 50),)))
    for _ in range(30):
        villain.send(Operations((), answer=True))
    carol.folder.write("new.txt", b"from carol\n")
    villain.simulator.look(carol)
    villain.simulator.run(villain.simulator.now + 30)

    assert villain.alice.folder.files()["new.txt"] == b"from carol\n"
