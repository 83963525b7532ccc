"""The address book: whom we heard of, met or lost, where, and when to try again.

Bounded; what was heard never pushes out whom we met, and a quarter is kept for those we lost: the
way back after a partition. Kept in the store. Whom to dial, is the overlay's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from random import Random

import msgspec

from .ids import AuthorId
from .messages import Contact
from .overlay_config import OverlayConfig
from .packing import pack
from .ports import Store, Table
from .timing import MS

__all__ = ["Book", "Entry", "State"]

ADDRESSES_MAX = 8  # of one author, as in Contact
LOST_SHARE = 4  # a quarter (overlay.md, 5.1)
LOST_FOR = 30 * 86_400.0  # s
FOUND_MAX = 1024  # addresses where we know who answered
TRIED_FAILS = 3  # attempts in vain until one that we met is taken for lost (guess)
STRANGERS_MAX = 64  # contacts of authors that we do not know yet
DRAWS = 4  # for the one to go, or to hand out
FORMAT = 2
NEVER = -1e9


class State(IntEnum):
    """Of an entry."""

    HEARD = 0
    TRIED = 1  # we dialled it and it answered, or it is linked
    LOST = 2  # it was TRIED and does not answer any more


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    format: int
    contact: Contact | None
    extra: tuple[str, ...]
    state: int
    last_ok: float


_saved = msgspec.msgpack.Decoder(_Saved)
_addresses = msgspec.msgpack.Decoder(tuple[str, ...])


class Entry:
    """What we know of one author. ``extra``: addresses that its contact does not name."""

    __slots__ = (
        "author",
        "contact",
        "delay",
        "extra",
        "fails",
        "last_ok",
        "linked",
        "lost_at",
        "next_try",
        "spot",
        "state",
        "turn",
    )

    def __init__(self, author: AuthorId, state: State = State.HEARD) -> None:
        self.author = author
        self.contact: Contact | None = None
        self.extra: tuple[str, ...] = ()
        self.state = state
        self.linked = False
        self.last_ok = 0.0  # s since the epoch
        self.lost_at = NEVER  # monotonic
        self.next_try = 0.0  # monotonic
        self.delay = 0.0
        self.fails = 0
        self.turn = 0
        self.spot = 0

    @property
    def stamp(self) -> int:
        """Of its contact, ms since the epoch."""
        return self.contact.stamp if self.contact is not None else 0


class Book:
    """Entries by author and by state."""

    def __init__(self, store: Store | None, config: OverlayConfig, rng: Random) -> None:
        self._store, self._config, self._rng = store, config, rng
        self._entries: dict[AuthorId, Entry] = {}
        self._lists: tuple[list[Entry], list[Entry], list[Entry]] = ([], [], [])
        self.strangers: dict[bytes, Contact] = {}
        """Contacts whose authors were not known when they were heard: nobody could check them."""
        self._found: dict[str, tuple[AuthorId, int]] = {}  # address -> who answered, when (ms)
        if store is not None:
            for key, value in store.scan(Table.ADDRESS):
                self._load(AuthorId(key), value)

    def _load(self, author: AuthorId, value: bytes) -> None:
        if len(self._entries) >= self._config.book_size:
            return
        entry = Entry(author)
        try:
            entry.extra = _addresses.decode(value)[:ADDRESSES_MAX]  # before contacts were signed
        except msgspec.MsgspecError:
            try:
                saved = _saved.decode(value)
                entry.state = State(saved.state)
            except (msgspec.MsgspecError, ValueError):
                return  # of a later version
            entry.contact, entry.extra = saved.contact, saved.extra
            entry.last_ok = saved.last_ok
        self._insert(entry)

    # -- reading ---------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, author: bytes) -> Entry | None:
        """What we know of an author."""
        return self._entries.get(author)  # type: ignore[call-overload,no-any-return]

    def of_state(self, state: State) -> list[Entry]:
        """All entries of a state, in no order that means anything."""
        return self._lists[state]

    def addresses(self, entry: Entry) -> list[str]:
        """Where to dial: what it says itself first; not where we since met somebody else."""
        contact = entry.contact
        named = contact.addresses if contact is not None and contact.dialable else ()
        stamp, found = entry.stamp, self._found
        if not found and not entry.extra:
            return list(named)
        fine = [one for one in named if self._believed(one, entry.author, stamp)]
        fine += [one for one in entry.extra if self._believed(one, entry.author, 0)]
        return list(dict.fromkeys(fine))[:ADDRESSES_MAX]

    def _believed(self, address: str, author: AuthorId, stamp: int) -> bool:
        found = self._found.get(address)
        return found is None or found[0] == author or found[1] < stamp

    def sample(self, count: int) -> list[Contact]:
        """Contacts to hand out: such as did not fail us."""
        heard, tried = self._lists[State.HEARD], self._lists[State.TRIED]
        total = len(heard) + len(tried)
        picked: dict[bytes, Contact] = {}
        random = self._rng.random
        for _ in range(min(2 * count, total * DRAWS)):
            spot = int(random() * total)
            entry = heard[spot] if spot < len(heard) else tried[spot - len(heard)]
            contact = entry.contact
            if contact is not None and contact.dialable and not entry.fails:
                picked[contact.author] = contact
                if len(picked) == count:
                    break
        return list(picked.values())

    def answered_since(self, wall: float) -> list[Contact]:
        """Who is no neighbor, but was there when we last dialled."""
        return [
            entry.contact
            for entry in self._lists[State.TRIED]
            if entry.contact is not None and entry.last_ok >= wall and not entry.linked
        ]

    # -- learning --------------------------------------------------------------------------

    def hear(self, contact: Contact) -> bool:
        """A contact whose signature was checked; True if it is news."""
        entry = self.get(contact.author)
        if entry is None:
            if not contact.dialable or not contact.addresses:
                return False  # nobody can dial it: no use in a book
            entry = Entry(AuthorId(contact.author))
            entry.contact = contact
            return self._make_room(State.HEARD) and self._add(entry)
        if contact.stamp <= entry.stamp:
            return False
        entry.contact = contact
        entry.fails, entry.next_try = 0, 0.0
        self._save(entry)
        return True

    def wonder(self, contact: Contact) -> None:
        """One that cannot be checked: its author may become known soon."""
        self.strangers.pop(contact.author, None)
        self.strangers[contact.author] = contact
        if len(self.strangers) > STRANGERS_MAX:
            del self.strangers[next(iter(self.strangers))]

    def take_strangers(self) -> list[Contact]:
        """They are to be tried again."""
        found = list(self.strangers.values())
        self.strangers.clear()
        return found

    def tell(self, author: AuthorId, addresses: Iterable[str]) -> bool:
        """Somebody says where an author listens, unsigned (mDNS, the door)."""
        fresh = tuple(dict.fromkeys(one for one in addresses if one))
        entry = self.get(author)
        if entry is None:
            entry = Entry(author)
            entry.extra = fresh[:ADDRESSES_MAX]
            return bool(fresh) and self._make_room(State.HEARD) and self._add(entry)
        known = self.addresses(entry)
        if all(one in known for one in fresh):
            return False
        entry.extra = tuple(dict.fromkeys((*fresh, *entry.extra)))[:ADDRESSES_MAX]
        entry.next_try = 0.0
        self._save(entry)
        return True

    def met(
        self, author: AuthorId, contact: Contact | None, addresses: Iterable[str], wall: float
    ) -> None:
        """It is linked. ``addresses``: where we dialled it, or what it says unsigned."""
        entry = self.get(author)
        if entry is None:
            entry = Entry(author, State.TRIED)
            self._make_room(State.TRIED)
            self._insert(entry)
        if contact is not None and contact.stamp >= entry.stamp:
            entry.contact = contact
        named = entry.contact.addresses if entry.contact is not None else ()
        extra = dict.fromkeys(one for one in (*addresses, *entry.extra) if one not in named)
        entry.extra = tuple(extra)[: ADDRESSES_MAX // 2]
        entry.linked, entry.last_ok = True, wall
        self._alive(entry)

    def answered(self, author: AuthorId, wall: float) -> None:
        """We dialled it and it answered, though it is no neighbor now."""
        entry = self.get(author)
        if entry is not None:
            entry.last_ok = wall
            self._alive(entry)

    def _alive(self, entry: Entry) -> None:
        entry.fails, entry.delay, entry.next_try, entry.lost_at = 0, 0.0, 0.0, NEVER
        self._move(entry, State.TRIED)
        self._save(entry)

    def found(self, address: str, author: AuthorId, wall: float) -> None:
        """We dialled there and ``author`` answered. Who was there before has moved, or goes on
        under a new key; what was said of it before now does not count any more.
        """
        self._found.pop(address, None)
        self._found[address] = (author, int(wall * MS))
        if len(self._found) > FOUND_MAX:
            del self._found[next(iter(self._found))]

    def lost(self, author: AuthorId, now: float, wall: float, *, eager: bool) -> None:
        """Its link ended. ``eager``: not by a goodbye, so it may be back at once."""
        entry = self.get(author)
        if entry is None:
            return
        entry.linked, entry.last_ok = False, wall
        if not eager:
            entry.next_try = now + self._config.probe_first * self._rng.uniform(0.5, 1.0)
            self._save(entry)
            return
        entry.lost_at = now
        entry.delay = self._config.redial_first
        entry.next_try = now + self._rng.uniform(0, self._config.redial_first)
        self._move(entry, State.LOST)
        self._save(entry)

    def failed(self, author: AuthorId, now: float, *, needy: bool) -> None:
        """Nobody (or the wrong one) answered; try the next address, less and less often."""
        entry = self.get(author)
        if entry is None:
            return
        config = self._config
        entry.turn += 1
        entry.fails += 1
        if needy:
            most = config.redial_eager if self.eager(entry, now) else config.redial_max
            entry.delay = min(max(entry.delay * 2, config.redial_first), most)
        else:
            entry.delay = min(max(entry.delay * 2, config.probe_first), config.probe_max)
        # A wide spread, or everyone would look for a lost part at the same moments.
        entry.next_try = now + entry.delay * self._rng.uniform(0.8 if needy else 0.5, 1.0)
        if entry.state is State.TRIED and entry.fails >= TRIED_FAILS:
            self._move(entry, State.LOST)
            self._save(entry)

    def refused(self, author: AuthorId, now: float, wall: float) -> None:
        """It is there, but has no place for us: others first."""
        entry = self.get(author)
        if entry is not None:
            delay = entry.delay
            self.answered(author, wall)
            entry.delay = min(max(delay * 2, 1.0), self._config.redial_max)
            entry.next_try = now + entry.delay * self._rng.uniform(0.8, 1.0)

    def eager(self, entry: Entry, now: float) -> bool:
        """Whether a neighbor was lost so recently that we dial it all the time."""
        return entry.state is State.LOST and now - entry.lost_at < self._config.eager_for

    def hurry(self, now: float, *, all_lost: bool = False) -> None:
        """We lack links (or the machine is on another network): no long waits any more."""
        config = self._config
        for entry in self._entries.values():
            lost = entry.state is State.LOST
            if all_lost and lost:
                entry.lost_at, entry.delay, entry.next_try = now, 0.0, now
            elif entry.next_try > now:
                most = config.redial_eager if self.eager(entry, now) else config.redial_max
                entry.delay = min(entry.delay, most)
                entry.next_try = min(entry.next_try, now + self._rng.uniform(0, most))

    def next_lost(self, now: float, wall: float) -> Entry | None:
        """The lost one that has waited longest for its turn, if one is due."""
        best: Entry | None = None
        for entry in tuple(self._lists[State.LOST]):
            if entry.last_ok < wall - LOST_FOR and entry.last_ok:
                self.forget(entry.author)
            elif entry.next_try <= now and (best is None or entry.next_try < best.next_try):
                best = entry
        return best

    def forget(self, author: AuthorId) -> None:
        """As if never heard of."""
        entry = self._entries.pop(author, None)
        if entry is not None:
            self._unlist(entry)
            if self._store is not None:
                self._store.delete(Table.ADDRESS, author)

    # -- bounds ----------------------------------------------------------------------------

    def _make_room(self, state: State) -> bool:
        """Whether one more may enter as ``state``, after somebody went for it."""
        size = self._config.book_size
        lost = self._lists[State.LOST]
        if state is State.LOST:
            if len(lost) >= size // LOST_SHARE:
                self.forget(min(lost, key=_last_ok).author)
            return True
        heard, tried = self._lists[State.HEARD], self._lists[State.TRIED]
        if len(heard) + len(tried) < size - size // LOST_SHARE:
            return True
        if heard:
            draws = [heard[int(self._rng.random() * len(heard))] for _ in range(DRAWS)]
            self.forget(max(draws, key=_fails).author)
            return True
        if state is State.HEARD:
            return False  # what was heard never pushes out whom we met
        idle = [one for one in tried if not one.linked]
        if idle:
            self.forget(min(idle, key=_last_ok).author)
        return True

    def _add(self, entry: Entry) -> bool:
        self._insert(entry)
        self._save(entry)
        return True

    def _insert(self, entry: Entry) -> None:
        self._entries[entry.author] = entry
        self._enlist(entry)

    def _enlist(self, entry: Entry) -> None:
        row = self._lists[entry.state]
        entry.spot = len(row)
        row.append(entry)

    def _unlist(self, entry: Entry) -> None:
        row = self._lists[entry.state]
        last = row.pop()
        if last is not entry:
            row[entry.spot] = last
            last.spot = entry.spot

    def _move(self, entry: Entry, state: State) -> None:
        if entry.state is not state:
            self._unlist(entry)
            self._make_room(state)
            entry.state = state
            self._enlist(entry)

    def _save(self, entry: Entry) -> None:
        if self._store is not None:
            saved = _Saved(FORMAT, entry.contact, entry.extra, int(entry.state), entry.last_ok)
            self._store.put(Table.ADDRESS, entry.author, pack(saved))


def _last_ok(entry: Entry) -> float:
    return entry.last_ok


def _fails(entry: Entry) -> int:
    return entry.fails
