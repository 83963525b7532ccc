"""Which file of which shared folder a URI means, and how an editor spells another file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from meerkat.errors import FolderError, NotAPool
from meerkat.node.home import StateFolder

__all__ = ["Place", "place_of", "uri_beside"]

SCHEME = "file://"
# What editors leave as it is in a path (RFC 3986, 3.3, without ":", which some escape).
UNESCAPED = "/-._~!$&'()*+,;=@"


@dataclass(frozen=True, slots=True)
class Place:
    """A file in a shared folder. ``path`` is relative to it, with slashes."""

    folder: Path
    path: str
    file: Path


def place_of(uri: str) -> Place:
    """The file that a URI means, symlinks resolved.

    Raises:
        NotAPool: if it is in no shared folder.
        FolderError: if it is no file's URI, or if we do not share files like it.
    """
    file = Path(os.path.realpath(_path(uri)))
    for folder in file.parents:
        if StateFolder(folder).is_pool():
            path = file.relative_to(folder).as_posix()
            try:
                path.encode()
            except UnicodeEncodeError as error:
                raise FolderError(
                    f"The name of {uri} is not UTF-8, so it is not shared."
                ) from error
            return Place(folder, path, file)
    raise NotAPool(f"{file} is in no shared folder. `meerkat share` or `meerkat join` makes one.")


def uri_beside(uri: str, path: str, other: str) -> str:
    """The URI of ``other``, spelled as the editor spelled the one of ``path``.

    Both paths are relative to the same folder. If the editor's spelling does not end in ``path``
    (a link led there), the URI names the real place.
    """
    raw = unquote_to_bytes(uri)
    end = os.fsencode("/" + path)
    if raw.endswith(end):
        # Cut the same number of parts off the URI as it was written: its prefix stays as it is.
        prefix = uri.rsplit("/", path.count("/") + 1)[0]
    else:
        prefix = SCHEME + quote_from_bytes(os.fsencode(place_of(uri).folder), safe=UNESCAPED)
    return f"{prefix}/{quote_from_bytes(os.fsencode(other), safe=UNESCAPED)}"


def _path(uri: str) -> str:
    """The path in a URI. Some plugins escape nothing, so ``#`` and ``?`` belong to it, and a
    path that exists as it was written is meant as it was written.
    """
    if not uri.lower().startswith(SCHEME):
        raise FolderError(f"{uri} is not a file's URI; one begins with file://.")
    rest = uri[len(SCHEME) :]
    host, slash, path = rest.partition("/")
    if host.lower() not in ("", "localhost"):
        raise FolderError(f"{uri} is on another machine.")
    written = slash + path
    try:
        plain = os.fsdecode(unquote_to_bytes(written))
    except UnicodeEncodeError as error:
        raise FolderError("This URI has half a character.") from error
    if not plain.startswith("/") or "\0" in plain:
        raise FolderError(f"{uri!r} has no path.")
    if plain != written and not os.path.lexists(plain) and os.path.lexists(written):
        return written
    return plain
