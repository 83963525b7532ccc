"""Which links get news pushed and which only hear of it: Plumtree's eager and lazy links.

A tree is the set of eager links that one author's news runs along. A busy author has a tree of its
own (the way from *it* is then the shortest); all others share one. The flags are ours alone: they
say what *we* push where. A PRUNE or GRAFT names the author whose news it is about and is applied
to the flags that we use for that author, so both sides need not agree on who is busy.

Does not decide what is news (``gossip``, ``sync``) or who is a neighbor (``overlay``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .effects import Effect, Send
from .events import LinkId
from .messages import Graft, Prune

__all__ = ["Trees", "TreesConfig"]


@dataclass(frozen=True, slots=True)
class TreesConfig:
    """Times in seconds."""

    busy_count: int = 3
    """More messages than this in ``busy_window`` earn a tree (overlay.md, 5.3)."""
    busy_window: float = 60.0
    trees_count: int = 64
    """Trees of busy authors (overlay.md, 5.3)."""
    authors_count: int = 256
    """Authors whose pace is watched; four for each tree (guess)."""
    graft_least: float = 0.1
    """After an announcement until the payload is asked for (overlay.md, 5.3)."""
    graft_most: float = 2.0
    """... whatever was observed (guess: beyond it people notice)."""
    graft_factor: float = 5.0
    """Times the usual time between the first announcement and the payload. Measured at N = 1000
    with random senders: 3 (overlay.md) asks 14 times a message for what was coming anyway, which
    bends the tree (last delivery 301 ms, RMR 0.023); 5 asks once (216 ms, 0.009)."""
    first_spread: float = 0.06
    """That time, as long as nothing was observed: 300 ms, which did well (overlay.md, 2)."""
    spread_weight: float = 1 / 8
    """Of the newest observation (as TCP's for round trips, RFC 6298)."""
    prune_again: float = 1.0
    """Between two PRUNEs for one tree on one link: what is under way comes all the same (guess)."""
    distrust_for: float = 600.0
    """Without eager status for a link that announces and does not deliver (overlay.md, 5.7)."""


@dataclass(slots=True)
class _Tree:
    lazy: dict[LinkId, float] = field(default_factory=dict)  # link -> when we last sent a PRUNE
    used: float = 0.0  # when the author's news last came
    source: LinkId | None = None  # ... over which link first; told of a busy author's tree only


NEVER = float("-inf")


class Trees:
    """Eager and lazy links, per tree."""

    def __init__(self, config: TreesConfig | None = None) -> None:
        self._config = config or TreesConfig()
        self._links: dict[LinkId, None] = {}
        self._shared = _Tree()
        self._trees: dict[bytes, _Tree] = {}  # by author, longest unused first
        self._pace: dict[bytes, tuple[float, float]] = {}  # author -> (level, when); oldest first
        self._distrusted: dict[LinkId, float] = {}  # link -> until when
        self._spread = self._config.first_spread

    # -- links -----------------------------------------------------------------------------

    def link_up(self, link: LinkId) -> None:
        """A new neighbor: eager in every tree. Twice is as good as once."""
        self._links[link] = None

    def link_down(self, link: LinkId) -> list[Effect]:
        """A neighbor is gone. If it brought a busy author's news another link takes its place at
        once, else the next would wait for its announcement (measured at N = 1,000 while links come
        and go: last delivery 360 ms, so 140). The shared tree has no such direction; there the same
        bends it (22 hops instead of 15).
        """
        if link not in self._links:
            return []
        del self._links[link]
        self._distrusted.pop(link, None)
        effects: list[Effect] = []
        self._shared.lazy.pop(link, None)
        for label, tree in self._trees.items():
            if tree.lazy.pop(link, None) is not None or tree.source != link:
                continue
            spare = next((one for one in tree.lazy if one not in self._distrusted), None)
            if spare is not None:
                del tree.lazy[spare]
                effects.append(Send(spare, Graft(label)))
        return effects

    def eager(self, author: bytes, *, but: LinkId | None = None, own: bool = False) -> list[LinkId]:
        """The links to push an author's news on; ``own``: it begins here, so all links.

        That does not make them eager: whoever gets it from us beside the tree keeps it until the
        tree brings it, too (``beside``). Else every sender would bend the tree towards itself,
        which made it twice as deep (measured: 21 instead of 11 hops at 1,000 nodes).
        """
        lazy = self._tree(author).lazy
        return sorted(link for link in self._links if link != but and (own or link not in lazy))

    def beside(self, author: bytes, link: LinkId) -> bool:
        """Whether an author's news on ``link`` comes beside its tree."""
        return link in self._tree(author).lazy

    def lazy(self, author: bytes, *, but: LinkId | None = None) -> list[LinkId]:
        """The links that only hear that there is news of this author."""
        lazy = self._tree(author).lazy
        return sorted(link for link in lazy if link != but and link in self._links)

    # -- what came ---------------------------------------------------------------------------

    def watch(self, author: bytes, now: float, *, large: bool = False) -> None:
        """There is news of an author, once for each: is it busy?

        A tree begins with all links eager, so the flood of one message finds the shortest ways.
        A ``large`` message begins none.
        """
        config = self._config
        level, since = self._pace.pop(author, (0.0, now))
        level = max(0.0, level - (now - since) * config.busy_count / config.busy_window) + 1.0
        self._pace[author] = (min(level, config.busy_count + 1.0), now)
        if len(self._pace) > config.authors_count:
            del self._pace[next(iter(self._pace))]
        tree = self._trees.pop(author, None)
        if tree is None:
            if level <= config.busy_count or large or not self._room(now):
                return
            tree = _Tree(dict.fromkeys(self._distrusted, NEVER))
        tree.used = now
        self._trees[author] = tree

    def delivered(self, author: bytes, link: LinkId, now: float) -> None:
        """News came first over ``link``: that one is eager."""
        if link in self._links and not self.distrusted(link, now):
            tree = self._tree(author)
            tree.lazy.pop(link, None)
            tree.source = link

    def duplicate(self, author: bytes, link: LinkId, now: float) -> list[Effect]:
        """The same news came again over ``link``: not this way any more."""
        if link not in self._links:
            return []
        lazy = self._tree(author).lazy
        if now - lazy.get(link, NEVER) < self._config.prune_again:
            return []
        lazy[link] = now
        return [Send(link, Prune(bytes(author)))]

    def _room(self, now: float) -> bool:
        """Whether one more author gets a tree. A busy one never loses it: else more busy authors
        than trees would make every message a flood.
        """
        if len(self._trees) < self._config.trees_count:
            return True
        oldest = next(iter(self._trees), None)
        if oldest is None or now - self._trees[oldest].used < self._config.busy_window:
            return False
        del self._trees[oldest]
        return True

    # -- PRUNE and GRAFT -----------------------------------------------------------------------

    def on_prune(self, link: LinkId, message: Prune) -> None:
        """The other side has that author's news from elsewhere."""
        if link in self._links:
            self._tree(message.tree).lazy.setdefault(link, NEVER)

    def on_graft(self, link: LinkId, tree: bytes, now: float) -> None:
        """The other side wants that author's news pushed."""
        if link in self._links and not self.distrusted(link, now):
            self._tree(tree).lazy.pop(link, None)

    def graft(self, author: bytes, link: LinkId, now: float) -> Graft:
        """We want an author's news pushed on ``link``: the message that says so."""
        self.on_graft(link, author, now)
        return Graft(bytes(author))

    # -- distrust ------------------------------------------------------------------------------

    def distrust(self, link: LinkId, now: float) -> None:
        """It announced and did not deliver, twice."""
        if link in self._links:
            self._distrusted[link] = now + self._config.distrust_for
            for tree in (self._shared, *self._trees.values()):
                tree.lazy.setdefault(link, NEVER)

    def distrusted(self, link: LinkId, now: float) -> bool:
        """Whether a link is not to be relied upon."""
        until = self._distrusted.get(link)
        if until is None:
            return False
        if until <= now:
            del self._distrusted[link]
            return False
        return True

    # -- time ----------------------------------------------------------------------------------

    @property
    def graft_after(self) -> float:
        """How long to wait (s) for a payload that was announced."""
        config = self._config
        return min(max(config.graft_least, config.graft_factor * self._spread), config.graft_most)

    def observe(self, spread: float) -> None:
        """A payload came by itself ``spread`` seconds after it was first announced."""
        self._spread += (spread - self._spread) * self._config.spread_weight

    def _tree(self, author: bytes) -> _Tree:
        return self._trees.get(author, self._shared)
