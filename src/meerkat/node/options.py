"""Every number and switch of a node, with unit and source."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_PORT", "NodeConfig", "NodeOptions"]

KIB = 1024
MIB = 1024 * KIB
DEFAULT_PORT = 7337  # not assigned by IANA to anything in use


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What a person may say when starting a node.

    ``host`` is ``""`` for all interfaces. ``port``: ``None`` takes the default or the next free
    one, 0 any, another number exactly that. ``advertise``: ``host:port`` to tell others besides
    (or, if nothing is listened on, instead of) what this machine finds out by itself.
    ``discover``: find members on the local network, and be found there; ``None`` is yes unless the
    folder's settings say no.
    """

    listen: bool = True
    host: str = ""
    port: int | None = None
    advertise: tuple[str, ...] = ()
    discover: bool | None = None


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """How much at once, how long. Times in seconds, sizes in bytes."""

    slice: float = 0.003  # of deciding before the commit and before others get a turn; guess
    inbox_bytes: int = 16 * MIB  # waiting of one link; honest ones stay far below (they are asked)
    inbox_items: int = 100_000  # the same, for a flood of tiny messages
    observed_entries: int = 64  # files of a first scan decided at once: about a slice; guess
    observed_bytes: int = 64 * MIB  # of texts read by the folder and not decided yet
    storing_bytes: int = 32 * MIB  # received content that is not on the disk yet; then bulk pauses
    serve_read_bytes: int = 1 * MIB  # read ahead in one go for one link
    serve_frame_bytes: int = 256 * KIB  # small chunks gathered into one bulk frame (measured: best)
    serve_queue_bytes: int = 2 * MIB  # given to one link's bulk stream and not taken yet
    serve_queue_chunks: int = 16_384  # wanted by one link at once
    serve_poll_shortest: float = 0.001  # between looks whether a slow link has taken something
    serve_poll_longest: float = 0.02
    retry: float = 1.0  # between attempts to go on after the disk was full (D3: within 5 s)
    probe_bytes: int = 256 * KIB  # that must fit before we go on
    knock: float = 10.0  # for the door's answer to a newcomer, as the door's own deadline
    ticket: float = 10.0  # for the peer's answer to a request of ours
    port_tries: int = 100  # ports looked at after the default one
