"""Chunks on their way through a peer: given on before the whole is here, told of once they are."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from meerkat.core.blobs import Blobs, BlobsConfig
from meerkat.core.chunks import Chunk
from meerkat.core.disk import Disk
from meerkat.core.effects import Effect, Perform, Send, ServeChunks, StartTimer, StoreChunk
from meerkat.core.events import LinkId
from meerkat.core.files import Location, Outcome, PrepareBlob, PrepareResult
from meerkat.core.ids import ContentHash
from meerkat.core.messages import HaveChunks, Message, NoChunks, WantChunks
from meerkat.core.shelf import Place
from meerkat.core.wishes import MAX_WISHES
from meerkat.testing.memory_store import MemoryStore

ANN, BEN, CAT = LinkId(1), LinkId(2), LinkId(3)
SMALL = Random(1).randbytes(5_000)
PIECES = [Random(number).randbytes(100_000) for number in range(6)]
CONFIG = BlobsConfig()


def name(data: bytes) -> ContentHash:
    return ContentHash.of(data)


def chunks_of(pieces: Sequence[bytes]) -> tuple[Chunk, ...]:
    return tuple(Chunk(name(piece), len(piece)) for piece in pieces)


class Relay:
    """The blobs of one peer, whose disk does at once what it is asked to."""

    def __init__(self, *links: LinkId) -> None:
        self.store = MemoryStore()
        with self.store.transaction():
            self.blobs = Blobs(self.store, Disk(self.store), CONFIG)
        self.now = 0.0
        self.full = False
        self.prepared = 0
        self.served: list[tuple[ContentHash, Place]] = []
        for link in links:
            self.blobs.link_up(link)

    def want(self, *pieces: bytes) -> list[tuple[LinkId, Message]]:
        with self.store.transaction():
            self.blobs.obtain(name(b"".join(pieces)), chunks_of(pieces), "path")
        return self.decide()

    def decide(self, effects: Sequence[Effect] = ()) -> list[tuple[LinkId, Message]]:
        """What is sent because of ``effects`` and of what follows from them."""
        sent: list[tuple[LinkId, Message]] = []
        waiting = [*effects, *self._evaluate()]
        while waiting:
            effect = waiting.pop(0)
            match effect:
                case Send():
                    sent.append((effect.link, effect.message))
                case StoreChunk():
                    self.blobs.on_stored(effect.blob, [effect.index], [])
                    waiting += self._evaluate()
                case Perform(jobs=(PrepareBlob() as job,)):
                    self.prepared += 1
                    self.blobs.on_prepared(self._prepare(job))
                    waiting += self._evaluate()
        return [one for one in sent if isinstance(one[1], WantChunks | NoChunks | HaveChunks)]

    def _prepare(self, job: PrepareBlob) -> PrepareResult:
        if self.full:
            return PrepareResult(job.ticket, job.blob, Outcome.FULL)
        missing = tuple(range(len(job.chunks)))
        return PrepareResult(job.ticket, job.blob, Outcome.DONE, missing)

    def _evaluate(self) -> list[Effect]:
        with self.store.transaction():
            return self.blobs.evaluate(self.now)

    def hear(self, link: LinkId, message: Message) -> list[tuple[LinkId, Message]]:
        match message:
            case WantChunks():
                with self.store.transaction():
                    effects = self.blobs.on_want(link, message)
                self.served = [
                    one for e in effects if isinstance(e, ServeChunks) for one in e.chunks
                ]
                return [(e.link, e.message) for e in effects if isinstance(e, Send)]
            case NoChunks():
                self.blobs.on_absent(link, message)
            case HaveChunks():
                self.blobs.on_have(link, message)
        return self.decide()

    def get(self, link: LinkId, *pieces: bytes) -> list[tuple[LinkId, Message]]:
        chunks = [(name(piece), piece) for piece in pieces]
        return self.decide(self.blobs.on_chunks(link, chunks))

    def pass_time(self, seconds: float) -> list[tuple[LinkId, Message]]:
        """Let time pass; the nap may end."""
        self.now += seconds
        self.blobs.wake()
        return self.decide()


def wants(*pieces: bytes) -> WantChunks:
    return WantChunks(tuple(bytes(name(piece)) for piece in pieces))


def lacks(*pieces: bytes) -> NoChunks:
    return NoChunks(tuple(bytes(name(piece)) for piece in pieces))


def has(*pieces: bytes) -> HaveChunks:
    return HaveChunks(tuple(bytes(name(piece)) for piece in pieces))


# -- giving ------------------------------------------------------------------------------------


def test_whoever_asked_too_early_is_told_and_nobody_else() -> None:
    relay = Relay(ANN, BEN, CAT)
    assert relay.hear(BEN, wants(SMALL)) == [(BEN, lacks(SMALL))]
    assert relay.want(SMALL) == [(ANN, wants(SMALL))]

    assert relay.get(ANN, SMALL) == [(BEN, has(SMALL))]
    assert relay.decide() == [], "once"


def test_what_is_in_memory_only_is_given() -> None:
    relay = Relay(ANN, BEN)
    relay.want(SMALL)
    relay.get(ANN, SMALL)

    assert relay.hear(BEN, wants(SMALL)) == []
    assert relay.served == [(name(SMALL), SMALL)]


def test_a_chunk_of_an_unfinished_blob_is_given() -> None:
    relay = Relay(ANN, BEN)
    relay.hear(BEN, wants(PIECES[1], PIECES[2]))
    relay.want(*PIECES)

    assert (BEN, has(PIECES[1])) in relay.get(ANN, PIECES[1])
    relay.hear(BEN, wants(PIECES[1]))
    place = Location("", 100_000, 100_000, name(b"".join(PIECES)))
    assert relay.served == [(name(PIECES[1]), place)]


def test_a_blob_given_up_is_not_given_on() -> None:
    relay = Relay(ANN, BEN)
    relay.want(*PIECES)
    relay.get(ANN, PIECES[1])
    relay.blobs.release("path")

    assert relay.hear(BEN, wants(PIECES[1])) == [(BEN, lacks(PIECES[1]))]


def test_what_could_not_be_read_where_it_was_is_found_again_or_told_of_later() -> None:
    relay = Relay(ANN, BEN)
    relay.want(*PIECES)
    relay.get(ANN, PIECES[1])
    relay.hear(BEN, wants(PIECES[1]))
    chunk, place = relay.served[0]
    with relay.store.transaction():
        elsewhere = relay.blobs.on_unread(BEN, [(chunk, Location("old", 0, 100_000))])
        nowhere = relay.blobs.on_unread(BEN, [(chunk, place)])

    assert elsewhere == [ServeChunks(BEN, ((chunk, place),))]
    assert nowhere == [Send(BEN, lacks(PIECES[1]))]
    with relay.store.transaction():
        relay.blobs.index([(b"v" * 32, chunks_of(PIECES))])
    assert (BEN, has(PIECES[1])) in relay.decide()


def test_wishes_are_bounded_and_go_with_their_link() -> None:
    relay = Relay(ANN, BEN)
    rng = Random(1)
    for _ in range(40):
        relay.hear(BEN, WantChunks(tuple(rng.randbytes(32) for _ in range(1_000))))
    wishes = relay.blobs._wishes
    assert len(wishes._by_link[BEN]) == MAX_WISHES == len(wishes._by_chunk)
    relay.hear(BEN, wants(SMALL))
    relay.blobs.link_down(BEN)

    assert not wishes._by_chunk
    relay.want(SMALL)
    assert relay.get(ANN, SMALL) == []


# -- asking ------------------------------------------------------------------------------------


def test_what_a_neighbor_has_now_is_asked_for_at_once() -> None:
    relay = Relay(ANN)
    assert relay.want(SMALL) == [(ANN, wants(SMALL))]
    assert relay.hear(ANN, lacks(SMALL)) == []

    assert relay.hear(ANN, has(SMALL)) == [(ANN, wants(SMALL))]


def test_what_all_lack_is_not_polled_but_looked_at_again_at_last() -> None:
    relay = Relay(ANN, BEN)
    relay.want(SMALL)
    relay.hear(ANN, lacks(SMALL))
    assert relay.hear(BEN, lacks(SMALL)) == []

    early = [relay.pass_time(CONFIG.poll_every / 10) for _ in range(9)]
    assert early == [[]] * 9
    assert relay.pass_time(CONFIG.poll_every / 5) == [(ANN, wants(SMALL))]


def test_a_newcomer_is_asked_for_what_the_others_lack() -> None:
    relay = Relay(ANN)
    relay.want(SMALL)
    relay.hear(ANN, lacks(SMALL))
    relay.blobs.link_up(BEN)

    assert relay.decide() == [(BEN, wants(SMALL))]


def test_words_about_what_was_not_asked_for_are_ignored() -> None:
    relay = Relay(ANN, BEN)
    relay.want(*PIECES)
    rng = Random(2)
    for _ in range(10):
        flood = HaveChunks(tuple(rng.randbytes(32) for _ in range(4_000)))
        assert relay.hear(ANN, flood) == []
        assert relay.hear(ANN, has(*PIECES)) == [], "it never lacked them"
        assert relay.hear(LinkId(99), has(*PIECES)) == []

    for source in relay.blobs._sources._sources.values():
        assert not source.has
        assert not source.told


def test_a_liar_is_believed_ever_more_slowly() -> None:
    relay = Relay(ANN)
    relay.want(SMALL)
    asked = 0
    for _ in range(6_000):  # a minute
        relay.hear(ANN, lacks(SMALL))
        asked += len(relay.hear(ANN, has(SMALL)))
        asked += len(relay.pass_time(0.01))
    assert 5 < asked < 20

    rest = [relay.pass_time(1.0) for _ in range(int(CONFIG.retry_max) + 1)]
    assert [(ANN, wants(SMALL))] in rest, "it may have it by now"


def test_a_liar_does_not_keep_us_from_the_others() -> None:
    relay = Relay(ANN, BEN)
    relay.want(SMALL)
    assert relay.hear(ANN, lacks(SMALL)) == [(BEN, wants(SMALL))]
    relay.hear(BEN, lacks(SMALL))
    for _ in range(5):
        relay.hear(ANN, has(SMALL))
        relay.hear(ANN, lacks(SMALL))
    relay.hear(ANN, has(SMALL))

    assert relay.hear(BEN, has(SMALL)) == [(BEN, wants(SMALL))]


def test_the_load_is_spread() -> None:
    relay = Relay(ANN, BEN, CAT)
    asked = relay.want(*PIECES)

    assert {link for link, _ in asked} == {ANN, BEN, CAT}


def test_whoever_told_of_it_is_asked_first() -> None:
    relay = Relay(ANN, BEN, CAT)
    relay.blobs.news(CAT)

    assert relay.want(SMALL) == [(CAT, wants(SMALL))]


def test_those_who_have_it_are_preferred() -> None:
    relay = Relay(ANN, BEN)
    relay.want(SMALL)
    relay.hear(ANN, lacks(SMALL))
    relay.hear(BEN, lacks(SMALL))
    relay.blobs.link_up(CAT)
    relay.blobs.on_have(BEN, has(SMALL))

    assert relay.decide() == [(BEN, wants(SMALL))]


def test_a_full_disk_is_not_asked_again_and_again() -> None:
    relay = Relay(ANN)
    relay.full = True
    relay.want(*PIECES)
    assert relay.prepared == 1
    for _ in range(600):  # a minute
        relay.pass_time(0.1)
    assert relay.prepared < 12

    relay.full = False
    for _ in range(11):
        relay.pass_time(1.0)
    assert relay.prepared < 14
    assert relay.blobs._wanted


def test_a_nap_ends_by_itself() -> None:
    relay = Relay(ANN)
    relay.want(SMALL)
    relay.hear(ANN, lacks(SMALL))
    with relay.store.transaction():
        relay.blobs.wake()
        effects = relay.blobs.evaluate(relay.now)

    assert StartTimer("blobs", CONFIG.poll_every) in effects
