"""A Peer decides: one event in, effects out. Routes between the layers; no logic of its own.

Order inside ``handle``: take in the event, apply what became admissible, sign what the folder
changed, then let each layer decide once what follows (dial, ask, push, write), then flush records
to the store. Never raises for another peer's fault: that costs its link.
"""

from __future__ import annotations

from random import Random

from .birth import Entropy, Identity, new_author, stored_pool
from .effects import CloseLink, Effect, Notify, ScanFolder, Send, StartTimer, Trust
from .events import (
    BulkReceived,
    ChunksStored,
    ChunksUnread,
    DatabaseRequested,
    DialFailed,
    Discovered,
    EchoRequested,
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
    NetworkChanged,
    PublishRequested,
    RenameRequested,
    RowsReported,
    RowsRestarted,
    SayRequested,
    Started,
    Stopping,
    TextEdited,
    TimerExpired,
)
from .files import Observed
from .folder_side import FolderSide
from .ids import AuthorId, MemberId, PoolId
from .messages import (
    Beat,
    HaveChunks,
    HaveHeads,
    Hello,
    Message,
    NetworkMessage,
    NoChunks,
    Operations,
    Ping,
    Pong,
    WantChunks,
    WantOperations,
)
from .network import Network
from .peer_config import PeerConfig
from .ports import Store, Table
from .reception import Reception
from .replica import Replica
from .report import Standing, list_databases, list_files, report
from .roster import Roster, read_opened
from .roster_gate import RosterGate
from .sealed import opener, sealer
from .sessions import Sessions
from .signing import SigningKey
from .status import ChatLine, DatabaseEntry, FileEntry, NetworkPicture, Person, Status
from .sync import Sync
from .talk import Talk
from .writing import EditorEvent, Writing

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
        self._roster = Roster(store, pool)
        self._replica = Replica(store, self._roster, key, config.replica)
        self._log = self._replica.log
        self._gate = RosterGate(self._roster, key, opened)
        self._sessions = Sessions(
            store, self._replica, self._gate, identity.member, config.cursors, entropy
        )
        self._folder = FolderSide(store, self._replica, config, rng, self._sessions.held)
        self._blobs = self._folder.blobs
        seal, open_ = sealer(entropy), opener(identity.key.seed)
        self._network = Network(
            self._gate,
            store,
            config.network,
            rng=rng,
            entropy=entropy,
            seal=seal,
            open_=open_,
        )
        self._talk = Talk(
            store,
            self._replica,
            self._gate,
            self._network.courier,
            config.talk,
            rng,
            seal=seal,
            open_=open_,
        )
        self._sync = Sync(self._log, config.sync, self._network.trees)
        self._network.overlay.heads_for_hello = self._sync.hello_heads
        self._network.on_cursors = self._sessions.hear
        self._reception = Reception(store, self._replica, entropy)
        self._writing = Writing(
            self._log,
            self._sync,
            self._network,
            folder=self._folder,
            sessions=self._sessions,
            talk=self._talk,
            reception=self._reception,
            sure=self._sure,
        )
        self._scanning = False  # may the folder be looked at?
        self._asked = True  # did a neighbor confirm since the start that we know our own head?
        self._was_in_sync = False
        self._conflicts = 0
        self._now = 0.0

    # -- reading ---------------------------------------------------------------------------

    def known_files(self) -> dict[str, Observed]:
        """What the folder held when it was last seen."""
        return self._folder.known_files()

    @property
    def in_sync(self) -> bool:
        """With every linked peer, and the disk holds it all."""
        return (
            self._folder.settled
            and not self._log.pending()
            and self._sync.all_have(link.id for link in self._network.linked)
        )

    def network(self) -> NetworkPicture:
        """Who is here and who is linked to whom, as far as this peer heard."""
        return self._network.picture(self._now)

    def neighbors(self) -> list[AuthorId]:
        """Whom it is linked to, sorted."""
        return self._network.authors()

    def chat_history(self, limit: int) -> list[ChatLine]:
        """The newest lines of the talk that this peer may read, the newest last."""
        return self._talk.history(limit)

    def people(self) -> list[Person]:
        """Who is in which text."""
        return self._sessions.people()

    def files(self) -> list[FileEntry]:
        """Everything in the folder, as the pool has it, by path."""
        return list_files(self._replica, self._folder.databases)

    def databases(self) -> list[DatabaseEntry]:
        """Every database of the pool, by path."""
        return list_databases(self._replica, self._folder)

    def database_paths(self) -> list[str]:
        """Where live databases stand in the folder."""
        return list(self._folder.disk.databases)

    def find_member(self, wanted: str) -> MemberId:
        """Whom a person means by a name, or by how an id begins.

        Raises:
            UnknownMember: if nobody, or more than one.
        """
        return self._roster.find(wanted)

    def author_name(self, author: AuthorId) -> str:
        """How an author is shown; never empty."""
        return self._roster.name_of(author)

    def name_of(self, member: MemberId) -> str:
        """How a member is shown."""
        return self._roster.shown_name(member)

    def status(self) -> Status:
        """Everything at this moment, for people."""
        record = self._roster.members.get(self._identity.member)
        return report(
            self._replica,
            self._network.linked,
            self._sync,
            self._folder,
            Standing(
                name=record.name if record is not None else self._identity.name,
                pool_name=self._reception.pool_name,
                in_sync=self.in_sync,
                now=self._now,
            ),
            self._sessions.color_of,
        )

    # -- the one door in -------------------------------------------------------------------

    def handle(self, event: Event, *, now: float, wall: float) -> list[Effect]:
        """Decide on one event.

        Args:
            event: what happened.
            now: monotonic time, s.
            wall: time of day, s since the epoch; shown to people, and stamped on contacts.
        """
        self._now = now
        effects = self._take(event, now, wall)
        more = self._replica.apply_ready()
        if more:
            effects.append(StartTimer("apply", 0.0))
        effects += self._writing.settle_saves(now, wall)
        if self._may_write:
            effects += self._writing.settle_line_ends(now, wall)
        effects += self._writing.converse(now, wall, may_write=self._may_write)
        effects += self._evaluate(now, wall)
        self._folder.flush()
        self._replica.flush()
        return effects

    def _take(self, event: Event, now: float, wall: float) -> list[Effect]:
        if isinstance(event, EditorEvent):
            return self._writing.on_editor(event, now, wall)
        match event:
            case MessageReceived():
                return self._on_message(event.link, event.message, now, wall)
            case ChunksUnread():
                return self._blobs.on_unread(event.link, event.chunks)
            case BulkReceived():
                return self._blobs.on_chunks(event.link, event.chunks)
            case TimerExpired():
                return self._on_timer(event.name, now, wall)
            case FilesObserved() | JobsDone() | ChunksStored() | TextEdited():
                return self._writing.on_folder(event, now, wall)
            case RowsReported():
                return self._writing.on_rows(event, now, wall)
            case RowsRestarted():
                self._folder.on_rows_restarted()
                return []
            case DatabaseRequested():
                self._folder.switch(event)
                return []
            case LinkDown():
                return self._on_link_down(event, now)
            case LinkUp():
                if event.outbound:  # our Hello goes out at once
                    self._sync.greet(event.link)
                return self._network.on_event(event, now, wall)
            case DialFailed() | Listening() | Discovered() | NetworkChanged():
                return self._network.on_event(event, now, wall)
            case Started():
                return self._on_started(event)
            case Stopping():
                self._sessions.stop()
                return [*self._sessions.evaluate(now), *self._network.stopping(now)]
            case InviteRequested():
                return [self._reception.on_invite(event, wall)]
            case Knocked():
                return self._writing.on_knock(event, now, wall)
            case SayRequested() | RenameRequested() | PublishRequested() | EchoRequested():
                return self._writing.on_request(event, now, wall)

    # -- life ------------------------------------------------------------------------------

    def _on_started(self, event: Started) -> list[Effect]:
        self._network.started(event.wall)
        self._talk.started()
        effects = self._folder.started()
        effects.append(StartTimer("beat", self._config.sync.beat))
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

    def _on_timer(self, name: str, now: float, wall: float) -> list[Effect]:
        match name:
            case "beat":
                return self._sync.beat(now)
            case "first sync":
                return self._begin_scan()
            case "blobs":
                self._blobs.wake()
                return []
            case "talk":
                return self._talk.on_timer()
            case _:  # "retry", "apply": evaluation follows anyway
                return self._network.on_timer(name, now, wall)

    # -- network ---------------------------------------------------------------------------

    def _on_link_down(self, event: LinkDown, now: float) -> list[Effect]:
        link = self._network.overlay.links.get(event.link)
        author = link.author if link is not None else None
        was_neighbor, effects = self._network.on_link_down(event, now)
        self._unlink(event.link)
        if not was_neighbor or (author and self._network.overlay.link_of(author)):
            return effects  # another link took its place
        name = self._roster.name_of(author) if author else ""
        return [*effects, Notify("peer_lost", {"name": name, "reason": event.reason})]

    def _unlink(self, link: LinkId) -> None:
        self._sync.link_down(link)
        self._blobs.link_down(link)

    def _on_message(self, link: LinkId, message: Message, now: float, wall: float) -> list[Effect]:
        if isinstance(message, Hello):
            return self._on_hello(link, message, now, wall)
        if not self._network.is_neighbor(link):
            return self._network.on_stranger(link, message, now, wall)
        if isinstance(message, Beat):
            self._sync.on_beat(link, message.heads_hash, now)
        if isinstance(message, NetworkMessage):
            return self._network.on_message(link, message, now, wall)
        return self._on_linked(link, message, now, wall)

    def _on_linked(self, link: LinkId, message: Message, now: float, wall: float) -> list[Effect]:
        match message:
            case Operations():
                return self._on_operations(link, message, now, wall)
            case HaveHeads():
                self._sync.on_heads(link, message, now)
                self._asked = self._asked or self._sync.vouches(link, self.author)
            case WantOperations():
                return self._sync.on_want(link, message)
            case WantChunks():
                return self._blobs.on_want(link, message)
            case NoChunks():
                self._blobs.on_absent(link, message)
            case HaveChunks():
                self._blobs.on_have(link, message)
            case Ping():
                return [Send(link, Pong(message.token))]
            case Pong():
                self._blobs.on_pong(link, message.token, now)
        return []

    def _on_hello(self, link: LinkId, hello: Hello, now: float, wall: float) -> list[Effect]:
        greeted = self._network.on_hello(link, hello, now, wall)
        if not greeted.linked:
            return greeted.effects
        if hello.heads and dict(hello.heads).get(self.author, 0) <= self._log.heads[self.author]:
            self._asked = True
        for effect in greeted.effects:  # a connection that this one replaces
            if isinstance(effect, CloseLink):
                self._unlink(effect.link)
        if not self._network.overlay.links[link].outbound:
            self._sync.greet(link)
        self._sync.link_up(link, hello.heads, hello.heads_hash, now)
        self._asked = self._asked or self._sync.vouches(link, self.author)
        self._blobs.link_up(link)
        facts: dict[str, str | int | float | bool] = {
            "name": self._roster.name_of(AuthorId(hello.author)),
            "address": self._network.overlay.links[link].address,
        }
        return [*greeted.effects, Notify("peer_linked", facts)]

    def _on_operations(
        self, link: LinkId, message: Operations, now: float, wall: float
    ) -> list[Effect]:
        if not message.answer:
            self._blobs.news(link)
        result = self._log.admit(message.operations)
        effects = self._sync.on_operations(link, result, now, answer=message.answer)
        effects += self._sync.relay(result.admitted, link, now)
        for author in dict.fromkeys(one.author for one in result.admitted):
            self._network.courier.learn(author, link, now)
        if any(one.author == self.author for one in result.admitted) or self.author in result.forks:
            effects += self._renew(now, wall)  # we signed what we do not know: restored, or copied
        if result.forks:
            names = ", ".join(self._roster.name_of(one) for one in sorted(result.forks))
            effects.append(Notify("fork", {"name": names}))
        return effects

    # -- writing ---------------------------------------------------------------------------

    def _sure(self, now: float, wall: float) -> list[Effect]:
        """Before we write: a sequence number is never used twice.

        The store may be an older copy. If nobody confirmed our own head, and nobody vouches for
        the store, we go on as a new author.
        """
        return [] if self._may_write else self._renew(now, wall)

    @property
    def _may_write(self) -> bool:
        return self._asked or self._config.trust_store

    def _renew(self, now: float, wall: float) -> list[Effect]:
        """Go on as a new author; what the old one wrote is everybody's."""
        self._asked = True
        self.author = new_author(self._store, self._identity, entropy=self._entropy, wall=wall)
        seed = self._store.get(Table.META, b"author_seed")
        opened = self._store.operation(self.author, 1)
        assert seed is not None
        assert opened is not None
        key = SigningKey(seed)
        self._roster.open_author(read_opened(opened, self.pool))
        self._log.become(key)
        self._replica.texts.forget()
        self._gate.become(key, opened)
        self._network.become(now, wall)
        # Our neighbors know these links by the old name.
        effects: list[Effect] = [CloseLink(link, "restart") for link in self._network.overlay.links]
        return [*effects, Notify("rolled_back", {"author": self.author.hex()})]

    # -- deciding once ---------------------------------------------------------------------

    def _evaluate(self, now: float, wall: float) -> list[Effect]:
        """What follows from the state, whatever event led to it."""
        effects: list[Effect] = []
        if self._roster.changed:
            self._roster.changed = False
            effects.append(Trust(self._roster.certificates()))
        effects += self._network.evaluate(now, wall)
        effects += self._sync.evaluate(now)
        effects += self._sessions.evaluate(now)
        payload, more = self._sessions.say(now)
        if payload:
            effects += self._network.say_cursors(payload, now)
        effects += self._folder.evaluate(now)
        return [*effects, *more, *self._milestones()]

    def _has_pool(self) -> bool:
        """Whether a newcomer has all that its first neighbors have."""
        log = self._log
        return len(log.heads) > 1 and not self._sync.missing and not log.pending()

    def _milestones(self) -> list[Effect]:
        effects: list[Effect] = []
        peers = len(self._network.linked)
        if not self._scanning and peers and self._has_pool():
            effects += self._begin_scan()
        in_sync = self.in_sync
        if in_sync != self._was_in_sync:
            self._was_in_sync = in_sync
            if in_sync:
                files = len(self._replica.view.files)
                effects.append(Notify("synced", {"files": files, "peers": peers}))
        conflicts = self._replica.view.conflict_count
        if self._sessions.news():
            effects.append(Notify("people", {}))
        if conflicts > self._conflicts:
            effects.append(Notify("conflict", {"count": conflicts}))
        self._conflicts = conflicts
        return effects
