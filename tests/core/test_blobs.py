"""Large contents: from several peers, past those who lack them, and never twice."""

from __future__ import annotations

from random import Random

from meerkat.core.blobs import Blobs, BlobsConfig
from meerkat.core.chunks import Chunk
from meerkat.core.disk import Disk, entry_of
from meerkat.core.effects import Effect, Perform, Send, ServeChunks
from meerkat.core.events import LinkId
from meerkat.core.files import (
    Kind,
    Location,
    Observed,
    Outcome,
    PrepareBlob,
    PrepareResult,
    Signature,
)
from meerkat.core.ids import ContentHash
from meerkat.core.messages import NoChunks, WantChunks
from meerkat.testing.memory_store import MemoryStore
from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.invariants import check_equal, check_quiet

LARGE = b"\0" + Random(5).randbytes(3_000_000)


def pool(count: int) -> Simulator:
    simulator = Simulator(4)
    first = simulator.found("p0")
    for number in range(1, count):
        simulator.join(f"p{number}", first)
    assert simulator.settle() < 20
    return simulator


def give(simulator: Simulator, path: str, data: bytes) -> None:
    simulator.peers[0].folder.write(path, data)
    simulator.look(simulator.peers[0])


def count_served(simulator: Simulator) -> dict[int, int]:
    """Chunks each peer gave from now on."""
    served: dict[int, int] = {}
    perform = simulator._perform

    def counting(one: SimulatedPeer, effect: Effect) -> None:
        if isinstance(effect, ServeChunks):
            served[one.index] = served.get(one.index, 0) + len(effect.chunks)
        perform(one, effect)

    simulator._perform = counting  # type: ignore[method-assign]
    return served


def settle(simulator: Simulator) -> None:
    assert simulator.settle() < 60
    check_equal(simulator)


def test_a_large_file_arrives_whole_everywhere():
    simulator = pool(4)
    give(simulator, "large", LARGE)
    settle(simulator)
    check_quiet(simulator)

    assert all(one.folder.files()["large"] == LARGE for one in simulator.peers)


def test_a_newcomer_takes_from_several():
    simulator = pool(3)
    give(simulator, "large", LARGE)
    settle(simulator)
    served = count_served(simulator)
    simulator.join("newcomer", simulator.peers[0])
    settle(simulator)

    assert len(served) > 1


def test_content_that_is_here_is_not_fetched():
    simulator = pool(2)
    give(simulator, "large", LARGE)
    settle(simulator)
    served = count_served(simulator)
    give(simulator, "copy", LARGE)
    settle(simulator)
    simulator.peers[0].folder.delete("large")
    give(simulator, "longer", LARGE + b"a little more")
    settle(simulator)

    assert sum(served.values()) <= 2, "only the changed end"


def test_a_source_that_stops_is_replaced():
    simulator = pool(3)
    give(simulator, "large", LARGE)
    simulator.peers[2].folder.full = True
    simulator.run(simulator.now + 5)
    simulator.crash(simulator.peers[1])
    simulator.peers[2].folder.full = False
    simulator.run(simulator.now + 5)
    simulator.restart(simulator.peers[1])

    settle(simulator)


def test_a_source_that_falls_silent_is_passed_over():
    """Its link stands, but what is asked of it never comes."""
    simulator = pool(3)
    give(simulator, "large", LARGE)
    simulator.partition(simulator.peers[:2], simulator.peers[2:])
    simulator.run(simulator.now + 5)
    perform = simulator._perform

    def silent(one: SimulatedPeer, effect: Effect) -> None:
        if one.index != 1 or not isinstance(effect, ServeChunks):
            perform(one, effect)

    simulator._perform = silent  # type: ignore[method-assign]
    simulator.mend()
    settle(simulator)


def test_what_nobody_has_is_waited_for_without_a_storm():
    simulator = pool(2)
    alice, bob = simulator.peers
    bob.folder.full = True
    give(simulator, "large", LARGE)
    simulator.run(simulator.now + 2)
    simulator.crash(alice)
    bob.folder.full = False
    asked = 0
    perform = simulator._perform

    def counting(one: SimulatedPeer, effect: Effect) -> None:
        nonlocal asked
        asked += isinstance(effect, Send) and isinstance(effect.message, WantChunks)
        perform(one, effect)

    simulator._perform = counting  # type: ignore[method-assign]
    before = simulator.event_count
    simulator.run(simulator.now + 60)
    assert simulator.event_count - before < 400, "it looks for alice twice a second"
    assert asked < 30
    assert bob.peer is not None
    assert not bob.peer.in_sync
    simulator.restart(alice)

    settle(simulator)


def test_a_content_nobody_wants_any_more_is_given_up():
    simulator = pool(2)
    alice, bob = simulator.peers
    bob.folder.full = True
    give(simulator, "large", LARGE)
    simulator.run(simulator.now + 2)
    alice.folder.delete("large")
    simulator.look(alice)
    settle(simulator)

    assert bob.peer is not None
    assert not bob.peer._blobs._downloads
    assert not bob.peer._blobs._wanted


