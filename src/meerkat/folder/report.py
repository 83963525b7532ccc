"""What the folder tells the node, and the batches it tells it in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from meerkat.core.files import (
    JobResult,
    KeepResult,
    Observed,
    PrepareResult,
    Seen,
    TextContent,
)
from meerkat.core.ids import ContentHash

from .config import FolderConfig

__all__ = ["Batch", "FolderListener", "Observation", "Problem", "Problems"]

MOST_PROBLEMS = 1000  # shown at once; a person repairs the first ones first


@dataclass(frozen=True, slots=True)
class Problem:
    """Something at ``path`` is not synced: what is wrong, and what to do about it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What the folder found, in the order in which it found it.

    ``moved`` holds (old, new); the ``Seen`` of the new path is in ``seen``, too, and the old path
    is not in ``gone``. Where a large file was moved unread, its ``Seen`` has the digest that is
    known for the old path and ``BlobContent(())``; whoever needs the chunks all the same asks
    ``FolderAdapter.request_report``. ``touched`` are paths whose content is as reported
    before, under a new signature: worth remembering, nothing else. ``hidden`` are databases that a
    rule ignores from now on, which was found first; without the rule they are seen, or gone.
    """

    seen: tuple[Seen, ...] = ()
    gone: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    scan_complete: bool = False
    touched: tuple[tuple[str, Observed], ...] = ()
    hidden: tuple[str, ...] = ()


class FolderListener(Protocol):
    """Called from the folder's threads, never from two at a time for one path; must not block."""

    def observed(self, batch: Observation) -> None:
        """The folder holds something new."""

    def database_touched(self, path: str) -> None:
        """Perhaps something was written into a live database. Said at once, and often.

        From the watcher's thread, too: ``observed`` may be under way for the same path.
        """

    def jobs_done(self, results: list[JobResult | PrepareResult | KeepResult]) -> None:
        """Jobs ended."""

    def chunks_stored(self, blob: ContentHash, indexes: list[int], failed: list[int]) -> None:
        """Chunks are in the incoming file; ``failed`` did not verify or could not be written."""

    def problems_changed(self, problems: tuple[Problem, ...]) -> None:
        """All problems there are now."""

    def progress(self, path: str, done_bytes: int, total_bytes: int) -> None:
        """A large file is being hashed."""


class Batch:
    """Gathers observations and hands them over in bounded pieces."""

    def __init__(self, listener: FolderListener, config: FolderConfig) -> None:
        self._listener = listener
        self._config = config
        self._clear()

    def _clear(self) -> None:
        self._seen: list[Seen] = []
        self._gone: list[str] = []
        self._moved: list[tuple[str, str]] = []
        self._touched: list[tuple[str, Observed]] = []
        self._hidden: list[str] = []
        self._bytes = 0
        self._since: float | None = None

    def seen(self, seen: Seen) -> None:
        """Add one finding; a full batch goes out."""
        self._seen.append(seen)
        if isinstance(seen.content, TextContent):
            self._bytes += len(seen.content.data)
        self._added()

    def gone(self, path: str) -> None:
        """Add a proven deletion."""
        self._gone.append(path)
        self._added()

    def moved(self, old: str, seen: Seen) -> None:
        """Add a move and what stands at the new path."""
        self._moved.append((old, seen.path))
        self.seen(seen)

    def touched(self, path: str, observed: Observed) -> None:
        """Add a new signature; alone it is no reason to send."""
        self._touched.append((path, observed))
        if len(self._touched) >= self._config.batch_entries:
            self.flush()

    def hidden(self, path: str) -> None:
        """Add a database that is ignored from now on; what was found before goes out first."""
        if self._seen or self._gone:
            self.flush()
        self._hidden.append(path)
        self._added()

    def _added(self) -> None:
        if self._since is None:
            self._since = time.monotonic()
        count = len(self._seen) + len(self._gone)
        if count >= self._config.batch_entries or self._bytes >= self._config.batch_bytes:
            self.flush()

    def due(self, now: float) -> bool:
        """Whether the oldest finding has waited long enough, even during a scan."""
        return self._since is not None and now - self._since >= self._config.batch_age

    def flush(self, *, scan_complete: bool = False, even_nothing: bool = False) -> None:
        """Hand over what there is."""
        if self._since is None and not (scan_complete or even_nothing or self._touched):
            return
        batch = Observation(
            tuple(self._seen),
            tuple(self._gone),
            tuple(self._moved),
            scan_complete,
            tuple(self._touched),
            tuple(self._hidden),
        )
        self._clear()
        self._listener.observed(batch)

    def flush_findings(self) -> None:
        """Hand over what there is, unless it is new signatures only."""
        if self._since is not None:
            self.flush()


class Problems:
    """What cannot be synced now, by path."""

    def __init__(self, listener: FolderListener) -> None:
        self._listener = listener
        self._texts: dict[str, str] = {}
        self._changed = False

    def add(self, path: str, text: str) -> None:
        """Note or replace the problem of a path."""
        if self._texts.get(path) != text:
            self._texts[path] = text
            self._changed = True

    def clear(self, path: str) -> None:
        """The path is well, or gone."""
        if self._texts.pop(path, None) is not None:
            self._changed = True

    def paths(self) -> Sequence[str]:
        """Where there are problems."""
        return list(self._texts)

    def flush(self) -> None:
        """Tell the listener if anything changed."""
        if self._changed:
            self._changed = False
            shown = sorted(self._texts.items())[:MOST_PROBLEMS]
            self._listener.problems_changed(
                tuple(
                    Problem(path.encode("utf-8", "backslashreplace").decode(), text)
                    for path, text in shown
                )
            )
