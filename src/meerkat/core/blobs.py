"""Which chunks are wanted, until a blob is whole; and what others get who ask for chunks.

Receivers pull. A blob of one chunk is kept in memory until it is written; larger ones are assembled
in the folder's incoming area, chunk by chunk, from every neighbor that has them (``sources``). What
has arrived is given to others at once (``shelf``), before the blob is whole: content crosses many
hops in the time of one. Whoever asked too early is told when the chunk is here (``wishes``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, KeysView, Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random

from .chunks import Chunk
from .disk import Disk
from .effects import Effect, Perform, Send, ServeChunks, StartTimer, StoreChunk
from .events import LinkId
from .files import Location, Outcome, PrepareBlob, PrepareResult
from .ids import ContentHash
from .messages import MAX_CHUNKS, HaveChunks, NoChunks, WantChunks
from .ports import Store
from .shelf import Place, Shelf
from .sources import BlobsConfig, Sources
from .status import Problem, Transfer
from .wishes import Wishes

__all__ = ["Blobs", "BlobsConfig"]


MAX_PASSED = 64  # chunks that nobody can give now, looked at in one go
MIXED = 8  # chunks asked for in any order: all by all is no better (measured, 24 peers, 19 chunks)
NOT_KEPT = "what arrives of it cannot be kept here; it is tried again"
SOONEST = 0.01  # s of a nap, lest it end before its time and begin again and again. guess


@dataclass(slots=True)
class _Download:
    chunks: tuple[Chunk, ...]
    paths: set[str]
    hint: LinkId | None = None  # who told of it: it has the content, or is nearer to it
    prepared: bool = False
    ready: bool = False
    data: bytes | None = None  # of a blob of one chunk
    missing: dict[ContentHash, list[int]] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)  # of each chunk, once prepared
    why: str = ""  # it cannot be kept here now
    total_bytes: int = 0
    left_bytes: int = 0


class Blobs:
    """Downloads, and the answers to those who want chunks of us.

    Args:
        store: holds where the chunks of the folder's files are.
        disk: what stands in the folder.
        config: limits.
        rng: mixes the order of asking, so that neighbors fetch different chunks and give them to
            each other; without it, chunks are fetched in order.
    """

    def __init__(
        self, store: Store, disk: Disk, config: BlobsConfig, rng: Random | None = None
    ) -> None:
        self._config, self._rng = config, rng
        self._shelf = Shelf(store, disk)
        self.bases = self._shelf.bases
        self._wishes = Wishes()
        self._downloads: dict[ContentHash, _Download] = {}
        self._paths: dict[str, ContentHash] = {}  # path -> the blob it waits for
        self._queue: deque[ContentHash] = deque()  # blobs that wait to be prepared
        self._wanted: dict[ContentHash, set[ContentHash]] = {}  # chunk -> blobs
        self._sources = Sources(config, self._wanted)
        self._open: deque[ContentHash] = deque()  # chunks to ask for, in order
        self._offered: deque[ContentHash] = deque()  # chunks that somebody says it has now
        self._starved: dict[ContentHash, None] = {}  # chunks that all neighbors lack
        self._tickets: dict[int, ContentHash] = {}
        self._assembling: set[ContentHash] = set()  # prepared, not whole yet
        self._ticket = 1
        self._memory = 0
        self._news: LinkId | None = None
        self._failed: list[ContentHash] = []  # ... after a nap, say of a full disk
        self._nap = config.retry
        self._retry_at = self._poll_at = self._wake_at = inf
        self.dirty: set[str] = set()  # paths whose blob became ready

    # -- for the planner -------------------------------------------------------------------

    def obtain(
        self, blob: ContentHash, chunks: tuple[Chunk, ...], path: str
    ) -> bytes | ContentHash | None:
        """The content, if it is here; otherwise it is fetched and ``dirty`` names the path."""
        download = self._downloads.get(blob)
        if download is None:
            total = sum(chunk.length for chunk in chunks)
            download = _Download(chunks, set(), self._news, total_bytes=total, left_bytes=total)
            self._downloads[blob] = download
            self._queue.append(blob)
        self.release(path, but=blob)
        self._paths[path] = blob
        download.paths.add(path)
        if not download.ready:
            return None
        return download.data if download.data is not None else blob

    def written(self, blob: ContentHash) -> None:
        """A blob reached its path. Other paths that want it copy it from there."""
        self._forget(blob)

    def spoiled(self, blob: ContentHash) -> None:
        """The assembled blob was not what it should be: fetch it again."""
        self._forget(blob)

    def _forget(self, blob: ContentHash) -> None:
        download = self._downloads.pop(blob, None)
        self._assembling.discard(blob)
        if download is None:
            return
        self._shelf.forget(blob, download.chunks)
        if download.data is not None:
            self._memory -= len(download.data)
        for chunk in download.missing:
            self._unwant(chunk, blob)
        for path in download.paths:
            del self._paths[path]
        self.dirty |= download.paths

    def release(self, path: str, but: bytes | None = None) -> None:
        """A path does not want any blob now (``but`` this one): give up what nobody wants."""
        blob = self._paths.get(path)
        if blob is None or blob == but:
            return
        del self._paths[path]
        download = self._downloads[blob]
        download.paths.discard(path)
        if not download.paths:
            self._forget(blob)

    @property
    def transfers(self) -> list[Transfer]:
        """What is on its way, for people."""
        return [
            Transfer(min(one.paths), one.total_bytes - one.left_bytes, one.total_bytes)
            for one in self._downloads.values()
            if one.prepared and not one.ready and one.paths
        ]

    @property
    def waiting(self) -> KeysView[str]:
        """Paths whose content is not on the disk yet."""
        return self._paths.keys()

    @property
    def problems(self) -> list[Problem]:
        """Why content cannot be kept here now, by path."""
        return [
            Problem(path, f"Not written yet: {download.why}.")
            for download in self._downloads.values()
            if download.why and not download.ready
            for path in sorted(download.paths)
        ]

    # -- what others want ------------------------------------------------------------------

    def index(self, contents: Iterable[tuple[bytes, Sequence[Chunk]]]) -> None:
        """These versions stand in the folder now; note where their chunks are."""
        contents = list(contents)
        self._shelf.index(contents)
        for _, chunks in contents:
            for chunk in chunks:
                self._wishes.grant(chunk.hash)

    def on_want(self, link: LinkId, message: WantChunks) -> list[Effect]:
        """Somebody asks for chunks."""
        found: list[tuple[ContentHash, Place]] = []
        absent: list[ContentHash] = []
        for raw in message.chunks:
            chunk = ContentHash(raw)
            place = self._shelf.locate(chunk)
            if place is None:
                absent.append(chunk)
            else:
                found.append((chunk, place))
        return self._answer(link, found, absent)

    def on_unread(self, link: LinkId, chunks: Sequence[tuple[ContentHash, Place]]) -> list[Effect]:
        """Chunks could not be read where they should have been: they moved on, or are gone."""
        found: list[tuple[ContentHash, Place]] = []
        absent: list[ContentHash] = []
        for chunk, before in chunks:
            place = self._shelf.locate(chunk, beyond=before)
            if place is None:
                absent.append(chunk)
            else:
                found.append((chunk, place))
        return self._answer(link, found, absent)

    def _answer(
        self,
        link: LinkId,
        found: Sequence[tuple[ContentHash, Place]],
        absent: Sequence[ContentHash],
    ) -> list[Effect]:
        effects: list[Effect] = []
        if absent:
            effects.append(Send(link, NoChunks(tuple(bytes(chunk) for chunk in absent))))
        for chunk in absent:
            self._wishes.add(link, chunk)
        if found:
            effects.append(ServeChunks(link, tuple(found)))
        return effects

    def _arrived(self, blob: ContentHash, chunk: ContentHash, place: Place) -> None:
        self._shelf.arrived(blob, chunk, place)
        self._wishes.grant(chunk)

    # -- links -----------------------------------------------------------------------------

    def link_up(self, link: LinkId) -> None:
        """A new source."""
        self._sources.link_up(link)
        self._wishes.link_up(link)
        self._open.extend(self._starved)
        self._starved.clear()

    def link_down(self, link: LinkId) -> None:
        """What was asked there is asked elsewhere."""
        self._open.extendleft(reversed(self._sources.link_down(link)))
        self._wishes.link_down(link)

    def news(self, link: LinkId) -> None:
        """What the pool has from now until the evaluation, this neighbor told us of."""
        self._news = link

    def on_absent(self, link: LinkId, message: NoChunks) -> None:
        """A peer does not have what we asked for."""
        for raw in message.chunks:
            chunk = ContentHash(raw)
            if self._sources.on_absent(link, chunk):
                self._open.append(chunk)

    def on_have(self, link: LinkId, message: HaveChunks) -> None:
        """A peer has now what we asked for in vain."""
        for raw in message.chunks:
            self._sources.on_have(link, ContentHash(raw))

    def on_chunks(self, link: LinkId, chunks: Sequence[tuple[ContentHash, bytes]]) -> list[Effect]:
        """Chunks arrived; each hashes to its name."""
        return [effect for chunk, data in chunks for effect in self._on_chunk(link, chunk, data)]

    def _on_chunk(self, link: LinkId, chunk: ContentHash, data: bytes) -> list[Effect]:
        if not self._sources.on_chunk(link, chunk, len(data)):
            return []  # not asked for (any more)
        self._wishes.drop(link, chunk)  # whoever gives it has it
        effects: list[Effect] = []
        blobs = sorted(self._wanted.pop(chunk, ()))
        self._satisfied(chunk)
        for blob in blobs:
            download = self._downloads[blob]
            indexes = download.missing.get(chunk, [])
            if download.data is None and len(download.chunks) == 1 and not download.prepared:
                self._complete_small(blob, download, chunk, data)
                continue
            effects += [StoreChunk(blob, index, data) for index in indexes]
        return effects

    def _complete_small(
        self, blob: ContentHash, download: _Download, chunk: ContentHash, data: bytes
    ) -> None:
        download.missing.pop(chunk, None)
        if len(data) != download.chunks[0].length:
            return
        download.data, download.ready, download.left_bytes = data, True, 0
        self._memory += len(data)
        self._arrived(blob, chunk, data)
        self.dirty |= download.paths

    def on_pong(self, link: LinkId, token: int, now: float) -> None:
        """How quick is a live message while bulk flows?"""
        self._sources.on_pong(link, token, now)

    # -- results of the folder -------------------------------------------------------------

    def on_prepared(self, result: PrepareResult) -> None:
        """The incoming file stands; what is missing must be fetched."""
        blob = self._tickets.pop(result.ticket, None)
        download = self._downloads.get(blob) if blob is not None else None
        if blob is None or download is None:
            return
        if result.outcome is not Outcome.DONE:
            download.why = result.detail
            self._failed.append(blob)
            return
        download.prepared = True
        self._assembling.add(blob)
        download.offsets = _offsets(download.chunks)
        download.left_bytes = 0
        for index in self._mixed(result.missing):
            download.left_bytes += download.chunks[index].length
            self._want(blob, download, index)
        for index in sorted(set(range(len(download.chunks))).difference(result.missing)):
            self._stored(blob, download, index)
        self._check_ready(blob, download)

    def _mixed(self, indexes: Sequence[int]) -> Iterator[int]:
        for first in range(0, len(indexes), MIXED):
            block = list(indexes[first : first + MIXED])
            if self._rng is not None:
                self._rng.shuffle(block)
            yield from block

    def on_stored(self, blob: ContentHash, stored: Sequence[int], failed: Sequence[int]) -> None:
        """Chunks reached the incoming file, or did not."""
        download = self._downloads.get(blob)
        if download is None or not download.prepared:
            return  # an earlier wish for it; preparing finds what is there
        if stored:
            self._nap, download.why = self._config.retry, ""
        for index in stored:
            chunk = download.chunks[index]
            indexes = download.missing.get(chunk.hash)
            if indexes is not None and index in indexes:
                self._stored(blob, download, index)
                indexes.remove(index)
                download.left_bytes -= chunk.length
                if not indexes:
                    del download.missing[chunk.hash]
                    # Asked for once more meanwhile, if this blob was given up and wanted again.
                    self._unwant(chunk.hash, blob)
        if failed:
            self._put_off(blob, download)
        self._check_ready(blob, download)

    def _put_off(self, blob: ContentHash, download: _Download) -> None:
        """Nothing more can be kept of it: to fetch it meanwhile would only be a waste."""
        for chunk in download.missing:
            self._unwant(chunk, blob)
        download.missing.clear()
        download.prepared = False
        self._assembling.discard(blob)
        download.why = download.why or NOT_KEPT
        self._failed.append(blob)

    def _stored(self, blob: ContentHash, download: _Download, index: int) -> None:
        chunk = download.chunks[index]
        place = Location("", download.offsets[index], chunk.length, blob)
        self._arrived(blob, chunk.hash, place)

    def _check_ready(self, blob: ContentHash, download: _Download) -> None:
        if download.prepared and not download.missing:
            download.ready = True
            self._assembling.discard(blob)
            self.dirty |= download.paths

    def _want(self, blob: ContentHash, download: _Download, index: int) -> None:
        chunk = download.chunks[index].hash
        indexes = download.missing.setdefault(chunk, [])
        if index not in indexes:
            indexes.append(index)
        blobs = self._wanted.setdefault(chunk, set())
        if not blobs:
            self._open.append(chunk)
        blobs.add(blob)

    def _unwant(self, chunk: ContentHash, blob: ContentHash) -> None:
        blobs = self._wanted.get(chunk)
        if blobs is not None:
            blobs.discard(blob)
            if not blobs:
                del self._wanted[chunk]
                self._satisfied(chunk)

    def _satisfied(self, chunk: ContentHash) -> None:
        self._starved.pop(chunk, None)
        self._sources.forget(chunk)

    # -- deciding --------------------------------------------------------------------------

    def evaluate(self, now: float) -> list[Effect]:
        """Prepare what waits, ask for what is missing, as far as windows and memory allow."""
        self._news = None
        self._open.extendleft(reversed(self._sources.lose_patience(now)))
        for chunk in self._sources.weigh(now):
            self._starved.pop(chunk, None)
            self._offered.append(chunk)
        self._try_again(now)
        effects = list(self._prepare()) if self._queue else []
        if self._offered or self._open:
            effects += self._ask()
        effects += self._sources.ping(now)
        effects += self._wishes.tell()
        effects += self._rest(now)
        return effects

    def wake(self) -> None:
        """The nap is over; evaluation follows."""
        self._wake_at = inf

    def _try_again(self, now: float) -> None:
        if now >= self._retry_at:
            self._retry_at = inf
            self._queue.extend(self._failed)
            self._failed.clear()
        if now >= self._poll_at:  # somebody may have forgotten to say that it has them
            self._poll_at = inf
            again = list(self._starved)[: self._config.poll_count]
            for chunk in again:
                del self._starved[chunk]
            self._sources.look_again(again)
            self._open.extend(again)

    def _rest(self, now: float) -> Iterator[Effect]:
        """Look again later at what cannot be had now."""
        if self._failed and self._retry_at == inf:
            self._retry_at = now + self._nap
            self._nap = min(self._nap * 2, self._config.retry_max)
        if not self._starved:
            self._poll_at = inf
        elif self._poll_at == inf:
            self._poll_at = now + self._config.poll_every
        due = min(self._retry_at, self._poll_at, self._sources.next_due())
        if due < self._wake_at:
            self._wake_at = due
            yield StartTimer("blobs", max(due - now, SOONEST))

    def _prepare(self) -> Iterator[Effect]:
        large = len(self._assembling) + len(self._tickets)
        for _ in range(len(self._queue)):
            blob = self._queue.popleft()
            download = self._downloads.get(blob)
            if download is None:
                continue
            sources = self._local_sources(download)
            if len(download.chunks) == 1 and not sources:
                self._want(blob, download, 0)
                continue
            if large >= self._config.blobs_count:
                self._queue.appendleft(blob)
                return
            large += 1
            self._ticket += 2  # odd; the planner uses even ones
            self._tickets[self._ticket] = blob
            yield Perform((PrepareBlob(self._ticket, blob, download.chunks, sources),))

    def _local_sources(self, download: _Download) -> dict[ContentHash, Location]:
        found: dict[ContentHash, Location] = {}
        for chunk in download.chunks:
            location = self._shelf.in_folder(chunk.hash)
            if location is not None:
                found[chunk.hash] = location
        return found

    def _ask(self) -> Iterator[Effect]:
        if self._memory >= self._config.memory_bytes:
            return
        self._sources.begin()
        requests: dict[LinkId, list[bytes]] = {}
        self._ask_for(self._offered, requests, told=True)
        self._ask_for(self._open, requests, told=False)
        for link, chunks in requests.items():
            for first in range(0, len(chunks), MAX_CHUNKS):
                yield Send(link, WantChunks(tuple(chunks[first : first + MAX_CHUNKS])))
        if requests:
            yield StartTimer("chunks", self._config.patience)

    def _ask_for(
        self, queue: deque[ContentHash], requests: dict[LinkId, list[bytes]], *, told: bool
    ) -> None:
        """Ask for what waits in a queue (``told``: only of those who say they have it)."""
        sources = self._sources
        unasked: list[ContentHash] = []
        while queue and len(unasked) < MAX_PASSED and not sources.all_full(told=told):
            chunk = queue.popleft()
            blobs = self._wanted.get(chunk)
            if not blobs or sources.is_asked(chunk):
                continue
            download = self._downloads[min(blobs)]
            size_bytes = download.chunks[download.missing[chunk][0]].length
            link = sources.choose(chunk, size_bytes, download.hint, told=told)
            if link is not None:
                sources.ask(link, chunk, size_bytes)
                requests.setdefault(link, []).append(bytes(chunk))
            elif sources.all_lack(chunk):
                self._starved[chunk] = None
            elif told and not sources.has(chunk):
                self._open.append(chunk)  # whoever had it is gone
            else:
                unasked.append(chunk)
        if len(unasked) >= MAX_PASSED:
            queue.extend(unasked)  # nobody can give these now; others may be to be had
        else:
            queue.extendleft(reversed(unasked))


def _offsets(chunks: Sequence[Chunk]) -> list[int]:
    """Where each chunk begins in its blob, in bytes."""
    offsets, at = [], 0
    for chunk in chunks:
        offsets.append(at)
        at += chunk.length
    return offsets
