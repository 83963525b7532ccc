"""Live databases that a rule of this folder ignores: neither told nor touched until the rule goes.

Decides what stays known of them, so that both sides merge afterwards. That they are let go of is up
to ``live_database``; what a rule is, to ``meerkat.folder``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from .disk import IGNORED, STALE, Disk
from .effects import Effect, ReportFile
from .files import Kind
from .imports import Imports
from .view import Shown

__all__ = ["Ignored"]


class Ignored:
    """Asked by path."""

    def __init__(self, disk: Disk, imports: Imports) -> None:
        self._disk, self._imports = disk, imports
        self._out: list[Effect] = []
        self.known = False
        """Whether the folder has said what it ignores."""

    def __contains__(self, path: str) -> bool:
        entry = self._disk.get(path)
        return entry is not None and entry.at == IGNORED

    def hide(self, paths: Collection[str]) -> Iterator[Effect]:
        """A rule ignores these from now on, before whatever else was observed.

        Those that an earlier life ignored and the folder's first word does not name are not any
        more: what stands there has to be seen anew.
        """
        for path in paths:
            yield from self._imports.hide(path)
            entry = self._disk.get(path)
            if entry is None or entry.kind != Kind.DATABASE.value:
                continue
            if entry.at == STALE:  # nobody needs what it has: it is not ours any more
                self._disk.remove(path)
            else:
                self._disk.put(path, msgspec.structs.replace(entry, at=IGNORED))
        if not self.known:
            self.known = True
            hidden = {path for path in self._disk.databases if path in self}
            yield from map(ReportFile, sorted(hidden.difference(paths)))

    def is_left_alone(self, path: str, shown: Shown | None) -> bool:
        """Whether one stands there, and it is what the pool shows there still.

        What the pool does not have there any more is this machine's own from now on.
        """
        if shown is not None:
            for other in self._disk.places_of(shown.version):
                if other != path and other in self:
                    self._disown(other)
        if path not in self:
            return False
        if shown is not None and shown.version == self._disk.databases[path]:
            return True
        self._disown(path)
        return False

    def _disown(self, path: str) -> None:
        self._disk.remove(path)
        self._out.append(ReportFile(path))  # if the rule has gone meanwhile, it is a new file

    def take(self) -> list[Effect]:
        """What to ask the folder for."""
        out, self._out = self._out, []
        return out
