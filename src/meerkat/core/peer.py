"""A Peer decides: one event in, effects out. Routes between the layers; no logic of its own.

Order inside ``handle``: take in the event, apply what became admissible, sign what the folder
changed, then let each layer decide once what follows (dial, ask, push, write), then flush records
to the store. Never raises for another peer's fault: that costs its link.
"""

from __future__ import annotations

from random import Random

from .actions import EditText
from .birth import Entropy, Identity, new_author, stored_pool
from .blobs import Blobs
from .disk import Disk
from .effects import (
    CloseLink,
    Effect,
    Notify,
    Perform,
    ReportFile,
    ScanFolder,
    Send,
    StartTimer,
    Trust,
)
from .events import (
    BulkReceived,
    ChunksStored,
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
    MessageReceived,
    Started,
    Stopping,
    TextEdited,
    TimerExpired,
)
from .files import Observed, PrepareResult
from .holdings import index_placed
from .ids import AuthorId, PoolId
from .local import LocalChanges
from .mesh import Mesh, Phase
from .messages import (
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
from .peer_config import PeerConfig
from .planner import Planner
from .ports import Store, Table
from .reception import Reception
from .replica import Replica
from .report import Standing, report
from .roster import Roster, read_opened
from .signing import SigningKey
from .status import Status
from .sync import Sync

__all__ = ["Peer", "PeerConfig"]


class Peer:
    """The deciding part of a node, whole in its store: a new one goes on where it stopped."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        *,
        config: PeerConfig | None = None,
        rng: Random,
        entropy: Entropy,
    ) -> None:
        config = config or PeerConfig()
        pool = stored_pool(store)
        seed = store.get(Table.META, b"author_seed")
        if pool is None or seed is None:
            raise ValueError("this store belongs to no pool; found or join one first")
        key = SigningKey(seed)
        self._store, self._identity, self._config = store, identity, config
        self._entropy = entropy
        self.pool: PoolId = pool
        self.author = AuthorId(key.public)
        opened = store.operation(self.author, 1)
        assert opened is not None, "an author's log begins with its birth"
        self._opened = opened
        self._roster = Roster(store, pool)
        self._replica = Replica(store, self._roster, key, config.replica)
        self._log = self._replica.log
        self._disk = Disk(store)
        self._blobs = Blobs(store, self._disk, config.blobs)
        bases: dict[bytes, str] = {}
        self._planner = Planner(self._replica, self._disk, self._blobs, bases, config.planner)
        self._local = LocalChanges(
            self._replica, self._disk, bases, may_be_old=not config.trust_store
        )
        self._sync = Sync(self._log, config.sync)
        self._mesh = Mesh(store, self._roster, self.author, config.mesh, rng)
        self._reception = Reception(store, self._replica, entropy)
        self._scanning = False  # may the folder be looked at?
        self._scanned = False  # has it been, once?
        self._asked = True  # did a neighbor confirm since the start that we know our own head?
        self._was_in_sync = False
        self._conflicts = 0

    # -- reading ---------------------------------------------------------------------------

    def known_files(self) -> dict[str, Observed]:
        """What the folder held when it was last seen."""
        return dict(self._disk.known())

    @property
    def in_sync(self) -> bool:
        """With every linked peer, and the disk holds it all."""
        links = self._mesh.linked
        return (
            self._scanned
            and self._planner.settled
            and not self._log.pending()
            and all(self._sync.has_all(link.id) for link in links)
        )

    def status(self) -> Status:
        """Everything at this moment, for people."""
        return report(
            self._replica,
            self._mesh,
            self._sync,
            self._blobs,
            self._disk,
            Standing(
                name=self._identity.name,
                pool_name=self._reception.pool_name,
                in_sync=self.in_sync,
                pending_files=self._planner.pending_count,
                problems=tuple(
                    self._planner.problems[one] for one in sorted(self._planner.problems)
                ),
            ),
        )

    # -- the one door in -------------------------------------------------------------------

    def handle(self, event: Event, *, now: float, wall: float) -> list[Effect]:
        """Decide on one event.

        Args:
            event: what happened.
            now: monotonic time, s.
            wall: time of day, s since the epoch; only shown to people.
        """
        effects = self._take(event, now, wall)
        more = self._replica.apply_ready()
        if more:
            effects.append(StartTimer("apply", 0.0))
        effects += self._evaluate(now)
        index_placed(self._replica, self._disk, self._blobs)
        self._disk.flush()
        self._replica.flush()
        return effects

    def _take(self, event: Event, now: float, wall: float) -> list[Effect]:
        match event:
            case MessageReceived():
                return self._on_message(event, now, wall)
            case FilesObserved():
                return self._on_files(event, wall)
            case JobsDone():
                return self._on_jobs(event, now)
            case ChunksStored():
                self._blobs.on_stored(event.blob, event.stored, event.failed)
                return []
            case BulkReceived():
                return self._blobs.on_chunks(event.link, event.chunks)
            case TextEdited():
                return self._on_typing(event, wall)
            case TimerExpired():
                return self._on_timer(event.name, now)
            case LinkUp() | LinkDown() | DialFailed() | Listening():
                return self._on_network(event, now)
            case Started():
                return self._on_started(event)
            case Stopping():
                return [CloseLink(link.id, "leave") for link in self._mesh.links.values()]
            case InviteRequested():
                return [self._reception.on_invite(event, wall)]
            case Knocked():
                return self._on_knock(event, wall)

    # -- life ------------------------------------------------------------------------------

    def _on_started(self, event: Started) -> list[Effect]:
        self._planner.look_at_all()
        effects: list[Effect] = [StartTimer("beat", self._config.sync.beat)]
        if self._store.get(Table.META, b"joining") is not None:
            return [*effects, StartTimer("first sync", self._config.first_sync_timeout)]
        if all(author == self.author for author in self._roster.authors):
            return [*effects, *self._begin_scan()]
        self._asked = False
        return [*effects, StartTimer("first sync", self._config.own_head_timeout)]

    def _begin_scan(self) -> list[Effect]:
        """We have what our neighbors have (or waited long enough): now our own files."""
        if self._scanning:
            return []
        self._scanning = True
        self._store.delete(Table.META, b"joining")
        return [ScanFolder()]

    def _on_timer(self, name: str, now: float) -> list[Effect]:
        match name:
            case "beat":
                return self._sync.beat()
            case "note":
                return self._sync.note()
            case "hello":
                return self._mesh.overdue(now)
            case "first sync":
                return self._begin_scan()
            case "blobs":
                self._blobs.wake()
                return []
            case _:  # "dial", "sync", "retry", "apply": evaluation follows anyway
                return []

    # -- network ---------------------------------------------------------------------------

    def _on_network(
        self, event: LinkUp | LinkDown | DialFailed | Listening, now: float
    ) -> list[Effect]:
        match event:
            case LinkUp():
                effects = self._mesh.link_up(
                    event.link, event.member, event.address, outbound=event.outbound, now=now
                )
                heads = self._sync.greet(event.link)
                hello = self._mesh.hello(event.link, self._opened, self._identity.name, heads)
                return [*effects, hello]
            case LinkDown():
                return self._on_link_down(event, now)
            case DialFailed():
                self._mesh.dial_failed(event.author, now)
                return []
            case Listening():
                self._mesh.listen = event.addresses
                return []

    def _on_link_down(self, event: LinkDown, now: float) -> list[Effect]:
        link = self._mesh.links.get(event.link)
        author = link.author if link is not None else None
        self._sync.link_down(event.link)
        self._blobs.link_down(event.link)
        if not self._mesh.link_down(event.link, now):
            return []
        name = self._roster.name_of(author) if author else ""
        return [Notify("peer_lost", {"name": name, "reason": event.reason})]

    def _on_message(self, event: MessageReceived, now: float, wall: float) -> list[Effect]:
        link, message = event.link, event.message
        known = self._mesh.links.get(link)
        if known is None:
            return []
        if isinstance(message, Hello):
            return self._on_hello(link, message, now, wall)
        if known.phase is not Phase.LINKED:
            return [CloseLink(link, "protocol")]
        if isinstance(message, HaveHeads):
            self._sync.on_heads(link, message)
            return []
        return self._on_linked(link, message, now, wall)

    def _on_linked(self, link: LinkId, message: Message, now: float, wall: float) -> list[Effect]:
        match message:
            case Operations():
                return self._on_operations(link, message, wall)
            case WantOperations():
                return self._sync.on_want(link, message)
            case Addresses():
                self._mesh.on_addresses(message)
                return []
            case WantChunks():
                return self._blobs.on_want(link, message)
            case NoChunks():
                self._blobs.on_absent(link, message)
                return []
            case Ping():
                return [Send(link, Pong(message.token))]
            case Pong():
                self._blobs.on_pong(link, message.token, now)
                return []
            case _:
                return []

    def _on_hello(self, link: LinkId, hello: Hello, now: float, wall: float) -> list[Effect]:
        greeted = self._mesh.on_hello(link, hello, now)
        if not greeted.linked:
            return greeted.effects
        if dict(hello.heads).get(self.author, 0) <= self._log.heads[self.author]:
            self._asked = True
        effects = [*greeted.effects]
        for effect in greeted.effects:  # a connection that this one replaces
            if isinstance(effect, CloseLink):
                self._sync.link_down(effect.link)
                self._blobs.link_down(effect.link)
        self._sync.link_up(link, hello.heads)
        self._blobs.link_up(link)
        effects.append(Send(link, self._mesh.client_list()))
        for other in self._mesh.linked:  # the others learn of the newcomer's address
            if other.id != link:
                effects.append(Send(other.id, self._mesh.client_list()))
        facts: dict[str, str | int | float | bool] = {
            "name": self._roster.name_of(AuthorId(hello.author)),
            "address": self._mesh.links[link].address,
        }
        return [*effects, Notify("peer_linked", facts)]

    def _sure(self, wall: float) -> list[Effect]:
        """Before we write: a sequence number is never used twice.

        The store may be an older copy. If nobody confirmed our own head, and nobody vouches for
        the store, we go on as a new author.
        """
        return [] if self._asked or self._config.trust_store else self._renew(wall)

    def _renew(self, wall: float) -> list[Effect]:
        """Go on as a new author; what the old one wrote is everybody's."""
        self._asked = True
        self.author = new_author(self._store, self._identity, entropy=self._entropy, wall=wall)
        seed = self._store.get(Table.META, b"author_seed")
        opened = self._store.operation(self.author, 1)
        assert seed is not None
        assert opened is not None
        self._opened = opened
        self._roster.open_author(read_opened(opened, self.pool))
        self._log.become(SigningKey(seed))
        self._replica.texts.forget()
        self._mesh.author = self.author
        # Our neighbors know these links by the old name.
        effects: list[Effect] = [CloseLink(link, "restart") for link in self._mesh.links]
        return [*effects, Notify("rolled_back", {"author": self.author.hex()})]

    def _on_operations(self, link: LinkId, message: Operations, wall: float) -> list[Effect]:
        result = self._log.admit(message.operations)
        self._sync.on_operations(link, result, answer=message.answer)
        effects = self._sync.relay(result.admitted, link)
        if any(one.author == self.author for one in result.admitted) or self.author in result.forks:
            effects += self._renew(wall)  # we signed what we do not know: restored, or copied
        if result.forks:
            names = ", ".join(self._roster.name_of(one) for one in sorted(result.forks))
            effects.append(Notify("fork", {"name": names}))
        return effects

    # -- folder ----------------------------------------------------------------------------

    def _on_files(self, event: FilesObserved, wall: float) -> list[Effect]:
        effects = self._sure(wall) if event.seen or event.gone or event.moved else []
        before = self._log.heads[self.author]
        self._local.observe(event, wall)
        paths = [seen.path for seen in event.seen] + list(event.gone)
        for path in paths + [one for pair in event.moved for one in pair]:
            self._planner.look_again(path)
        self._scanned = self._scanned or event.scan_complete
        unread = [ReportFile(path) for path in sorted(self._local.unread)]
        self._local.unread.clear()
        return [*effects, *unread, *self._push_own(before)]

    def _push_own(self, before: int) -> list[Effect]:
        last = self._log.heads[self.author]
        own = [self._log.operation(self.author, one) for one in range(before + 1, last + 1)]
        return self._sync.relay(own, None)

    def _on_jobs(self, event: JobsDone, now: float) -> list[Effect]:
        for result in event.results:
            if isinstance(result, PrepareResult):
                self._blobs.on_prepared(result)
            else:
                self._planner.done(result, now)
        return []

    def _on_typing(self, event: TextEdited, wall: float) -> list[Effect]:
        """Our own editors. Positions are checked; what does not fit is refused whole."""
        effects = self._sure(wall)
        before = self._log.heads[self.author]
        _, version = self._replica.tree.find(event.file, event.version)
        if version is not None and version.kind == "text" and version.live:
            self._replica.before_edit(version)
            updates = self._replica.texts.edit(version, event.edits)
            self._replica.write(
                [EditText(event.file, version.id, update) for update in updates], wall
            )
        return [*effects, *self._push_own(before)]

    # -- the door --------------------------------------------------------------------------

    def _on_knock(self, event: Knocked, wall: float) -> list[Effect]:
        effects = self._sure(wall)
        before = self._log.heads[self.author]
        answer = self._reception.on_knock(event, self._mesh.client_list().entries, wall)
        pushed = [*self._push_own(before), *self._sync.relay(answer.admitted, None)]
        return [*effects, *pushed, *answer.effects]

    # -- deciding once ---------------------------------------------------------------------

    def _evaluate(self, now: float) -> list[Effect]:
        """What follows from the state, whatever event led to it."""
        effects: list[Effect] = []
        if self._roster.changed:
            self._roster.changed = False
            effects.append(Trust(self._roster.certificates()))
        effects += self._mesh.evaluate(now)
        effects += self._sync.evaluate(now)
        self._gather_dirty()
        effects += self._plan(now)
        effects += self._blobs.evaluate(now)
        effects += self._milestones()
        return effects

    def _has_pool(self) -> bool:
        """Whether a newcomer has all that its first neighbors have."""
        log = self._log
        return len(log.heads) > 1 and not self._sync.missing and not log.pending()

    def _gather_dirty(self) -> None:
        planner = self._planner
        for source in (self._replica.view.changed, self._local.dirty, self._blobs.dirty):
            planner.dirty |= source
            source.clear()

    def _plan(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        jobs = self._planner.plan(now)
        if jobs:
            effects.append(Perform(tuple(jobs)))
        due = self._planner.next_due()
        if due is not None:
            effects.append(StartTimer("retry", max(due - now, 0.01)))
        return effects

    def _milestones(self) -> list[Effect]:
        effects: list[Effect] = []
        if not self._scanning and self._mesh.linked and self._has_pool():
            effects += self._begin_scan()
        in_sync = self.in_sync
        if in_sync != self._was_in_sync:
            self._was_in_sync = in_sync
            if in_sync:
                files, peers = len(self._replica.view.files), len(self._mesh.linked)
                effects.append(Notify("synced", {"files": files, "peers": peers}))
        conflicts = self._replica.view.conflict_count
        if conflicts > self._conflicts:
            effects.append(Notify("conflict", {"count": conflicts}))
        self._conflicts = conflicts
        return effects
