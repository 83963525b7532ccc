"""What the folder has reported so far: by path, and by inode to recognise moves and hard links."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from meerkat.core.files import Kind, Observed, Signature

__all__ = ["Known"]


class Known:
    """A dictionary of observations that can also be asked by inode. For one thread."""

    def __init__(self, known: dict[str, Observed]) -> None:
        self._paths = dict(known)
        self._by_inode = {seen.signature.inode: path for path, seen in known.items()}
        self._links: dict[int, set[str]] = {}
        self.get = self._paths.get  # the scan's hot loop asks this 50,000 times

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, path: object) -> bool:
        return path in self._paths

    def paths(self) -> list[str]:
        """A copy that stays as it is."""
        return list(self._paths)

    def record(self, path: str, observed: Observed, links: int = 1) -> None:
        """Remember what stands at a path now."""
        inode = observed.signature.inode
        old = self._paths.get(path)
        if old is not None and old.signature.inode != inode:
            self._drop_inode(path, old.signature.inode)
        self._paths[path] = observed
        self._by_inode[inode] = path
        if links > 1 and observed.kind is Kind.FILE:
            self._links.setdefault(inode, set()).add(path)

    def forget(self, path: str) -> Observed | None:
        """Nothing stands there any more."""
        old = self._paths.pop(path, None)
        if old is not None:
            self._drop_inode(path, old.signature.inode)
        return old

    def _drop_inode(self, path: str, inode: int) -> None:
        if self._by_inode.get(inode) == path:
            del self._by_inode[inode]
        names = self._links.get(inode)
        if names is not None:
            names.discard(path)
            if not names:
                del self._links[inode]

    def of_inode(self, inode: int, device: int) -> str | None:
        """A path known to hold this very file or folder; inode numbers are used again, though."""
        path = self._by_inode.get(inode)
        if path is None or self._paths[path].signature.device != device:
            return None
        return path

    def of_signature(self, signature: Signature) -> str | None:
        """As ``of_inode``."""
        return self.of_inode(signature.inode, signature.device)

    def other_names(self, path: str, inode: int) -> list[str]:
        """Hard links of the file: a write through one is an event for that name only."""
        return sorted(self._links.get(inode, set()) - {path})

    def below(self, folders: Collection[str]) -> Iterator[str]:
        """Known paths inside any of these folders (one pass over everything)."""
        prefixes = tuple(folder + "/" for folder in folders)
        for path in self._paths:
            if path.startswith(prefixes):
                yield path