def test_a_chunk_stored_for_an_earlier_wish_is_not_asked_for_again():
    store = MemoryStore()
    data = Random(6).randbytes(200_000)
    halves = [data[:100_000], data[100_000:]]
    chunks = tuple(Chunk(ContentHash.of(half), len(half)) for half in halves)
    blob, link = ContentHash.of(data), LinkId(1)
    with store.transaction():
        blobs = Blobs(store, Disk(store), BlobsConfig())
        blobs.link_up(link)
        for _ in range(3):  # wanted, given up while a chunk is being written, and wanted again
            blobs.release("large")
            assert blobs.obtain(blob, chunks, "large") is None
            jobs = [effect.jobs[0] for effect in blobs.evaluate(0.0) if isinstance(effect, Perform)]
            blobs.on_prepared(PrepareResult(jobs[0].ticket, blob, Outcome.DONE, missing=(0, 1)))

        blobs.on_stored(blob, [0], [])
        asked = [effect for effect in blobs.evaluate(0.0) if isinstance(effect, Send)]

    wanted = [one.message.chunks for one in asked if isinstance(one.message, WantChunks)]
    assert wanted == [(bytes(chunks[1].hash),)]


def test_what_cannot_be_kept_is_not_fetched_again_and_again():
    store = MemoryStore()
    chunks = tuple(Chunk(ContentHash.of(piece), 100_000) for piece in (b"1", b"2", b"3"))
    blob, link = ContentHash.of(b"all"), LinkId(1)

    def evaluated(now: float) -> tuple[list[PrepareBlob], int]:
        """What is asked of the folder, and how many chunks of the neighbor."""
        effects = blobs.evaluate(now)
        jobs = [job for one in effects if isinstance(one, Perform) for job in one.jobs]
        wants = [one.message for one in effects if isinstance(one, Send)]
        count = sum(len(one.chunks) for one in wants if isinstance(one, WantChunks))
        return [job for job in jobs if isinstance(job, PrepareBlob)], count

    with store.transaction():
        blobs = Blobs(store, Disk(store), BlobsConfig(retry=1.0))
        blobs.link_up(link)
        assert blobs.obtain(blob, chunks, "large") is None
        (job,), _ = evaluated(0.0)
        blobs.on_prepared(PrepareResult(job.ticket, blob, Outcome.DONE, missing=(0, 1, 2)))
        assert evaluated(0.0) == ([], 2)  # as much as may be under way
        blobs.on_stored(blob, [], [0])
        blobs.on_stored(blob, [], [1])
        assert evaluated(0.1) == ([], 0)
        assert [one.path for one in blobs.problems] == ["large"]

        (job,), asked = evaluated(1.2)
        assert asked == 0
        full = PrepareResult(job.ticket, blob, Outcome.FULL, detail="the disk is full")
        blobs.on_prepared(full)
        assert evaluated(2.0) == ([], 0)
        assert [one.text for one in blobs.problems] == ["Not written yet: the disk is full."]

        (job,), _ = evaluated(20.0)
        blobs.on_prepared(PrepareResult(job.ticket, blob, Outcome.DONE, missing=(1, 2)))
        assert evaluated(20.0) == ([], 2)
        blobs.on_stored(blob, [1, 2], [])
        assert blobs.problems == []
        assert blobs.obtain(blob, chunks, "large") == blob


def test_a_chunk_that_is_not_where_it_was_is_given_from_where_else_it_is():
    """A program has written over the one file just now; another file has that chunk, too."""
    store, link = MemoryStore(), LinkId(1)
    chunk = Chunk(ContentHash.of(b"piece"), 5)
    first, second = bytes(16), bytes([1]) * 16
    with store.transaction():
        disk = Disk(store)
        for path, version in (("a", first), ("b", first), ("c", second)):
            signature = Signature(5, 0, 0, 1, 1)
            seen = Observed(Kind.FILE, chunk.hash, False, signature)
            disk.put(path, entry_of(seen, b"file", version))
        blobs = Blobs(store, disk, BlobsConfig())
        blobs.link_up(link)
        blobs.index([(first, (chunk,)), (second, (chunk,))])
        effects = blobs.on_want(link, WantChunks((bytes(chunk.hash),)))
        asked: list[str] = []
        while isinstance(effects[0], ServeChunks):
            ((_, place),) = effects[0].chunks
            assert isinstance(place, Location)
            asked.append(place.path)
            effects = blobs.on_unread(link, effects[0].chunks)

    assert asked == ["a", "b", "c"]
    assert [one.message for one in effects if isinstance(one, Send)] == [
        NoChunks((bytes(chunk.hash),))
    ]
