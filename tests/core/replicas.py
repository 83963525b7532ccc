"""Replicas without peers: authors of one pool who hand each other operations by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from meerkat.core.actions import Action, MemberAdded
from meerkat.core.birth import Identity, begin_join, finish_join, found_pool
from meerkat.core.ids import AuthorId, PoolId
from meerkat.core.log import Admission
from meerkat.core.operation import Operation
from meerkat.core.ports import Table
from meerkat.core.replica import Replica, ReplicaConfig
from meerkat.core.roster import Roster
from meerkat.core.signing import SigningKey
from meerkat.core.texts import file_bytes
from meerkat.testing.memory_store import MemoryStore

WALL = 1_790_000_000.0
NAMES = ("alice", "bob", "carol", "dave")


def seed_of(name: str, what: str) -> bytes:
    return f"{name} {what}".encode().ljust(32, b".")


def entropy_of(name: str):
    """The same author key for the same name, every time."""
    return lambda count: seed_of(name, "author")[:count]


@dataclass
class Party:
    """One replica with its store."""

    name: str
    store: MemoryStore
    identity: Identity
    replica: Replica = field(init=False)

    def load(self, pool: PoolId) -> None:
        seed = self.store.get(Table.META, b"author_seed")
        assert seed is not None
        roster = Roster(self.store, pool)
        self.replica = Replica(self.store, roster, SigningKey(seed), ReplicaConfig())

    @property
    def author(self) -> AuthorId:
        return self.replica.log.author

    def write(self, *actions: Action) -> list[Operation]:
        with self.store.transaction():
            written = self.replica.write(list(actions), WALL)
            self.replica.flush()
        return written

    def take(self, batch: Sequence[bytes]) -> Admission:
        """What a message with these operations does."""
        with self.store.transaction():
            admission = self.replica.log.admit(batch)
            while self.replica.apply_ready():
                pass
            self.replica.flush()
        return admission

    def operations(self) -> list[bytes]:
        """All it has, by author."""
        found = []
        for author, last in self.replica.log.heads.items():
            found += self.store.operations(author, 1, last, limit_bytes=1 << 40)
        return found

    def paths(self) -> dict[str, tuple[str, bytes, bool]]:
        """What people would see: path -> kind, content, executable."""
        tree, found = self.replica.tree, {}
        for path, shown in sorted(self.replica.view.files.items()):
            file, version = tree.find(shown.file, shown.version)
            assert file is not None
            assert version is not None
            if version.kind == "text":
                data = file_bytes(self.replica.texts.load(version).text, version.eol)
            else:
                data = self.replica.bodies.body(version)
            found[path] = (version.kind, data, file.executable)
        for path in self.replica.view.folders:
            found[path] = ("folder", b"", False)
        return found

    def records(self) -> object:
        """All records, so that two replicas can be compared to the last register."""
        tree = self.replica.tree
        files = {
            key: (
                file.path,
                file.path_at,
                file.executable,
                file.executable_at,
                sorted(
                    (v.id, v.kind, v.digest, v.born, v.have, v.touches, v.covered, v.eol, v.eol_at)
                    for v in file.versions
                ),
            )
            for key, file in tree.files.items()
        }
        folders = {key: (one.touches, one.covered) for key, one in tree.folders.items()}
        return files, folders


def make_identity(name: str) -> Identity:
    return Identity(SigningKey(seed_of(name, "member")), b"certificate of " + name.encode(), name)


def make_pool(count: int, names: Sequence[str] = NAMES) -> list[Party]:
    """So many members who know each other and have the same operations."""
    parties = [Party(name, MemoryStore(), make_identity(name)) for name in names[:count]]
    first = parties[0]
    with first.store.transaction():
        pool = found_pool(
            first.store,
            first.identity,
            pool_name="test",
            entropy=entropy_of(first.name),
            wall=WALL,
        )
    first.load(pool)
    for one in parties[1:]:
        newborn = begin_join(one.identity, pool, entropy=entropy_of(one.name), wall=WALL)
        with first.store.transaction():
            added = MemberAdded(bytes(one.identity.member), "writer", one.name)
            first.replica.write_membership([added], WALL)
            first.replica.flush()
        first.take([newborn.opened.data])
        with one.store.transaction():
            finish_join(one.store, newborn, pool_name="test", introductions=[])
        one.load(pool)
    exchange(parties)
    return parties


def make_reader(pool_of: Party, name: str = "reader") -> Party:
    """An empty replica of the same pool, to replay operations in."""
    one = Party(name, MemoryStore(), make_identity(name))
    pool = pool_of.replica.roster.pool
    newborn = begin_join(one.identity, pool, entropy=entropy_of(name), wall=WALL)
    with one.store.transaction():
        finish_join(one.store, newborn, pool_name="test", introductions=[])
    one.load(pool)
    return one


def exchange(parties: Iterable[Party]) -> None:
    """Everyone gets everything."""
    parties = list(parties)
    everything = [data for one in parties for data in one.operations()]
    for one in parties:
        before = None
        while before != one.replica.log.heads:  # an author may be known only after the first round
            before = one.replica.log.heads.copy()
            one.take(everything)
