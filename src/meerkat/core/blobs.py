"""Which chunk to ask from whom, until a blob is whole; and where chunks are that others ask for.

Receivers pull: what is asked for and not here yet is the window of a link, in bytes. It starts
small and grows while live messages stay quick (design, section 7), so typing never waits behind
bulk. A blob of one chunk is kept in memory until it is written; larger ones are assembled in the
folder's incoming area, chunk by chunk, from every peer that has them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, KeysView, Sequence
from dataclasses import dataclass, field

from .chunks import Chunk
from .disk import Disk
from .effects import Effect, Perform, Send, ServeChunks, StartTimer, StoreChunk
from .events import LinkId
from .files import Location, Outcome, PrepareBlob, PrepareResult
from .ids import ContentHash
from .messages import MAX_CHUNKS, NoChunks, Ping, WantChunks
from .ports import Store, Table
from .status import Transfer

__all__ = ["Blobs", "BlobsConfig"]


MAX_PASSED = 64  # chunks that nobody can give now, looked at in one go


@dataclass(frozen=True, slots=True)
class BlobsConfig:
    """Limits of content transfer."""

    window_bytes: int = 256 * 1024
    """What a link may have under way at first (measured: 128 KiB leaves typing undisturbed at
    20 Mbit/s; an average chunk is 256 KiB)."""
    window_max_bytes: int = 32 * 1024 * 1024
    """... and at most (a gigabit at 200 ms round trip)."""
    blobs_count: int = 4
    """Large blobs assembled at once."""
    memory_bytes: int = 32 * 1024 * 1024
    """Single-chunk blobs held in memory until they are written."""
    retry: float = 0.5
    """s until a chunk that nobody had is asked for again; doubles up to ``retry_max``."""
    retry_max: float = 10.0
    ping_every: float = 0.5
    """s between measurements of the live round trip while content flows."""
    patience: float = 20.0
    """s without a chunk from a peer until what it was asked for is asked elsewhere (guess: a chunk
    of 1 MiB at 50 KiB/s); a late one is taken all the same."""
    slack: float = 0.05
    """s by which the live round trip may exceed twice its minimum before windows shrink."""


@dataclass(slots=True)
class _Download:
    chunks: tuple[Chunk, ...]
    paths: set[str]
    prepared: bool = False
    ready: bool = False
    data: bytes | None = None  # of a blob of one chunk
    missing: dict[ContentHash, list[int]] = field(default_factory=dict)
    total_bytes: int = 0
    left_bytes: int = 0


@dataclass(slots=True)
class _Source:
    """A linked peer as a source of chunks."""

    window: float
    asked: dict[ContentHash, int] = field(default_factory=dict)  # chunk -> bytes
    asked_bytes: int = 0
    lacks: set[ContentHash] = field(default_factory=set)
    pinged_at: float = -1e9
    waiting: bool = False
    filling: bool = True  # a quarter of the window is free: ask for many at once, not one by one
    token: int = 0
    heard: bool = False  # it answered since the last evaluation
    heard_at: float = 0.0  # when it last answered, or owed nothing
    best: float = 1e9  # s, the shortest live round trip


class Blobs:
    """Downloads and the index of chunks that this folder holds."""

    def __init__(self, store: Store, disk: Disk, config: BlobsConfig) -> None:
        self._store, self._disk, self._config = store, disk, config
        self._downloads: dict[ContentHash, _Download] = {}
        self._paths: dict[str, ContentHash] = {}  # path -> the blob it waits for
        self._queue: deque[ContentHash] = deque()  # blobs that wait to be prepared
        self._wanted: dict[ContentHash, set[ContentHash]] = {}  # chunk -> blobs
        self._open: deque[ContentHash] = deque()  # chunks to ask for, in order
        self._tickets: dict[int, ContentHash] = {}
        self._assembling: set[ContentHash] = set()  # prepared, not whole yet
        self._ticket = 1
        self._sources: dict[LinkId, _Source] = {}
        self._memory = 0
        self._nap = config.retry
        self._napping = False
        self.dirty: set[str] = set()  # paths whose blob became ready

    # -- for the planner -------------------------------------------------------------------

    def obtain(
        self, blob: ContentHash, chunks: tuple[Chunk, ...], path: str
    ) -> bytes | ContentHash | None:
        """The content, if it is here; otherwise it is fetched and ``dirty`` names the path."""
        download = self._downloads.get(blob)
        if download is None:
            total = sum(chunk.length for chunk in chunks)
            download = _Download(chunks, set(), total_bytes=total, left_bytes=total)
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

    # -- what the folder holds -------------------------------------------------------------

    def index(self, contents: Iterable[tuple[bytes, Sequence[Chunk]]]) -> None:
        """These versions stand in the folder now; note where their chunks are."""
        items: list[tuple[bytes, bytes]] = []
        for version, chunks in contents:
            offset = 0
            for chunk in chunks:
                place = offset.to_bytes(8, "big") + chunk.length.to_bytes(4, "big")
                items.append((chunk.hash + version, place))
                offset += chunk.length
        if items:
            self._store.put_many(Table.CHUNK, items)

    def locate(self, chunk: ContentHash) -> Location | None:
        """Where a chunk should be in the folder; whoever reads it checks."""
        for key, value in list(self._store.scan(Table.CHUNK, chunk)):
            places = self._disk.places_of(key[ContentHash.SIZE :])
            if places:
                offset, length = int.from_bytes(value[:8], "big"), int.from_bytes(value[8:], "big")
                return Location(places[0], offset, length)
            self._store.delete(Table.CHUNK, key)  # indexed again should it come back
        return None

    # -- links -----------------------------------------------------------------------------

    def link_up(self, link: LinkId) -> None:
        """A new source."""
        self._sources[link] = _Source(self._config.window_bytes)
        self._nap = self._config.retry

    def link_down(self, link: LinkId) -> None:
        """What was asked there is asked elsewhere."""
        source = self._sources.pop(link, None)
        if source is not None:
            self._open.extendleft(reversed(source.asked))

    def on_want(self, link: LinkId, message: WantChunks) -> list[Effect]:
        """Somebody asks for chunks."""
        found: list[tuple[ContentHash, Location]] = []
        absent: list[bytes] = []
        for raw in message.chunks:
            chunk = ContentHash(raw)
            location = self.locate(chunk)
            if location is None:
                absent.append(raw)
            else:
                found.append((chunk, location))
        effects: list[Effect] = []
        if absent:
            effects.append(Send(link, NoChunks(tuple(absent))))
        if found:
            effects.append(ServeChunks(link, tuple(found)))
        return effects

    def on_absent(self, link: LinkId, message: NoChunks) -> None:
        """A peer does not have what we asked for."""
        source = self._sources.get(link)
        if source is None:
            return
        for raw in message.chunks:
            chunk = ContentHash(raw)
            if self._answered(source, chunk):
                source.lacks.add(chunk)
                self._open.append(chunk)

    def on_chunks(self, link: LinkId, chunks: Sequence[tuple[ContentHash, bytes]]) -> list[Effect]:
        """Chunks arrived; each hashes to its name."""
        return [effect for chunk, data in chunks for effect in self._on_chunk(link, chunk, data)]

    def _on_chunk(self, link: LinkId, chunk: ContentHash, data: bytes) -> list[Effect]:
        source = self._sources.get(link)
        if source is None or not (self._answered(source, chunk) or chunk in self._wanted):
            return []  # not asked for (any more)
        source.window = min(source.window + len(data) / 2, self._config.window_max_bytes)
        effects: list[Effect] = []
        for blob in sorted(self._wanted.pop(chunk, ())):
            download = self._downloads[blob]
            indexes = download.missing.get(chunk, [])
            if download.data is None and len(download.chunks) == 1 and not download.prepared:
                self._complete_small(download, chunk, data)
                continue
            effects += [StoreChunk(blob, index, data) for index in indexes]
        return effects

    def _complete_small(self, download: _Download, chunk: ContentHash, data: bytes) -> None:
        download.missing.pop(chunk, None)
        if len(data) != download.chunks[0].length:
            return
        download.data, download.ready, download.left_bytes = data, True, 0
        self._memory += len(data)
        self.dirty |= download.paths

    def _answered(self, source: _Source, chunk: ContentHash) -> bool:
        size = source.asked.pop(chunk, None)
        if size is None:
            return False
        source.asked_bytes -= size
        source.heard = True
        return True

    def on_pong(self, link: LinkId, token: int, now: float) -> None:
        """How quick is a live message while bulk flows?"""
        source = self._sources.get(link)
        if source is None or not source.waiting or token != source.token:
            return
        took, source.waiting = now - source.pinged_at, False
        source.best = min(source.best, took)
        if took > 2 * source.best + self._config.slack:
            source.window = max(source.window / 2, self._config.window_bytes)

    # -- results of the folder -------------------------------------------------------------

    def on_prepared(self, result: PrepareResult) -> None:
        """The incoming file stands; what is missing must be fetched."""
        blob = self._tickets.pop(result.ticket, None)
        download = self._downloads.get(blob) if blob is not None else None
        if blob is None or download is None:
            return
        if result.outcome is not Outcome.DONE:
            self._queue.append(blob)  # a full disk, say: again after the nap
            return
        download.prepared = True
        self._assembling.add(blob)
        download.left_bytes = 0
        for index in result.missing:
            chunk = download.chunks[index]
            download.left_bytes += chunk.length
            self._want(blob, download, index)
        self._check_ready(blob, download)

    def on_stored(self, blob: ContentHash, stored: Sequence[int], failed: Sequence[int]) -> None:
        """Chunks reached the incoming file, or did not."""
        download = self._downloads.get(blob)
        if download is None:
            return
        for index in stored:
            chunk = download.chunks[index]
            indexes = download.missing.get(chunk.hash)
            if indexes is not None and index in indexes:
                indexes.remove(index)
                download.left_bytes -= chunk.length
                if not indexes:
                    del download.missing[chunk.hash]
                    # Asked for once more meanwhile, if this blob was given up and wanted again.
                    self._unwant(chunk.hash, blob)
        for index in failed:
            self._want(blob, download, index)
        self._check_ready(blob, download)

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

    # -- deciding --------------------------------------------------------------------------

    def evaluate(self, now: float) -> list[Effect]:
        """Prepare what waits, ask for what is missing, as far as windows and memory allow."""
        self._lose_patience(now)
        effects = list(self._prepare())
        effects += self._ask()
        effects += self._ping(now)
        if (self._open or self._queue) and not self._napping:
            self._napping = True
            effects.append(StartTimer("blobs", self._nap))
            self._nap = min(self._nap * 2, self._config.retry_max)
        return effects

    def _lose_patience(self, now: float) -> None:
        """What a silent peer does not give is asked elsewhere, or again."""
        for _, source in sorted(self._sources.items()):
            if source.heard or not source.asked:
                source.heard, source.heard_at = False, now
            elif now - source.heard_at >= self._config.patience:
                source.lacks.update(source.asked)
                self._open.extendleft(reversed(source.asked))
                source.asked.clear()
                source.asked_bytes = 0

    def wake(self) -> None:
        """The nap is over: those who lacked a chunk may have it by now."""
        self._napping = False
        for source in self._sources.values():
            source.lacks.clear()

    def _prepare(self) -> Iterator[Effect]:
        if not self._queue:
            return
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
            location = self.locate(chunk.hash)
            if location is not None:
                found[chunk.hash] = location
        return found

    def _ask(self) -> Iterator[Effect]:
        for source in self._sources.values():
            room_bytes = source.window - source.asked_bytes
            source.filling = not source.asked or room_bytes >= source.window / 4
        requests: dict[LinkId, list[bytes]] = {}
        unasked: list[ContentHash] = []
        room = self._memory < self._config.memory_bytes
        while self._open and room:
            chunk = self._open.popleft()
            blobs = self._wanted.get(chunk)
            if not blobs or any(chunk in source.asked for source in self._sources.values()):
                continue
            length = self._length(chunk, min(blobs))
            link = self._choose(chunk, length)
            if link is None:
                unasked.append(chunk)
                full = all(self._is_full(one) for one in self._sources.values())
                if full or len(unasked) >= MAX_PASSED:
                    break
                continue
            source = self._sources[link]
            source.asked[chunk] = length
            source.asked_bytes += length
            requests.setdefault(link, []).append(bytes(chunk))
        if len(unasked) >= MAX_PASSED:
            self._open.extend(unasked)  # nobody has these now; others may be to be had
        else:
            self._open.extendleft(reversed(unasked))
        for link, chunks in requests.items():
            self._nap = self._config.retry
            for first in range(0, len(chunks), MAX_CHUNKS):
                yield Send(link, WantChunks(tuple(chunks[first : first + MAX_CHUNKS])))
        if requests:
            yield StartTimer("chunks", self._config.patience)

    def _length(self, chunk: ContentHash, blob: ContentHash) -> int:
        download = self._downloads[blob]
        return download.chunks[download.missing[chunk][0]].length

    def _is_full(self, source: _Source) -> bool:
        full = source.asked_bytes >= source.window or len(source.asked) >= MAX_CHUNKS
        return full or not source.filling

    def _choose(self, chunk: ContentHash, length: int) -> LinkId | None:
        """The peer with the most room that may have it."""
        best: LinkId | None = None
        best_room = 0.0
        for link in sorted(self._sources):
            source = self._sources[link]
            room = source.window - source.asked_bytes
            fits = room >= length or not source.asked
            able = fits and chunk not in source.lacks and not self._is_full(source)
            if able and (best is None or room > best_room):
                best, best_room = link, room
        return best

    def _ping(self, now: float) -> Iterator[Effect]:
        for link in sorted(self._sources):
            source = self._sources[link]
            due = now - source.pinged_at >= self._config.ping_every
            if source.asked and due and not source.waiting:
                source.token += 1
                source.pinged_at, source.waiting = now, True
                yield Send(link, Ping(source.token))
