"""A folder under test: a listener with a condition to wait on, and a model of what it was told."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from meerkat.core.files import (
    Job,
    JobResult,
    KeepResult,
    Kind,
    Observed,
    PrepareResult,
    Seen,
    TextContent,
    WriteFile,
)
from meerkat.core.ids import ContentHash
from meerkat.folder import FolderAdapter, FolderConfig, Observation, Problem

TIMEOUT = 10.0
QUICK = FolderConfig(rescan_shortest=600.0, replaced_grace=0.3)  # no scan helps the watcher


class Told:
    """Everything the folder said, and the tree that follows from it."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.events: list[tuple[str, str]] = []
        self.tree: dict[str, Observed] = {}
        self.seen: list[Seen] = []
        self.batches: list[Observation] = []
        self.results: dict[int, JobResult | PrepareResult | KeepResult] = {}
        self.touched: list[str] = []
        self.order: list[int] = []
        self.problems: dict[str, str] = {}
        self.stored: list[tuple[ContentHash, int, bool]] = []
        self.progressed: list[tuple[str, int, int]] = []
        self.scans = 0

    def observed(self, batch: Observation) -> None:
        with self.condition:
            self.batches.append(batch)
            moved_to = {new for _, new in batch.moved}
            for old, new in batch.moved:
                self.events.append(("moved", f"{old} -> {new}"))
                self.tree.pop(old, None)
            for path in batch.gone:
                self.events.append(("gone", path))
                self.tree.pop(path, None)
            for seen in batch.seen:
                self.seen.append(seen)
                self.tree[seen.path] = seen.observed
                if seen.path not in moved_to:
                    self.events.append(("seen", seen.path))
            for path, observed in batch.touched:
                self.tree[path] = observed
            self.scans += batch.scan_complete
            self.condition.notify_all()

    def database_touched(self, path: str) -> None:
        with self.condition:
            self.touched.append(path)
            self.condition.notify_all()

    def jobs_done(self, results: list[JobResult | PrepareResult | KeepResult]) -> None:
        with self.condition:
            for result in results:
                self.results[result.ticket] = result
                self.order.append(result.ticket)
            self.condition.notify_all()

    def chunks_stored(self, blob: ContentHash, indexes: list[int], failed: list[int]) -> None:
        with self.condition:
            self.stored += [(blob, index, True) for index in indexes]
            self.stored += [(blob, index, False) for index in failed]
            self.condition.notify_all()

    def problems_changed(self, problems: tuple[Problem, ...]) -> None:
        with self.condition:
            self.problems = {problem.path: problem.text for problem in problems}
            self.condition.notify_all()

    def progress(self, path: str, done_bytes: int, total_bytes: int) -> None:
        with self.condition:
            self.progressed.append((path, done_bytes, total_bytes))
            self.condition.notify_all()

    def wait(self, what: str, condition: Callable[[], Any]) -> None:
        with self.condition:
            if not self.condition.wait_for(condition, TIMEOUT):
                raise AssertionError(f"waited in vain for {what}: {self.events[-20:]}")

    def text(self, path: str) -> bytes | None:
        """The last text seen at a path."""
        for seen in reversed(self.seen):
            if seen.path == path:
                return seen.content.data if isinstance(seen.content, TextContent) else None
        return None


class FolderCase:
    """A started adapter over a temporary folder."""

    def __init__(self, root: Path, *, start: bool = True, **options: Any) -> None:
        self.root = root
        self.state = root / ".meerkat"
        self.told = Told()
        self.tickets = itertools.count(1)
        self.options = {"config": QUICK} | options
        self.known: dict[str, Observed] = self.options.pop("known", {})
        self.told.tree = dict(self.known)
        root.mkdir(exist_ok=True, parents=True)
        self.adapter = FolderAdapter(root, self.state, self.known, self.told, **self.options)
        if start:
            self.adapter.start()
            self.told.wait("the first scan", lambda: self.told.scans)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.adapter.stop()
        names = {thread.name for thread in threading.enumerate()}
        assert not {name for name in names if name.startswith("folder")}

    def settle(self) -> None:
        """Wait until everything done so far is reported.

        A file made and removed now is reported after all that happened before, except what waits
        for a proof of its own (a folder is gone only after what was in it).
        """
        self._make_and_remove()
        while self.adapter._scanner.waiting():
            self._make_and_remove()

    def _make_and_remove(self) -> None:
        name = f"settled-{next(self.tickets)}"
        (self.root / name).write_text(name)
        self.told.wait(name, lambda: ("seen", name) in self.told.events)
        (self.root / name).unlink()
        self.told.wait(f"{name} gone", lambda: ("gone", name) in self.told.events)
        with self.told.condition:
            self.told.events = [event for event in self.told.events if event[1] != name]

    def events(self) -> list[tuple[str, str]]:
        """What was told since the last call, after settling."""
        self.settle()
        with self.told.condition:
            events, self.told.events = self.told.events, []
        return events

    def scan(self) -> None:
        """Scan and wait for its end."""
        before = self.told.scans
        self.adapter.request_scan()
        self.told.wait("a scan", lambda: self.told.scans > before)

    def do(self, *jobs: Job) -> list[JobResult | PrepareResult | KeepResult]:
        """Perform jobs (tickets are given here) and wait for the results."""
        ticketed = [replace(job, ticket=next(self.tickets)) for job in jobs]
        self.adapter.perform(ticketed)
        return self.results(ticketed)

    def results(self, jobs: list[Job]) -> list[JobResult | PrepareResult | KeepResult]:
        tickets = [job.ticket for job in jobs]
        self.told.wait("results", lambda: all(t in self.told.results for t in tickets))
        return [self.told.results[ticket] for ticket in tickets]

    def write(
        self,
        path: str,
        data: bytes,
        expected: bytes | None = None,
        *,
        executable: bool = False,
        kind: Kind = Kind.FILE,
    ) -> JobResult:
        """A ``WriteFile`` job over a file that holds ``expected``."""
        result = self.do(write_job(path, data, expected, executable=executable, kind=kind))[0]
        assert isinstance(result, JobResult)
        return result


def write_job(
    path: str,
    data: bytes,
    expected: bytes | None = None,
    *,
    executable: bool = False,
    kind: Kind = Kind.FILE,
) -> WriteFile:
    wanted = None if expected is None else ContentHash.of(expected)
    return WriteFile(0, path, kind, data, ContentHash.of(data), executable, wanted)


def wait_until(condition: Callable[[], Any]) -> None:
    """For what the listener is not told (a file removed after its grace)."""
    deadline = time.monotonic() + TIMEOUT
    event = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        event.wait(0.01)
