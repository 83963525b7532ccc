"""What links need as time passes: Beats, contacts to swap, an end to every wait, bounds kept.

Decides what is told to neighbors unasked, and who has to go. overlay.md, 5.3 and 5.4.
"""

from __future__ import annotations

import msgspec

from .attempts import Attempt
from .effects import Effect, Send
from .events import LinkId
from .ground import Ground
from .ids import AuthorId
from .messages import Beat, Contacts
from .neighbors import Kind, Neighbor, Phase
from .packing import pack
from .ports import Store, Table
from .timing import NEVER, ROUNDING

__all__ = ["Tending"]

ANCHORS = b"anchors"
JITTER = (0.8, 1.2)
BIG_STEP = 2  # a change of our degree that neighbors hear of at once


class Tending:
    """Keeps what is linked in order."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self._config, self._rng = ground, ground.config, ground.rng
        self._neighbors, self._attempts = ground.neighbors, ground.attempts
        self._walks, self._seeker, self._beacons = ground.walks, ground.seeker, ground.beacons
        self._store = ground.store
        self._next_beat = self._next_shuffle = 0.0
        self._told_degree = 0
        self._told_at = NEVER  # when our changed degree is to be told
        self._last_told = -NEVER
        self._anchors: tuple[bytes, ...] = ()
        if ground.store is not None:
            self._load_anchors(ground.store)

    def soonest(self) -> float:
        """When there is something to do again."""
        due = min(self._seeker.due, self._told_at)
        for link in self._neighbors.links.values():
            if link.phase is Phase.HELLO:
                due = min(due, link.since + self._config.hello_timeout)
            elif link.kind is Kind.GUEST and link.phase is Phase.LINKED:
                due = min(due, link.linked_at + self._config.guest_time)
        if self._neighbors.linked:
            due = min(due, self._next_beat, self._beacons.due())
            if self._config.shuffle_every:
                due = min(due, self._next_shuffle)
        for other in (self._attempts.due(), self._walks.open_until()):
            due = due if other is None else min(due, other)
        return due

    def expire(self, now: float) -> list[Effect]:
        """Every wait has an end."""
        config = self._config
        effects: list[Effect] = []
        for link in list(self._neighbors.links.values()):
            if link.phase is Phase.HELLO:
                if now - link.since >= config.hello_timeout - ROUNDING:
                    effects.append(self._ground.close(link, "no hello"))
            elif link.phase is Phase.LINKED and now - link.heard_at >= config.silent_after:
                effects += [
                    *self._ground.say("lost", link, why="silent"),
                    self._ground.close(link, "silent"),
                ]
        for attempt in self._attempts.overdue(now + ROUNDING):
            effects += self._abandon(attempt, now)
        self._walks.give_up(now)
        return effects

    def _abandon(self, attempt: Attempt, now: float) -> list[Effect]:
        self._attempts.end(attempt.author)
        self._seeker.failed(attempt.author, now)
        return []

    def keep_bounds(self, now: float) -> list[Effect]:
        """Guests leave or stay; beyond the cap somebody goes who can afford it."""
        config, neighbors = self._config, self._neighbors
        effects: list[Effect] = []
        if neighbors.guests:
            for link in list(neighbors.linked):
                if link.kind is Kind.GUEST:
                    effects += self._keep_guest(link, now)
        while neighbors.degree > config.links_max or (
            neighbors.outdated and neighbors.degree > config.links_min
        ):
            surplus = neighbors.degree > config.links_max
            worst = neighbors.worst(config.shed_above, outdated=not surplus)
            if worst is None:
                break
            contacts = Contacts(tuple(self._ground.some_contacts()), answer=True)
            effects += [Send(worst.id, contacts), *self._ground.say("shed", worst)]
            effects.append(self._ground.close(worst, "shed"))
        return effects

    def _keep_guest(self, link: Neighbor, now: float) -> list[Effect]:
        config = self._config
        if link.outbound:  # we are the guest
            done = self._neighbors.degree >= config.links_min
            return [self._ground.close(link, "enough")] if done else []
        if now - link.linked_at < config.guest_time - ROUNDING:
            return []
        room = link.dialable or self._neighbors.clients < config.clients_max
        if link.degree < config.guest_links_min and room:
            link.kind = Kind.INBOUND if link.dialable else Kind.CLIENT
            self._neighbors.recount()
            return []
        return [self._ground.close(link, "enough")]

    def tell(self, now: float, wall: float) -> list[Effect]:
        """Beats, contacts, and what our degree has become."""
        config, neighbors = self._config, self._neighbors
        if not neighbors.linked:
            self._next_beat = now
            return []
        effects: list[Effect] = []
        if self._beacons.speak(now, wall):
            effects += self.beat_all(now)
        if now >= self._next_beat - ROUNDING:
            self._next_beat = now + config.beat_every / 2 * self._rng.uniform(*JITTER)
            effects += self.beat_all(now, older=config.beat_every)
        effects += self._tell_degree(now)
        if config.shuffle_every and now >= self._next_shuffle - ROUNDING:
            first = not self._next_shuffle
            self._next_shuffle = now + config.shuffle_every * self._rng.uniform(*JITTER)
            link = neighbors.linked[int(self._rng.random() * len(neighbors.linked))]
            if not first:
                contacts = [self._ground.own_contact()] if self._ground.listen else []
                contacts += self._ground.some_contacts()[: config.contacts_each - len(contacts)]
                effects.append(Send(link.id, Contacts(tuple(contacts))))
        return effects

    def _tell_degree(self, now: float) -> list[Effect]:
        """Neighbors choose by it: they hear at once of a big step, and of the minimum."""
        degree, told = self._neighbors.degree, self._told_degree
        least = self._config.links_min
        if abs(degree - told) < BIG_STEP and (degree < least) == (told < least):
            self._told_at = NEVER
            return []
        self._told_at = max(now, self._last_told + self._config.beat_gap)
        if self._told_at > now + ROUNDING:
            return []
        return self.beat_all(now)

    def beat_all(
        self, now: float, *, but: LinkId | None = None, older: float | None = None
    ) -> list[Effect]:
        """A Beat to all (or those whose last is older than so many seconds)."""
        beat: Beat | None = None
        effects: list[Effect] = []
        for link in self._neighbors.linked:
            if link.id == but or (older is not None and now - link.beat_at < older):
                continue
            if beat is None:
                digest, _ = self._ground.heads_for_hello()
                beat = Beat(self._neighbors.degree, self._beacons.current(now), digest)
            link.beat_at = now
            effects.append(Send(link.id, beat))
        if older is None:
            self._told_degree, self._last_told = self._neighbors.degree, now
            self._told_at = NEVER
        return effects

    # -- anchors ---------------------------------------------------------------------------

    def _load_anchors(self, store: Store) -> None:
        data = store.get(Table.META, ANCHORS)
        if data is None:
            return
        try:
            anchors = msgspec.msgpack.decode(data, type=tuple[bytes, ...])
        except msgspec.MsgspecError:
            return
        self._anchors = anchors
        self._seeker.anchors = [AuthorId(one) for one in anchors if len(one) == AuthorId.SIZE]

    def keep_anchors(self) -> None:
        """Our oldest own links, to be dialled first after a restart."""
        if self._store is None:
            return
        own = [one for one in self._neighbors.linked if one.kind is Kind.OWN]
        own.sort(key=_age)
        oldest = tuple(
            bytes(one.author) for one in own[: self._config.anchors] if one.author is not None
        )
        if oldest != self._anchors and len(oldest) >= min(len(self._anchors), 1):
            self._anchors = oldest
            self._store.put(Table.META, ANCHORS, pack(oldest))


def _age(link: Neighbor) -> float:
    return link.linked_at
