"""The trees of a database's tables without their leaves: which rows lie on which page.

``step`` takes the numbers of the pages that changed and says between which rowids rows may differ.
Why that is enough: a row differs only if the leaf it was on, or is on, changed, came or went, or a
page of its overflow chain changed. A page is known here (``_parents``) if it is part of a table: an
inner page, a leaf, or overflow. A page that is not known cannot hold a row, unless a page that is
known, and changed, now leads to it. So index pages, free pages and pointer maps need no look.

An entry of a page that is not part of any table any more may be left behind (overflow pages are not
looked for when a leaf goes). Following it leads to no root, or to rows that did not change, which
costs a comparison.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from .pages import (
    INDEX_INTERIOR,
    INDEX_LEAF,
    MAX_ROWID,
    MIN_ROWID,
    TABLE_INTERIOR,
    TABLE_LEAF,
    Interior,
    PageError,
    interior,
    kind_of,
    overflow_heads,
)

__all__ = ["EVERY_ROW", "KeyRange", "Node", "Pages", "Skeleton", "merged"]

MAX_HEIGHT: Final = 24  # SQLite gives up at 20 (BTCURSOR_MAX_DEPTH)


class KeyRange(NamedTuple):
    """Rowids from ``low`` to ``high``, both included."""

    low: int
    high: int


EVERY_ROW: Final = KeyRange(MIN_ROWID, MAX_ROWID)


class Pages(Protocol):
    """The pages of a database at one moment."""

    count: int
    usable: int

    def page(self, number: int) -> bytes:
        """A whole page; PageError if there is none of that number."""

    def word(self, number: int) -> int:
        """Its first four bytes as a number; PageError if there is none of that number."""


class Node(NamedTuple):
    """An inner page. ``height`` 1: its children are leaves."""

    height: int
    content: Interior


class Skeleton:
    """The trees; changes can be taken back (``undo``) until they are kept (``keep``)."""

    def __init__(self) -> None:
        self.roots: set[int] = set()
        self.nodes: dict[int, Node] = {}
        self.parents = array("I", [0])  # of each page; a root is its own; 0: not part of a table
        self._undo: list[tuple[int, int | Node | None]] = []
        self._recorded = True

    # -- keeping and taking back ------------------------------------------------------------

    @property
    def mark(self) -> int:
        """A moment to ``undo`` to."""
        return len(self._undo)

    def undo(self, mark: int = 0) -> None:
        """Take back all changes since a mark."""
        while len(self._undo) > mark:
            page, old = self._undo.pop()
            if page < 0:
                self.roots ^= {-page}
            elif isinstance(old, int):
                self.parents[page] = old
            elif old is None:
                del self.nodes[page]
            else:
                self.nodes[page] = old

    def keep(self) -> tuple[set[int], set[int]]:
        """Keep all changes. Returns the pages whose parent changed, and the changed inner pages."""
        parents = {page for page, old in self._undo if page > 0 and isinstance(old, int)}
        nodes = {page for page, old in self._undo if page > 0 and not isinstance(old, int)}
        self._undo.clear()
        return parents, nodes

    def build(self, pages: Pages, roots: set[int]) -> None:
        """Begin, in a new skeleton, with the trees as they are; this cannot be taken back.

        Raises:
            PageError: if a page makes no sense; then this skeleton is of no use.
        """
        self._recorded = False
        self.step(pages, set(), roots)
        self._recorded = True

    def _record(self, page: int, old: int | Node | None) -> None:
        if self._recorded:
            self._undo.append((page, old))

    def _set_parent(self, page: int, parent: int) -> None:
        old = self.parents[page]
        if old != parent:
            self._record(page, old)
            self.parents[page] = parent

    def _set_node(self, page: int, node: Node | None) -> None:
        old = self.nodes.get(page)
        if old is node:
            return
        self._record(page, old)
        if node is None:
            del self.nodes[page]
        else:
            self.nodes[page] = node

    def _set_root(self, root: int) -> None:
        self._record(-root, None)
        self.roots ^= {root}

    def _reserve(self, count: int) -> None:
        """Make room for pages up to this number."""
        missing = count + 1 - len(self.parents)
        if missing > 0:
            self.parents.frombytes(bytes(missing * self.parents.itemsize))

    # -- looking ----------------------------------------------------------------------------

    def step(self, pages: Pages, changed: set[int], roots: set[int]) -> dict[int, list[KeyRange]]:
        """Go on to the next moment: per root, where rows may differ.

        ``roots``: of all tables that there are now. Of one that is new every row may differ, and so
        with any change in the tree of a table without rowids.

        Raises:
            PageError: if a page makes no sense; then ``undo``.
        """
        self._reserve(pages.count)
        dirty, overflow, reshaped = self._classify(changed)
        reshaped &= roots
        before = {root: self._nodes_of(root) for root in reshaped | (self.roots - roots)}
        now = {
            root: self._grow(pages, root, before.get(root, {}), changed)
            for root in reshaped | (roots - self.roots)
        }
        gone: dict[int, set[int]] = {}
        came: dict[int, set[int]] = {}
        for root in reshaped:
            then, after = _leaves_apart(root, before[root], now[root])
            gone[root], came[root] = then - after, after - then
        found: dict[int, list[KeyRange]] = {}
        for root in (dirty.keys() | reshaped) & roots:
            leaves = dirty.get(root, set()) | gone.get(root, set())
            found[root] = [self._range(root, leaf) for leaf in leaves]
        born = roots - self.roots
        self._replace(before, now, roots)
        for root in found:
            still = {leaf for leaf in dirty.get(root, ()) if self._is_leaf(root, leaf)}
            leaves = still | came.get(root, set())
            found[root].extend(self._range(root, leaf) for leaf in leaves)
            inner = [page for page, node in now.get(root, {}).items() if node.content.index]
            self._follow(pages, leaves | set(inner), overflow)
            if self._is_index(pages, root):
                found[root] = [EVERY_ROW]  # rows are on inner pages too
        for root in born:
            found[root] = [EVERY_ROW]
            self._follow(pages, self._every_page(root, now[root]), overflow)
        return {root: merged(ranges) for root, ranges in found.items() if ranges}

    def root_of(self, page: int) -> int | None:
        """The root of the tree to which a page belongs, as far as is known."""
        for _ in range(MAX_HEIGHT + 2):  # an overflow page is one lower than the leaves
            parent = self.parents[page] if page < len(self.parents) else 0
            if parent == page:
                return page if page in self.roots else None
            if not parent:
                return None
            page = parent
        return None

    def _classify(
        self, changed: set[int]
    ) -> tuple[dict[int, set[int]], dict[int, set[int]], set[int]]:
        """Of what changed: leaves by root, overflow pages by owner, and roots of other shape."""
        dirty: dict[int, set[int]] = {}
        overflow: dict[int, set[int]] = {}
        reshaped: set[int] = set()
        for page in changed:
            root = self.root_of(page)
            if root is None:
                continue
            parent = self.parents[page]
            leaf = page
            if page in self.nodes:
                reshaped.add(root)
                continue
            if page == root:
                reshaped.add(root)
            elif parent not in self.nodes or page not in self.nodes[parent].content.children:
                overflow.setdefault(parent, set()).add(page)
                leaf = parent
                if parent in self.nodes and self.nodes[parent].content.index:
                    reshaped.add(root)
                    continue
                if not self._is_leaf(root, parent):
                    continue  # left behind
            dirty.setdefault(root, set()).add(leaf)
        return dirty, overflow, reshaped

    def _nodes_of(self, root: int) -> dict[int, Node]:
        found: dict[int, Node] = {}
        todo = [root] if root in self.nodes else []
        while todo:
            page = todo.pop()
            node = found[page] = self.nodes[page]
            if node.height > 1:
                todo.extend(node.content.children)
        return found

    def _grow(
        self, pages: Pages, root: int, old: dict[int, Node], changed: set[int]
    ) -> dict[int, Node]:
        """The inner pages of a tree as it is now; none if its root is a leaf."""
        content, height = _kind(pages, root), 0
        index = content in (INDEX_INTERIOR, INDEX_LEAF)
        page = root
        while content in (TABLE_INTERIOR, INDEX_INTERIOR):
            height += 1
            if height > MAX_HEIGHT:
                raise PageError(f"the tree of page {root} is too high")
            page = interior(pages.page(page), page, pages.usable).children[0]
            content = _kind(pages, page)
        found: dict[int, Node] = {}
        todo = [(root, height)] if height else []
        while todo:
            page, height = todo.pop()
            if page in found:
                raise PageError(f"page {page} is twice in a tree")
            node = old.get(page)
            if node is None or page in changed or node.height != height:
                fresh = Node(height, interior(pages.page(page), page, pages.usable))
                if fresh.content.index != index:
                    raise PageError(f"page {page} is of another kind than its root")
                node = node if node == fresh else fresh
            found[page] = node
            if height > 1:
                todo.extend((child, height - 1) for child in node.content.children)
        return found

    def _replace(
        self, before: dict[int, dict[int, Node]], now: dict[int, dict[int, Node]], roots: set[int]
    ) -> None:
        """First all trees let go of their pages, then they take what they have now."""
        for root, old in before.items():
            new = now.get(root, {})
            for page, node in old.items():
                if new.get(page) is node:
                    continue
                self._set_node(page, None)
                for child in node.content.children:
                    if self.parents[child] == page:
                        self._set_parent(child, 0)
            if root not in roots:
                self._set_parent(root, 0)
                self._set_root(root)
        for root, new in now.items():
            old = before.get(root, {})
            if root not in self.roots:
                self._set_root(root)
            self._set_parent(root, root)
            for page, node in new.items():
                if old.get(page) is node:
                    continue
                self._set_node(page, node)
                for child in node.content.children:
                    if not 1 < child < len(self.parents):
                        raise PageError(f"page {page} has a child outside the file")
                    self._set_parent(child, page)

    def _is_index(self, pages: Pages, root: int) -> bool:
        node = self.nodes.get(root)
        return node.content.index if node else _kind(pages, root) == INDEX_LEAF

    def _is_leaf(self, root: int, page: int) -> bool:
        if page in self.nodes or self.root_of(page) != root:
            return False
        parent = self.parents[page]
        return page == root or (
            parent in self.nodes and page in self.nodes[parent].content.children
        )

    def _range(self, root: int, leaf: int) -> KeyRange:
        """Between which rowids the rows of a leaf are; the nearest bounds are the tightest."""
        low: int | None = None
        high: int | None = None
        page = leaf
        while page != root and (low is None or high is None):
            parent = self.parents[page]
            if parent not in self.nodes:
                raise PageError(f"page {page} is not under an inner page")
            node = self.nodes[parent].content
            if node.index:
                return EVERY_ROW
            if page not in node.children:
                raise PageError(f"page {page} is under two inner pages")
            at = node.children.index(page)
            if low is None and at > 0:
                low = node.keys[at - 1] + 1
            if high is None and at < len(node.keys):
                high = node.keys[at]
            page = parent
        return KeyRange(MIN_ROWID if low is None else low, MAX_ROWID if high is None else high)

    def _every_page(self, root: int, nodes: dict[int, Node]) -> Iterator[int]:
        """Pages of a tree that may have overflow."""
        if not nodes:
            yield root
        for page, node in nodes.items():
            if node.content.index:
                yield page
            if node.height == 1:
                yield from node.content.children

    def _follow(self, pages: Pages, owners: Iterable[int], overflow: dict[int, set[int]]) -> None:
        """Note the overflow pages of these b-tree pages."""
        for owner in owners:
            content = pages.page(owner)
            if owner not in self.nodes and kind_of(content, owner) not in (TABLE_LEAF, INDEX_LEAF):
                raise PageError(f"page {owner} is no leaf")
            chain: set[int] = set()
            for page in overflow_heads(content, owner, pages.usable):
                while page:
                    if page in chain:
                        raise PageError(f"overflow of page {owner} runs in circles")
                    chain.add(page)
                    following = pages.word(page)
                    self._set_parent(page, owner)
                    page = following
            node = self.nodes.get(owner)
            children = node.content.children if node else ()
            for page in overflow.get(owner, set()) - chain:
                if self.parents[page] == owner and page not in children:
                    self._set_parent(page, 0)


def _kind(pages: Pages, number: int) -> int:
    kind = kind_of(pages.page(number), number)
    if kind not in (TABLE_INTERIOR, TABLE_LEAF, INDEX_INTERIOR, INDEX_LEAF):
        raise PageError(f"page {number} is no b-tree page")
    return kind


def _leaves_apart(
    root: int, before: dict[int, Node], now: dict[int, Node]
) -> tuple[set[int], set[int]]:
    """The leaves under the inner pages that two states of a tree do not share."""
    if not before or not now:
        return _all_leaves(root, before), _all_leaves(root, now)
    then: set[int] = set()
    after: set[int] = set()
    for leaves, nodes, others in ((then, before, now), (after, now, before)):
        for page, node in nodes.items():
            if node.height == 1 and others.get(page) is not node:
                leaves.update(node.content.children)
    return then, after


def _all_leaves(root: int, nodes: dict[int, Node]) -> set[int]:
    if not nodes:
        return {root}
    return {child for node in nodes.values() if node.height == 1 for child in node.content.children}


def merged(ranges: list[KeyRange]) -> list[KeyRange]:
    """The same rowids in as few ranges as there can be, in order."""
    found: list[KeyRange] = []
    for one in sorted(ranges):
        if found and one.low <= found[-1].high + 1:
            found[-1] = KeyRange(found[-1].low, max(found[-1].high, one.high))
        else:
            found.append(one)
    return found
