"""What a person may set in ``.meerkat/config.toml``. Meerkat reads it and never writes it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meerkat.errors import FolderError

from .small_files import read

__all__ = ["FolderConfig", "read_config"]


@dataclass(frozen=True, slots=True)
class FolderConfig:
    """Settings of one folder; None means meerkat chooses."""

    name: str | None = None  # how others see this member
    listen: str | None = None  # HOST or HOST:PORT to listen on, unless the command line says
    port: int | None = None  # port to listen on, unless the command line says
    discover: bool | None = None  # find members on the local network, and be found there
    ignore: tuple[str, ...] = ()  # patterns of files that are not shared, as in .gitignore
    unknown: tuple[str, ...] = ()  # settings in the file that meerkat does not know: tell people


def read_config(path: Path) -> FolderConfig:
    """Read and check the file; all defaults if there is none.

    Raises:
        FolderError: if it is not TOML or a setting has an impossible value.
    """
    content = read(path)
    if content is None:
        return FolderConfig()
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise FolderError(f"{path} is not valid TOML: {error}. Correct or remove it.") from error
    known: dict[str, Any] = {}
    for setting in sorted(table.keys() & _CHECKS.keys()):
        accepts, wanted = _CHECKS[setting]
        value = table[setting]
        if not accepts(value):
            raise FolderError(f"{path}: {setting} must be {wanted}, not {value!r}. Correct it.")
        known[setting] = tuple(value) if isinstance(value, list) else value
    return FolderConfig(**known, unknown=tuple(sorted(table.keys() - _CHECKS.keys())))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_port(value: object) -> bool:
    return type(value) is int and 0 <= value <= 0xFFFF


def _is_patterns(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(pattern) for pattern in value)


_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "name": (_is_text, "a name"),
    "listen": (_is_text, "an address"),
    "port": (_is_port, "a number from 0 to 65535"),
    "discover": (lambda value: isinstance(value, bool), "true or false"),
    "ignore": (_is_patterns, "a list of patterns"),
}
