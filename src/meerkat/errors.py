"""Every error a caller may catch. Each docstring is the sentence a person reads.

An error says what to do next. ``exit_code`` is what the command line returns for it.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AlreadyRunning",
    "FolderError",
    "FolderInUse",
    "InvitationError",
    "MeerkatError",
    "NodeBroken",
    "NotAPool",
    "NotRunning",
    "PortTaken",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "UnknownMember",
]


class MeerkatError(Exception):
    """Something went wrong in meerkat; the message says what to do next."""

    exit_code: ClassVar[int] = 1


class FolderError(MeerkatError):
    """The folder cannot be used: it is missing, not a folder, or not readable and writable."""

    exit_code = 3


class FolderInUse(FolderError):
    """The folder lies inside another pool's folder, or has one inside. Choose another folder."""


class NotAPool(FolderError):
    """The folder is not a meerkat folder yet. Use ``meerkat share`` or ``meerkat join`` first."""


class AlreadyRunning(MeerkatError):
    """A meerkat process already serves this folder. Use it, or stop it first."""

    exit_code = 4


class NotRunning(MeerkatError):
    """No meerkat process serves this folder. Start it with ``meerkat up``."""

    exit_code = 4


class NodeBroken(MeerkatError):
    """Meerkat met a bug and stopped, to be safe. Your files and the store are in order."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


class InvitationError(MeerkatError):
    """The invitation cannot be used: damaged, expired, used up, or for another pool."""

    exit_code = 5


class UnknownMember(MeerkatError):
    """Nobody in the pool goes by this name. ``meerkat peers`` shows who is in it."""

    exit_code = 8


class PortTaken(MeerkatError):
    """The port is used by another program. Choose another with ``--port`` or leave it out."""

    exit_code = 6


class StoreError(MeerkatError):
    """Meerkat's own store cannot be read or written."""

    exit_code = 7


class StoreFull(StoreError):
    """The disk is full. Nothing is lost; free some space and meerkat goes on by itself."""


class StoreDamaged(StoreError):
    """Meerkat's store is damaged. ``meerkat rebuild`` makes it anew from the other members."""
