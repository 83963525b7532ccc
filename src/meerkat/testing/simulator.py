"""Many peers, one heap of events, one seed: the real core under faults.

Everything that could vary (time, chance, the order of events, keys) comes from the seed, so a
failing seed is a test. A message passes through ``wire`` both ways; a crash forgets what was not
committed and restarts from store and folder; links break, messages are late, lost, doubled or
out of order (a network worse than TCP, which the protocol must survive all the same).
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from meerkat.core.birth import Identity, begin_join, finish_join, found_pool
from meerkat.core.door import fingerprint, make_knock, read_welcome
from meerkat.core.effects import (
    AnswerKnock,
    CloseLink,
    Dial,
    Effect,
    InvitationMade,
    Notify,
    Perform,
    ReportFile,
    ScanFolder,
    Send,
    ServeChunks,
    StartTimer,
    StoreChunk,
)
from meerkat.core.events import (
    ChunksStored,
    ChunksUnread,
    DialFailed,
    Event,
    FilesObserved,
    InviteRequested,
    JobsDone,
    Knocked,
    LinkDown,
    LinkId,
    LinkUp,
    Listening,
    Started,
    TimerExpired,
)
from meerkat.core.files import Job, JobResult, KeepResult, PrepareResult
from meerkat.core.ids import ContentHash, PoolId
from meerkat.core.packing import pack
from meerkat.core.peer import Peer, PeerConfig
from meerkat.core.ports import Table
from meerkat.core.signing import SigningKey
from meerkat.testing.faults import Faults
from meerkat.testing.frames import Frame, chunk_arrival
from meerkat.testing.memory_folder import MemoryFolder
from meerkat.testing.memory_store import MemoryStore
from meerkat.testing.populated import fill_stores

__all__ = ["SimulatedPeer", "Simulator"]

WALL = 1_790_000_000.0  # s since the epoch at virtual time 0
NEXT = 1e-9  # s between two frames of one link: what comes at one instant comes in any order
LOCAL_DELAY = 0.002  # s, a job or an observation; a guess of a disk's order


@dataclass(slots=True)
class _Wire:
    """One connection: a (peer, its link id) at each end."""

    ends: tuple[tuple[int, LinkId], tuple[int, LinkId]]
    open: bool = True
    last: dict[int, float] = field(default_factory=dict)  # receiver -> when its last frame arrives


@dataclass(slots=True)
class SimulatedPeer:
    """A peer with its store, folder and place in the network."""

    index: int
    name: str
    identity: Identity
    store: MemoryStore
    folder: MemoryFolder
    peer: Peer | None = None
    epoch: int = 0  # counts restarts; events for an earlier life are dropped
    wires: dict[LinkId, _Wire] = field(default_factory=dict)
    next_link: int = 0
    timers: dict[str, int] = field(default_factory=dict)
    notes: list[Notify] = field(default_factory=list)
    dialable: bool = True
    watched: bool = False  # did the peer ask for the folder to be looked at?
    jobs_until: float = 0.0
    upload_until: float = 0.0
    jobs: list[tuple[Job, ...]] = field(default_factory=list)  # under way, oldest first

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"sim:{self.index}"


class Simulator:
    """A pool of simulated peers and the time they live in."""

    def __init__(
        self, seed: int, *, faults: Faults | None = None, config: PeerConfig | None = None
    ) -> None:
        self.rng = Random(seed)
        self.faults = faults or Faults()
        self.now = 0.0
        self.peers: list[SimulatedPeer] = []
        self.pool: PoolId | None = None
        self.event_count = 0
        self.upload = 0.0  # bytes/s of content that a peer can send; 0: any number
        self._config = config
        self._heap: list[tuple[float, int, int, int, Callable[[], None]]] = []
        self._count = 0
        self._groups: dict[int, int] | None = None
        self._severed: set[frozenset[int]] = set()  # pairs that cannot reach each other
        self._trace = hashlib.sha256()
        self._answers: dict[int, AnswerKnock] = {}
        self._invitations: dict[int, InvitationMade] = {}
        self._frame: Frame | None = None  # the last that was sent
        self.on_other: Callable[[SimulatedPeer, Effect], None] = lambda one, effect: None
        """Told of the effects that are for people and their editors."""

    # -- building --------------------------------------------------------------------------

    def _entropy(self, count: int) -> bytes:
        return self.rng.randbytes(count)

    def _new(self, name: str) -> SimulatedPeer:
        identity = Identity(SigningKey(self._entropy(32)), b"certificate of " + name.encode(), name)
        one = SimulatedPeer(len(self.peers), name, identity, MemoryStore(), MemoryFolder())
        self.peers.append(one)
        return one

    def found(self, name: str = "alice") -> SimulatedPeer:
        """The first peer makes a pool."""
        one = self._new(name)
        with one.store.transaction():
            self.pool = found_pool(
                one.store,
                one.identity,
                pool_name="simulated",
                entropy=self._entropy,
                wall=WALL + self.now,
            )
        self._start(one)
        return one

    def join(
        self,
        name: str,
        via: SimulatedPeer,
        *,
        files: dict[str, bytes] | None = None,
        dialable: bool = True,
    ) -> SimulatedPeer:
        """A newcomer knocks at a member's door, perhaps with files of its own."""
        assert self.pool is not None
        one = self._new(name)
        one.dialable = dialable
        for path, data in sorted((files or {}).items()):
            one.folder.write(path, data)
        ticket = len(self._invitations) + 1
        self.handle(via, InviteRequested(ticket, 1, 3600.0))
        made = self._invitations[ticket]
        newborn = begin_join(one.identity, self.pool, entropy=self._entropy, wall=WALL + self.now)
        door = via.identity.certificate
        request = make_knock(made.invitation, made.secret, fingerprint(door), newborn.opened.data)
        self.handle(via, Knocked(ticket, request, one.address, door))
        answer = self._answers.pop(ticket)
        assert answer.reply is not None, answer.refusal
        welcome = read_welcome(answer.reply)
        with one.store.transaction():
            finish_join(
                one.store,
                newborn,
                pool_name=welcome.pool_name,
                introductions=welcome.introductions,
            )
            for entry in welcome.addresses:
                one.store.put(Table.ADDRESS, entry.author, pack(list(entry.addresses)))
        self._start(one)
        return one

    def populate(self, count: int) -> list[SimulatedPeer]:
        """A pool with so many members. All are away: ``restart`` brings one back.

        They know each other from the log, but only the first one's address.
        """
        all_ = [self._new(f"peer{number}") for number in range(count)]
        residents = [(one.identity, one.store) for one in all_]
        wall = WALL + self.now
        self.pool = fill_stores(residents, all_[0].address, entropy=self._entropy, wall=wall)
        return all_

    def _start(self, one: SimulatedPeer) -> None:
        one.peer = Peer(
            one.store,
            one.identity,
            config=self._config,
            rng=Random(self.rng.random()),
            entropy=self._entropy,
        )
        one.folder.restart(one.peer.known_files())
        self.handle(one, Listening((one.address,) if one.dialable else ()))
        self.handle(one, Started(WALL + self.now))

    # -- faults ----------------------------------------------------------------------------

    def crash(self, one: SimulatedPeer) -> None:
        """Kill -9: links break, what was under way is done or not, by chance."""
        if one.peer is None:
            return
        one.peer = None
        one.epoch += 1
        one.watched = False
        one.timers.clear()
        one.jobs_until = 0.0
        jobs = [job for batch in one.jobs for job in batch]
        one.folder.perform(jobs[: self.rng.randint(0, len(jobs))])
        one.jobs.clear()
        for wire in list(one.wires.values()):  # one with both ends here stands for two links
            self._cut(wire, "lost")

    def restart(self, one: SimulatedPeer) -> None:
        """Start again from store and folder."""
        if one.peer is None:
            self._start(one)

    def partition(self, *groups: Sequence[SimulatedPeer]) -> None:
        """Only peers of one group reach each other."""
        self._groups = {one.index: n for n, group in enumerate(groups) for one in group}
        self._cut_unreachable()

    def sever(self, one: SimulatedPeer, other: SimulatedPeer) -> None:
        """These two cannot reach each other, until they ``join_again`` or all is mended."""
        self._severed.add(frozenset((one.index, other.index)))
        self._cut_unreachable()

    def join_again(self, one: SimulatedPeer, other: SimulatedPeer) -> None:
        """These two reach each other again."""
        self._severed.discard(frozenset((one.index, other.index)))

    def _cut_unreachable(self) -> None:
        for one in self.peers:
            for wire_ in list(one.wires.values()):
                (a, _), (b, _) = wire_.ends
                if not self._reaches(a, b):
                    self._cut(wire_, "lost")

    def mend(self) -> None:
        """Everyone reaches everyone again."""
        self._groups = None
        self._severed.clear()

    def heal(self) -> None:
        """Everyone runs and reaches everyone, and no message is lost any more."""
        self.mend()
        self.faults = Faults(delay=self.faults.delay)
        for one in self.peers:
            self.restart(one)

    def _reaches(self, a: int, b: int) -> bool:
        if frozenset((a, b)) in self._severed:
            return False
        return self._groups is None or self._groups.get(a) == self._groups.get(b)

    def _cut(self, one: _Wire, reason: str, but: int | None = None) -> None:
        if not one.open:
            return
        one.open = False
        for index, link in one.ends:
            end = self.peers[index]
            end.wires.pop(link, None)
            if index != but:
                self._later(end, self.faults.delay, LinkDown(link, reason))

    # -- time ------------------------------------------------------------------------------

    def _later(self, one: SimulatedPeer, delay: float, event: Event) -> None:
        epoch = one.epoch

        def happen() -> None:
            if one.epoch == epoch and one.peer is not None:
                self.handle(one, event)

        self._at(self.now + delay, happen)

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self.rng.getrandbits(32), self._count, 0, happen))

    def call_at(self, when: float, happen: Callable[[], None]) -> None:
        """Something a scenario does at a virtual time (s)."""
        self._at(when, happen)

    def run(self, until: float) -> None:
        """Let time pass until ``until`` (virtual s)."""
        while self._heap and self._heap[0][0] <= until:
            when, _, _, _, happen = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            happen()
        self.now = until

    def settle(self, limit: float = 60.0) -> float:
        """Run until all is quiet and equal, or ``limit`` virtual seconds passed; s it took."""
        start = self.now
        while self.now - start < limit:
            self.run(self.now + 0.25)
            if self.converged():
                break
        return self.now - start

    def converged(self) -> bool:
        """Whether every peer says that it is in sync, and all have the same heads."""
        alive = [one for one in self.peers if one.peer is not None]
        statuses = [one.peer.status() for one in alive if one.peer is not None]
        return all(s.in_sync and s.heads == statuses[0].heads for s in statuses) and all(
            one.folder.scan() == FilesObserved(scan_complete=True) or self._rescan(one)
            for one in alive
        )

    def _rescan(self, one: SimulatedPeer) -> bool:
        """Something was saved since the last look; it is not over yet."""
        one.folder.restart(one.peer.known_files() if one.peer is not None else {})
        self.look(one)
        return False

    # -- one event -------------------------------------------------------------------------

    def handle(self, one: SimulatedPeer, event: Event) -> None:
        """As ``Node.step``: decide, commit, then perform."""
        peer = one.peer
        if peer is None:
            return
        self.event_count += 1
        with one.store.transaction():
            effects = peer.handle(event, now=self.now, wall=WALL + self.now)
        self._trace.update(f"{self.now:.6f} {one.index} {type(event).__name__}".encode())
        for effect in effects:
            self._trace.update(type(effect).__name__.encode())
            self._perform(one, effect)

    @property
    def trace(self) -> str:
        """A digest of everything that happened, to compare two runs of one seed."""
        heads = [one.peer.status().heads for one in self.peers if one.peer is not None]
        return hashlib.sha256(self._trace.digest() + repr(heads).encode()).hexdigest()

    def _perform(self, one: SimulatedPeer, effect: Effect) -> None:
        match effect:
            case Send():
                frame = self._frame
                if frame is None or frame.message is not effect.message:
                    frame = self._frame = Frame(effect.message)
                self._carry(one, effect.link, frame.arrival)
            case Dial():
                self._dial(one, effect)
            case CloseLink():
                found = one.wires.get(effect.link)
                if found is not None:
                    self._cut(found, effect.reason)
            case StartTimer():
                self._timer(one, effect)
            case Perform():
                self._jobs(one, effect)
            case ScanFolder():
                one.watched = True
                self.look(one)
            case ReportFile():
                one.folder.known.pop(effect.path, None)
                self.look(one)
            case ServeChunks():
                self._serve(one, effect)
            case StoreChunk():
                stored = one.folder.store(effect.blob, effect.index, effect.data)
                good, bad = ((effect.index,), ()) if stored else ((), (effect.index,))
                self._later(one, LOCAL_DELAY, ChunksStored(effect.blob, good, bad))
            case InvitationMade():
                self._invitations[effect.ticket] = effect
            case AnswerKnock():
                self._answers[effect.ticket] = effect
            case Notify():
                one.notes.append(effect)
            case _:  # nor is there TLS here (Trust)
                self.on_other(one, effect)

    def _timer(self, one: SimulatedPeer, effect: StartTimer) -> None:
        number = self._count
        one.timers[effect.name] = number
        epoch = one.epoch

        def ring() -> None:
            if one.epoch == epoch and one.timers.get(effect.name) == number:
                del one.timers[effect.name]
                self.handle(one, TimerExpired(effect.name))

        self._at(self.now + effect.delay, ring)

    # -- folder ----------------------------------------------------------------------------

    def look(self, one: SimulatedPeer, delay: float = LOCAL_DELAY) -> None:
        """The scanner looks at the folder a moment later."""
        epoch = one.epoch

        def scan() -> None:
            if one.epoch == epoch and one.peer is not None and one.watched:
                self.handle(one, one.folder.scan())

        self._at(self._in_order(one, delay), scan)

    def _jobs(self, one: SimulatedPeer, effect: Perform) -> None:
        epoch = one.epoch
        one.jobs.append(effect.jobs)

        def work() -> None:
            if one.epoch == epoch:  # else it crashed meanwhile
                one.jobs.pop(0)
                results = tuple(one.folder.perform(effect.jobs))
                self._at(self.now, lambda: deliver(results))

        def deliver(results: tuple[JobResult | PrepareResult | KeepResult, ...]) -> None:
            if one.epoch == epoch and one.peer is not None:
                self.handle(one, JobsDone(results))

        self._at(self._in_order(one, LOCAL_DELAY), work)

    def _in_order(self, one: SimulatedPeer, delay: float) -> float:
        """The folder has one worker: what it does later happens later."""
        one.jobs_until = max(one.jobs_until, self.now) + self.rng.uniform(0.5, 1.5) * delay
        return one.jobs_until

    # -- network ---------------------------------------------------------------------------

    def _dial(self, one: SimulatedPeer, effect: Dial) -> None:
        index = int(effect.address.rpartition(":")[2])
        target = self.peers[index]

        def connect() -> None:
            reachable = target.dialable and target.peer is not None
            if one.peer is None or not reachable or not self._reaches(one.index, index):
                self._later(one, 0.0, DialFailed(effect.author, effect.address, "refused"))
                return
            ends = ((one.index, self._link(one)), (index, self._link(target)))
            made = _Wire(ends)
            one.wires[ends[0][1]] = made
            target.wires[ends[1][1]] = made
            self._later(
                one, 0.0, LinkUp(ends[0][1], target.identity.member, effect.address, outbound=True)
            )
            self._later(
                target, 0.0, LinkUp(ends[1][1], one.identity.member, one.address, outbound=False)
            )

        self._at(self.now + self._delay() * 2, connect)

    def _link(self, one: SimulatedPeer) -> LinkId:
        one.next_link += 1
        return LinkId(one.next_link)

    def _delay(self) -> float:
        return self.faults.delay * self.rng.uniform(0.5, 1.5)

    def _carry(self, one: SimulatedPeer, link: LinkId, event: Callable[[LinkId], Event]) -> None:
        found = one.wires.get(link)
        if found is None:
            return
        other, other_link = found.ends[1] if found.ends[0] == (one.index, link) else found.ends[0]
        faults = self.faults
        if self.rng.random() < faults.breaks:
            self._cut(found, "lost")
            return
        if self.rng.random() < faults.loss:
            return
        copies = 2 if self.rng.random() < faults.duplicate else 1
        for _ in range(copies):
            when = self.now + self._delay()
            if self.rng.random() >= faults.reorder:
                when = max(when, found.last.get(other, 0.0) + NEXT)
                found.last[other] = when

            def arrive() -> None:
                if found.open and self.peers[other].peer is not None:
                    self.handle(self.peers[other], event(other_link))

            self._at(when, arrive)

    def _serve(self, one: SimulatedPeer, effect: ServeChunks) -> None:
        for chunk, place in effect.chunks:
            data = place if isinstance(place, bytes) else one.folder.read(place, chunk)
            if data is None:
                self._later(one, LOCAL_DELAY, ChunksUnread(effect.link, ((chunk, place),)))
            else:
                self._upload(one, effect.link, chunk, data)

    def _upload(self, one: SimulatedPeer, link: LinkId, chunk: ContentHash, data: bytes) -> None:
        if not self.upload:
            self._carry(one, link, chunk_arrival(chunk, data))
            return
        one.upload_until = max(one.upload_until, self.now) + len(data) / self.upload
        self._at(one.upload_until, lambda: self._carry(one, link, chunk_arrival(chunk, data)))
