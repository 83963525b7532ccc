"""One pool of real processes: on hosts of their own where that is possible, else on loopback."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.node.home import StateFolder
from tests.faults.namespaces import Host, Switch, switch

SOURCE = Path(__file__).resolve().parents[2] / "src"
LOOK = 0.02  # s between looks at what nobody announces
READY_WITHIN = 40.0  # s; ten at once start on two cores
ENDS_WITHIN = 15.0
NAMES = ("ada", "ben", "cyd", "dan", "eva", "fay", "gus", "hal", "ivy", "jon", "kim", "leo")

Event = dict[str, Any]
Moment = tuple[float, Event]


def wait_until(condition: Callable[[], bool], what: str, within: float) -> float:
    """When it became so, of ``time.monotonic``.

    Raises:
        TimeoutError: after ``within`` seconds.
    """
    end, pause = time.monotonic() + within, threading.Event()
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"after {within:.0f} s still not: {what}")
        pause.wait(LOOK)
    return time.monotonic()


class RealPeer:
    """A ``meerkat`` process, its folder, and its events with the moment each was read."""

    def __init__(self, name: str, place: Path, host: Host | None) -> None:
        self.name, self.host = name, host
        self.folder = place / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.member = ""
        self.events: list[Moment] = []
        self.started = 0.0
        self._loopback = "127.0.0.1:0"
        self._errors = place / f"{name}.err"
        self._news = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._client: ControlClient | None = None

    # --- Its life ---

    def begin(self, *arguments: str) -> None:
        """Start ``meerkat ARGUMENTS`` for its folder; wait for nothing."""
        inside = ["ip", "netns", "exec", self.host.name] if self.host else []
        options = ["--json", "--no-discover", "--name", self.name]
        if self.host is None:
            options += ["--listen", self._loopback]  # the same again after a restart
        self.started = time.monotonic()
        with open(self._errors, "ab") as errors:
            self._process = subprocess.Popen(
                [*inside, sys.executable, "-m", "meerkat", *arguments, str(self.folder), *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env=dict(os.environ, PYTHONPATH=str(SOURCE)),
            )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def wait_ready(self) -> Event:
        """The facts of its ``ready`` line; from here on it can be asked."""
        _, ready = self.wait("ready", READY_WITHIN, since=self.started)
        self.member, self._loopback = ready["member"], ready["address"]
        self._client = ControlClient(StateFolder(self.folder).control_socket())
        return ready

    def start(self, *arguments: str) -> Event:
        """``begin`` and ``wait_ready``."""
        self.begin(*arguments)
        return self.wait_ready()

    def kill(self) -> None:
        """Signal 9: no goodbye."""
        self._signal(signal.SIGKILL)
        self._gone()

    def freeze(self) -> None:
        """It stands still; its connections stay, unanswered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """As Ctrl-C; kill it if it does not listen."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_WITHIN)
        self._signal(signal.SIGKILL)
        self._gone()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)

    def _gone(self) -> None:
        assert self._process is not None
        assert self._reader is not None
        if self._client is not None:
            self._client.close()
            self._client = None
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            at = time.monotonic()
            event = json.loads(line)
            with self._news:
                self.events.append((at, event))
                self._news.notify_all()

    # --- What it says ---

    def seen(self, name: str, since: float) -> list[Moment]:
        """Events of a name from a moment on."""
        return [one for one in self.events[:] if one[0] >= since and one[1]["event"] == name]

    def wait(
        self,
        name: str,
        within: float,
        *,
        since: float,
        accept: Callable[[Event], bool] = lambda _: True,
    ) -> Moment:
        """The first event of a name since a moment that ``accept`` takes.

        Raises:
            TimeoutError: if none comes within so many seconds from now.
        """

        def first() -> Moment | None:
            return next((one for one in self.seen(name, since) if accept(one[1])), None)

        with self._news:
            self._news.wait_for(lambda: first() is not None, within)
        found = first()
        if found is None:
            raise TimeoutError(f"{self.name}: no {name!r} after {within:.0f} s")
        return found

    def ask(self, request: schema.Request) -> dict[str, Any]:
        """Over its control socket."""
        assert self._client is not None, f"{self.name} does not run"
        return self._client.ask(request)

    def status(self) -> dict[str, Any]:
        """How it is now."""
        return self.ask(schema.GetStatus())

    def linked(self) -> set[str]:
        """The names of its neighbors."""
        return {one["name"] for one in self.status()["peers"]}

    # --- What it costs ---

    @property
    def running(self) -> bool:
        """Whether there is a process, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Resident now."""
        assert self._process is not None
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(one for one in text.splitlines() if one.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def dials(self, since: float) -> int:
        """Links that came to stand since a moment."""
        return len(self.seen("peer_linked", since))


class RealPool:
    """Peers that share one pool, and the network between them."""

    def __init__(self, place: Path, wires: Switch | None) -> None:
        self.place, self.wires = place, wires
        self.peers: list[RealPeer] = []

    def make(self, count: int = 1) -> list[RealPeer]:
        """More peers, not started yet."""
        hosts = self.wires.hosts if self.wires else [None] * len(NAMES)
        for number in range(len(self.peers), len(self.peers) + count):
            self.peers.append(RealPeer(NAMES[number], self.place, hosts[number]))
        return self.peers[-count:]

    def found(self, count: int) -> list[RealPeer]:
        """The first shares, the others join it, all at once; they are synced on return."""
        first, *others = self.make(count)
        invitation = first.start("share", "--uses", "100")["invitation"]
        for one in others:
            one.begin("join", invitation)
        for one in others:
            one.wait_ready()
        self.wait_whole(self.peers)
        return self.peers

    def wait_whole(self, peers: Collection[RealPeer], within: float = 20.0) -> float:
        """When everyone of these can reach everyone else of them over links; how long it took."""
        began = time.monotonic()
        wait_until(lambda: whole(peers), f"{names(peers)} are one network", within)
        return time.monotonic() - began

    def wait_full(self, peers: Collection[RealPeer], within: float = 20.0) -> float:
        """When these are all linked to all (a small pool's aim); how long it took."""
        began = time.monotonic()
        wait_until(lambda: full(peers), f"{names(peers)} are all linked to all", within)
        return time.monotonic() - began

    def cut(self, pairs: Collection[tuple[RealPeer, RealPeer]]) -> None:
        """From the first of each pair to the second nothing goes; everything else does.

        On loopback both directions are cut, and not silently.
        """
        if self.wires is not None:
            ends = [(one.host, other.host) for one, other in pairs]
            self.wires.drop([(one, other) for one, other in ends if one and other])
            return
        for peer in self.peers:
            others = {two.member for one, two in pairs if one is peer}
            others |= {one.member for one, two in pairs if two is peer}
            if peer.running:
                peer.ask(schema.Cut(members=tuple(sorted(others))))

    def part(self, one: Collection[RealPeer], other: Collection[RealPeer]) -> None:
        """Nothing goes between these two, in neither direction."""
        self.cut([*itertools.product(one, other), *itertools.product(other, one)])

    def heal(self) -> None:
        """Everything goes everywhere."""
        self.cut([])

    def stop(self) -> None:
        """All leave at once."""
        threads = [threading.Thread(target=one.stop) for one in self.peers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@contextmanager
def real_pool(place: Path, prefix: str, hosts: int) -> Iterator[RealPool]:
    """An empty pool with room for so many; ``prefix`` for its namespaces, "" for loopback."""
    with ExitStack() as stack:
        wires = stack.enter_context(switch(prefix, hosts)) if prefix else None
        pool = RealPool(place, wires)
        stack.callback(pool.stop)
        yield pool


def names(peers: Collection[RealPeer]) -> str:
    return ", ".join(one.name for one in peers)


def whole(peers: Collection[RealPeer]) -> bool:
    """Whether the links between these, as both ends tell, reach everyone of them."""
    links = {one.name: one.linked() for one in peers}
    reached, ahead = set[str](), [next(iter(links))]
    while ahead:
        name = ahead.pop()
        reached.add(name)
        both = {other for other in links[name] if name in links.get(other, ())}
        ahead += sorted(both - reached - set(ahead))
    return len(reached) == len(links)


def full(peers: Collection[RealPeer]) -> bool:
    """Whether everyone of these is linked to all others of them, and to nobody else."""
    wanted = {one.name for one in peers}
    return all(one.linked() == wanted - {one.name} for one in peers)


def contents(folder: Path) -> dict[str, bytes]:
    """What a folder shows."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".meerkat" not in path.parts and not path.name.startswith(".mk"):
            with suppress(FileNotFoundError):
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def alike(peers: Sequence[RealPeer]) -> bool:
    """Whether all folders show the same."""
    first, *others = (contents(one.folder) for one in peers)
    return all(one == first for one in others)
