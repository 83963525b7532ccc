"""Whom to dial, and how eagerly: until there are enough links, of them enough of our own choice.

ALONE (no link) dials anybody as a newcomer; below five links everybody it knows has a turn, two
thirds of the tries from sampler and book, one third as walks; with enough links only probes go out
to those we lost. overlay.md, 5.3.
"""

from __future__ import annotations

from random import Random

from .allowance import Allowance
from .attempts import Attempts
from .book import Book, Entry, State
from .contact import neighborhood
from .effects import Effect
from .gate import Gate
from .ids import AuthorId
from .messages import Intent, WalkKind
from .neighbors import Kind, Neighbors
from .overlay_config import OverlayConfig
from .sampler import Sampler
from .timing import NEVER, ROUNDING
from .walks import Walks

__all__ = ["Seeker"]

WALK_SHARE = 3  # every third try is a walk
DOUBTFUL_SHARE = 4  # every fourth dial goes to somebody lost, who may be back (guess)
FEW = 1  # links; so few may break together at any moment
URGENT_MAX = 256
DISTRUSTED_MAX = 256
REUNION_TRIES = 3  # at those we lost, until one answers (guess)
GONE_FAILS = 3  # attempts in vain until the sampler chooses somebody else (guess)


class Seeker:
    """Keeps a peer linked. ``due``: when to ask again, if nothing happens meanwhile."""

    def __init__(
        self,
        gate: Gate,
        neighbors: Neighbors,
        book: Book,
        sampler: Sampler,
        walks: Walks,
        attempts: Attempts,
        config: OverlayConfig,
        rng: Random,
    ) -> None:
        self._gate, self._neighbors, self._book = gate, neighbors, book
        self._sampler, self._walks, self._attempts = sampler, walks, attempts
        self._config, self._rng = config, rng
        self.due = 0.0
        self.anchors: list[AuthorId] = []
        """Own links of an earlier life, to be dialled first."""
        self.distrusted: dict[AuthorId, float] = {}
        """Whom we do not choose until then."""
        self.won = 0
        """Walks that brought a link since we had none."""
        self._tries = Allowance(config.tries_rate, config.tries_burst)
        self._turn = self._tried = 0
        self._walked = False  # was the last try a walk, when it could have been a dial?
        self._walk_at = 0.0
        self._walk_delay = config.walk_pace
        self._own_at = 0.0
        self._refresh_at = 0.0
        self._probe_at = 0.0
        self._urgent: list[AuthorId] = []
        self._reunion_at, self._reunion_tries = NEVER, 0
        self._fresh_until = NEVER
        self._alone_fails = 0
        self._was_needy = False
        self._was_alone = True

    # -- what happened ---------------------------------------------------------------------

    @property
    def needy(self) -> bool:
        """Too few links."""
        return self._neighbors.degree < self._config.links_min

    def fresh(self, now: float) -> bool:
        """Whether we still gather the links of a newcomer."""
        return now < self._fresh_until

    def wants_walk(self, now: float) -> bool:
        """Whether somebody who accepts a walk of ours is welcome: one of two as a newcomer, or as
        long as too few other links are on their way.
        """
        if self.fresh(now) and self.won < self._config.walks_min:
            return True
        return self._neighbors.degree + self._coming < self._config.links_min

    @property
    def _coming(self) -> int:
        return self._attempts.count(Intent.LINK, Intent.JOIN) + self._walks.open_count

    def changed(self) -> None:
        """Links or contacts are new: walks may find something again."""
        self._walk_delay, self._walk_at = self._config.walk_pace, 0.0

    def curious(self, now: float) -> bool:
        """Whether a new contact is of use at once."""
        return self.needy or self.fresh(now) or self._gate.size() <= self._config.small_pool

    def distrust(self, author: AuthorId, now: float) -> None:
        """Never our own choice for a while."""
        self.distrusted[author] = now + self._config.distrust_for
        for other, until in list(self.distrusted.items()):
            if until <= now or len(self.distrusted) > DISTRUSTED_MAX:
                del self.distrusted[other]

    def cross(self, entry: Entry, now: float) -> list[Effect]:
        """Link to somebody in another part of the pool."""
        if self._attempts.seeking >= self._config.dials_max:
            return []
        return self._dial(entry, Intent.MERGE, Kind.WALK, now)

    def reunite(self, now: float) -> None:
        """Two parts met somewhere: one of those we lost may be in reach again, and is dialled
        soon, so that many links cross at once and not only those where the parts met.
        """
        few = self._gate.size() < self._config.merge_all_below
        if not few and self._rng.random() >= self._config.reunion_chance:
            return
        self._reunion_at = now + self._rng.uniform(0, self._config.reunion_within)
        self._reunion_tries = REUNION_TRIES

    def reunited(self) -> None:
        """A link across stands."""
        self._reunion_tries = 0

    def failed(self, author: AuthorId, now: float) -> None:
        """A dial came to nothing."""
        self._book.failed(author, now, needy=self.needy)
        self._alone_fails += 1
        entry = self._book.get(author)
        if entry is None or entry.fails >= GONE_FAILS:
            self._sampler.renew(author)

    def look_at(self, author: AuthorId) -> None:
        """Somebody shows up nearby: perhaps of another part of the pool."""
        if author not in self._urgent and len(self._urgent) < URGENT_MAX:
            self._urgent.append(author)

    def network_changed(self, now: float) -> None:
        """Everyone we lost may be in reach again."""
        self._book.hurry(now, all_lost=True)
        self._urgent = sorted(one.author for one in self._book.of_state(State.LOST))
        self._tries = Allowance(self._config.tries_rate, self._config.tries_burst)
        self.changed()

    # -- deciding --------------------------------------------------------------------------

    def evaluate(self, now: float, wall: float) -> list[Effect]:
        """Whoever has to be dialled now."""
        self.due = NEVER
        needy = self.needy
        if needy and not self._was_needy:
            self._book.hurry(now)
        self._was_needy = needy
        linked = bool(self._neighbors.linked)
        if linked and self._was_alone:
            self._fresh_until = now + self._config.fresh_for
            self._alone_fails = self.won = 0
        self._was_alone = not linked
        if not linked:
            return self._enter(now)
        effects: list[Effect] = []
        if needy or self.fresh(now) or self._gate.size() <= self._config.small_pool:
            effects += self._seek(now)
        elif self._neighbors.own < self._config.own_min:
            effects += self._more_own(now)
        elif self._config.own_refresh:
            effects += self._refresh_own(now)
        if not needy:
            effects += self._probe(now, wall)
        if self._reunion_tries:
            effects += self._reunite(now)
        return effects

    def _at(self, when: float) -> None:
        self.due = min(self.due, when)

    def _enter(self, now: float) -> list[Effect]:
        """No link at all: anybody will do."""
        config = self._config
        limit = config.dials_max
        if self._gate.size() > config.eager_pool:
            limit = min(config.dials_alone << min(self._alone_fails, 8), limit)
        effects: list[Effect] = []
        found = self._candidates(now)
        self._rng.shuffle(found)
        found.sort(key=lambda one: one.author not in self.anchors)
        for entry in found:
            if self._attempts.seeking >= limit:
                return effects
            if self._eligible(entry):
                effects += self._dial(entry, Intent.JOIN, Kind.WALK, now)
        return effects

    def _seek(self, now: float) -> list[Effect]:
        """More links: of our own choice, and by walks."""
        config = self._config
        small = self._gate.size() <= config.small_pool
        few = self._neighbors.degree <= FEW and not self.fresh(now)
        effects: list[Effect] = []
        found: list[Entry] | None = None
        if self._gate.size() <= config.eager_pool:
            found = self._candidates(now)
            effects += self._eager(found, now)
        while True:
            own, walks, missing = self._wanting(now, few=few)
            if not small and own <= 0 and walks <= 0 and missing <= 0:
                return effects
            wait = 0.0 if few else self._tries.wait(now)
            if wait > 0:
                self._at(now + wait)
                return effects
            if found is None:
                found = self._candidates(now)
            if small:
                own = len(found)
            own = own if found and self._attempts.seeking < config.dials_max else 0
            if walks <= 0 and own <= 0 and not found:
                walks = missing
            if walks > 0 and not self._may_walk(now):
                walks = 0
            if own <= 0 and walks <= 0:
                return effects
            if own > 0 and walks > 0:  # in turns: in a tiny part walks come back at once, in vain
                self._walked = not self._walked
                walks = walks if self._walked else 0
            if not few:
                self._tries.take(now)
            if walks > 0:
                effects += self._walk(now)  # opens one: there are fewer to start
            else:
                effects += self._dial(self._choose(found), Intent.LINK, Kind.OWN, now)

    def _wanting(self, now: float, *, few: bool) -> tuple[int, int, int]:
        """Dials for links of our own, walks to start, and links that nobody is on the way to."""
        config, neighbors = self._config, self._neighbors
        dials = self._attempts.count(Intent.LINK, Intent.JOIN)
        missing = config.links_min - neighbors.degree - dials - self._walks.open_count
        if self.fresh(now):
            own = config.own_min - neighbors.own - dials
            walks = config.walks_min - self.won - self._walks.open_count
            if own <= 0 and walks <= 0 and neighbors.own >= config.own_min:
                self._settle(now)
            if own > 0 and walks <= 0 and missing > 0 and self._walks_turn(now):
                walks = 1  # what we know of is dead or full: somebody else may know better
            return own, walks, missing
        if missing <= 0:
            return 0, 0, missing
        if few:
            return config.dials_max - self._attempts.seeking, 0, missing
        return (0, missing, missing) if self._walks_turn(now) else (missing, 0, missing)

    def _walks_turn(self, now: float) -> bool:
        self._tried += 1
        return self._tried % WALK_SHARE == 0 and self._may_walk(now)

    def _settle(self, now: float) -> None:
        self._fresh_until = now

    def _eager(self, found: list[Entry], now: float) -> list[Effect]:
        """In a small pool all neighbors that were lost just now are dialled at their own pace."""
        effects: list[Effect] = []
        for entry in list(found):
            if self._attempts.seeking >= self._config.dials_max:
                break
            if self._book.eager(entry, now) and self._eligible(entry):
                found.remove(entry)
                effects += self._dial(entry, Intent.LINK, Kind.OWN, now)
        return effects

    def _choose(self, found: list[Entry]) -> Entry | None:
        """Out of the sampler if it can be; else anyone. Who fails again and again comes last."""
        sampled = {one.author for one in self._sampler.contacts}
        first: list[Entry] = []
        chosen: list[Entry] = []
        others: list[Entry] = []
        doubtful: list[Entry] = []
        for entry in found:
            if entry.author in self.anchors:
                first.append(entry)
            elif entry.fails or entry.state is State.LOST:
                doubtful.append(entry)
            elif entry.author in sampled:
                chosen.append(entry)
            else:
                others.append(entry)
        self._turn += 1
        for tier in (
            (doubtful, first, chosen, others)
            if self._turn % DOUBTFUL_SHARE == 0
            else (first, chosen, others, doubtful)
        ):
            self._rng.shuffle(tier)
            for entry in tier:
                found.remove(entry)
                if self._eligible(entry):
                    return entry
        return None

    def _more_own(self, now: float) -> list[Effect]:
        """Enough links, but too few of our own choice."""
        config, neighbors = self._config, self._neighbors
        if now < self._own_at - ROUNDING:
            self._at(self._own_at)
            return []
        self._own_at = now + config.own_every * self._rng.uniform(0.8, 1.2)
        for contact in self._sampler.contacts:
            link = neighbors.of(contact.author)
            if link is not None and link.counted and link.kind is not Kind.OWN:
                link.kind = Kind.OWN  # it is there already
                neighbors.recount()
                if neighbors.own >= config.own_min:
                    return []
        self._at(self._own_at)
        found = self._candidates(now)
        if not found or self._attempts.seeking or neighbors.degree >= config.links_max:
            return []
        return self._dial(self._choose(found), Intent.LINK, Kind.OWN, now)

    def _refresh_own(self, now: float) -> list[Effect]:
        """While the sampler still converges, own links follow it: what the first neighbors of a
        newcomer named is not a choice. It ends by itself, so links do not change for ever.
        """
        if now < self._refresh_at - ROUNDING:
            self._at(self._refresh_at)
            return []
        config, neighbors = self._config, self._neighbors
        first = not self._refresh_at
        self._refresh_at = now + config.own_refresh * self._rng.uniform(0.8, 1.2)
        self._at(self._refresh_at)
        sample = self._sampler.contacts
        sampled = {one.author for one in sample}
        own = [link for link in neighbors.linked if link.kind is Kind.OWN]
        stale = [link for link in own if link.author not in sampled]
        if first or not stale or self._attempts.seeking:
            return []
        if len(own) > config.own_min:
            stale[0].kind, stale[0].outdated = Kind.WALK, True
            neighbors.recount()
            return []
        for contact in sample:
            link = neighbors.of(contact.author)
            if link is not None and link.counted and link.kind is not Kind.OWN:
                link.kind, stale[0].kind = Kind.OWN, Kind.WALK
                neighbors.recount()
                return []
        found = [one for one in self._candidates(now) if one.author in sampled and not one.fails]
        return self._dial(self._choose(found), Intent.LINK, Kind.OWN, now)

    # -- walks -----------------------------------------------------------------------------

    def _may_walk(self, now: float) -> bool:
        if self._gate.size() <= self._neighbors.degree + 1:
            return False  # everyone is linked
        if now < self._walk_at - ROUNDING:
            self._at(self._walk_at)
            return False
        return True

    def _walk(self, now: float) -> list[Effect]:
        effects = self._walks.start(WalkKind.JOIN, now)
        fresh = self.fresh(now) and self._walks.open_count < self._config.walks_min
        if not fresh:
            self._walk_at = now + self._walk_delay * self._rng.uniform(0.8, 1.0)
            self._walk_delay = min(self._walk_delay * 2, self._config.walk_retry_max)
        return effects

    # -- probes ----------------------------------------------------------------------------

    def _probe(self, now: float, wall: float) -> list[Effect]:
        """Is somebody there whom we lost? Else anybody of the book, to know who is."""
        config, effects = self._config, list[Effect]()
        while self._urgent and self._attempts.count(Intent.PROBE) < config.probes_max:
            entry = self._book.get(self._urgent.pop(0))
            if entry is not None and self._eligible(entry):
                effects += self._dial(entry, Intent.PROBE, Kind.OWN, now)
        if self._urgent:
            return effects
        if now >= self._probe_at - ROUNDING:
            every = config.probe_every * self._rng.uniform(0.75, 1.25)
            lost = self._book.next_lost(now, wall)
            if lost is not None:  # the fewer we are, the more each has to look
                every *= min(self._gate.size() / config.probe_pool, 1.0)
            self._probe_at = now + every
            if lost is None or not self._eligible(lost):
                if lost is not None:
                    lost.next_try = now + config.probe_max
                lost = self._anyone(now)
            if lost is not None:
                effects += self._dial(lost, Intent.PROBE, Kind.OWN, now)
        self._at(self._probe_at)
        return effects

    def _reunite(self, now: float) -> list[Effect]:
        """One link to somebody lost; if that one is dead, to another."""
        if now < self._reunion_at - ROUNDING:
            self._at(self._reunion_at)
            return []
        lost = [one for one in self._book.of_state(State.LOST) if self._eligible(one)]
        if not lost or self._neighbors.degree >= self._config.links_max:
            self._reunion_tries = 0
            return []
        if self._attempts.count(Intent.MERGE):
            return []  # when that one has failed
        self._reunion_tries -= 1
        return self._dial(self._rng.choice(lost), Intent.MERGE, Kind.WALK, now)

    def _anyone(self, now: float) -> Entry | None:
        heard, tried = self._book.of_state(State.HEARD), self._book.of_state(State.TRIED)
        total = len(heard) + len(tried)
        for _ in range(min(total, 8)):  # draws; linked ones are drawn in vain
            spot = int(self._rng.random() * total)
            entry = heard[spot] if spot < len(heard) else tried[spot - len(heard)]
            if entry.next_try <= now and self._eligible(entry):
                return entry
        return None

    # -- whom ------------------------------------------------------------------------------

    def _candidates(self, now: float) -> list[Entry]:
        """Everyone whose turn it is; whether it can be dialled is asked when it is chosen."""
        found: list[Entry] = []
        soonest = NEVER
        running = self._attempts
        for entry in self._book:
            if entry.linked or entry.author in running:
                continue
            if entry.next_try <= now + ROUNDING:
                found.append(entry)
            elif entry.next_try < soonest:
                soonest = entry.next_try
        self._at(soonest)
        found += self._unbooked()
        blocks = self._full_blocks()
        if blocks or self.distrusted:
            found = [one for one in found if self._trusted(one, blocks, now)]
        return found

    def _unbooked(self) -> list[Entry]:
        """The sample that had no room in the book."""
        found: list[Entry] = []
        for contact in self._sampler.contacts:
            if self._book.get(contact.author) is None and contact.dialable:
                entry = Entry(AuthorId(contact.author))
                entry.contact = contact
                found.append(entry)
        return found

    def _eligible(self, entry: Entry) -> bool:
        author = entry.author
        return (
            not entry.linked
            and author not in self._attempts
            and author != self._gate.author
            and self._neighbors.of(author) is None
            and self._gate.reach(author) is not None
            and bool(self._book.addresses(entry))
        )

    def _full_blocks(self) -> set[str]:
        """Where two own links go already."""
        seen: dict[str, int] = {}
        for link in self._neighbors.linked:
            block = neighborhood(link.address) if link.kind is Kind.OWN else None
            if block is not None:
                seen[block] = seen.get(block, 0) + 1
        return {one for one, count in seen.items() if count >= self._config.block_links_max}

    def _trusted(self, entry: Entry, blocks: set[str], now: float) -> bool:
        if self.distrusted.get(entry.author, 0.0) > now:
            return False
        if not blocks:
            return True
        return all(neighborhood(one) not in blocks for one in self._book.addresses(entry))

    def _dial(self, entry: Entry | None, intent: Intent, kind: Kind, now: float) -> list[Effect]:
        if entry is None:
            return []
        return self._attempts.dial(entry, intent, kind, now)
