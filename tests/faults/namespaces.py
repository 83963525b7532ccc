"""Hosts on one machine: network namespaces joined by wires that can go silent (root only)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src"


def _run(*command: str, stdin: str = "") -> None:
    subprocess.run(command, check=True, capture_output=True, input=stdin, text=True)


class Host:
    """A namespace with one address."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address

    def drop_all_from(self, other: Host) -> None:
        """Packets of the other host vanish without a word."""
        inside = ("ip", "netns", "exec", self.name, "nft")
        _run(*inside, "add", "table", "inet", "cut")
        _run(*inside, "add", "chain", "inet", "cut", "in", "{ type filter hook input priority 0; }")
        _run(*inside, "add", "rule", "inet", "cut", "in", "ip", "saddr", other.address, "drop")

    def heal(self) -> None:
        """Let everything through again."""
        _run("ip", "netns", "exec", self.name, "nft", "delete", "table", "inet", "cut")


@contextmanager
def two_hosts(prefix: str) -> Iterator[tuple[Host, Host]]:
    """Two namespaces and a wire between them."""
    hosts = (Host(f"{prefix}a", "10.78.0.1"), Host(f"{prefix}b", "10.78.0.2"))
    ends = (f"{prefix}va", f"{prefix}vb")
    try:
        for host in hosts:
            _run("ip", "netns", "add", host.name)
        peer = ("type", "veth", "peer", "name", ends[1], "netns", hosts[1].name)
        _run("ip", "link", "add", ends[0], "netns", hosts[0].name, *peer)
        for host, end in zip(hosts, ends, strict=True):
            _run("ip", "-n", host.name, "addr", "add", f"{host.address}/24", "dev", end)
            _run("ip", "-n", host.name, "link", "set", end, "up")
            _run("ip", "-n", host.name, "link", "set", "lo", "up")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)


class Switch:
    """Many hosts on one bridge, which decides what goes through, direction by direction."""

    def __init__(self, prefix: str, count: int) -> None:
        self._name = f"{prefix}sw"
        self.hosts = [Host(f"{prefix}{n}", f"10.79.0.{n}") for n in range(1, count + 1)]

    def make(self) -> None:
        """Set everything up."""
        _run("ip", "netns", "add", self._name)
        _run("ip", "-n", self._name, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", self._name, "link", "set", "bridge", "up")
        for host in self.hosts:
            port = self._port(host)
            _run("ip", "netns", "add", host.name)
            peer = ("type", "veth", "peer", "name", "eth0", "netns", host.name)
            _run("ip", "link", "add", port, "netns", self._name, *peer)
            _run("ip", "-n", self._name, "link", "set", port, "master", "bridge", "up")
            _run("ip", "-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            _run("ip", "-n", host.name, "link", "set", "eth0", "up")
            _run("ip", "-n", host.name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """Leave nothing behind."""
        for name in (self._name, *(host.name for host in self.hosts)):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def drop(self, pairs: Iterable[tuple[Host, Host]]) -> None:
        """From now on packets vanish from the first of each pair to the second; no others."""
        dropped = [f"{one.address} . {other.address}" for one, other in pairs]
        rule = f"ip saddr . ip daddr {{ {', '.join(dropped)} }} drop" if dropped else ""
        table = ["table bridge cut", "flush table bridge cut"]  # made first, if it is not there
        table += ["table bridge cut {", "chain forward {"]
        table += ["type filter hook forward priority 0", rule, "}", "}"]
        _run("ip", "netns", "exec", self._name, "nft", "-f", "-", stdin="\n".join(table) + "\n")

    def slow_down(self, host: Host, rate: str) -> None:
        """What goes to this host waits for a slow wire, e.g. ``64kbit``; at most 0.4 s of it."""
        shape = ("tbf", "rate", rate, "burst", "4kb", "latency", "400ms")
        _run("tc", "-n", self._name, "qdisc", "add", "dev", self._port(host), "root", *shape)

    def speed_up(self, host: Host) -> None:
        """The end of ``slow_down``."""
        _run("tc", "-n", self._name, "qdisc", "del", "dev", self._port(host), "root")

    @staticmethod
    def _port(host: Host) -> str:
        return f"p{host.name}"


@contextmanager
def switch(prefix: str, count: int) -> Iterator[Switch]:
    """So many hosts on one bridge. ``prefix`` is that of their names, a few letters."""
    made = Switch(prefix, count)
    try:
        made.make()
        yield made
    finally:
        made.remove()


class HostedPeer:
    """A ``meerkat`` process on a host; its JSON lines with the moment they came."""

    def __init__(self, host: Host, *arguments: str) -> None:
        inside = ["ip", "netns", "exec", host.name, sys.executable, "-m", "meerkat"]
        self.process = subprocess.Popen(
            [*inside, *arguments, "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ, PYTHONPATH=str(SOURCE)),
        )
        self._events: Queue[tuple[float, dict[str, Any]]] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.put((time.monotonic(), json.loads(line)))

    def wait(self, name: str, within: float) -> tuple[float, dict[str, Any]]:
        """When the next event of this name came, and the event; ``within`` seconds."""
        end = time.monotonic() + within
        while True:
            at, event = self._events.get(timeout=max(0.01, end - time.monotonic()))
            if event["event"] == name:
                return at, event

    def stop(self) -> None:
        """As Ctrl-C."""
        self.process.terminate()
        self.process.wait(timeout=30)
        self._reader.join(timeout=10)
        assert self.process.stdout is not None
        self.process.stdout.close()
