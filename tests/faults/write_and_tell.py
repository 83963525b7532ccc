"""A child of the fault tests: writes, and tells the number of each write once it is durable.

    python write_and_tell.py store FOLDER [COUNT]    appends operations to FOLDER/store.db
    python write_and_tell.py keys FOLDER [COUNT]     replaces the keys in FOLDER/.meerkat

It goes on to COUNT, or for ever. Each number goes to standard output as eight bytes. When the disk
refuses, it says so on standard error (the error's class, and what became of the store) and ends
with status 9.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from meerkat.core.ids import AuthorId
from meerkat.errors import MeerkatError
from meerkat.store import Keys, SqliteStore, StateFolder
from meerkat.testing.check_store import example_head

__all__ = ["AUTHOR", "data_of", "keys_of", "numbers_in"]

AUTHOR = AuthorId(b"a" * 32)
REFUSED = 9


def data_of(number: int) -> bytes:
    return b"operation %d " % number * 15  # about 200 bytes, as a signed keystroke


def keys_of(number: int) -> Keys:
    key = number.to_bytes(32, "big")
    return Keys(member=key, tls=b"certificate" * 100)


def numbers_in(told: bytes) -> list[int]:
    """What the child told; a last number cut in the middle does not count."""
    whole = len(told) // 8 * 8
    return [int.from_bytes(told[place : place + 8], "big") for place in range(0, whole, 8)]


def _store_writer(folder: Path) -> tuple[int, Callable[[int], None], Callable[[], bool]]:
    store = SqliteStore(folder / "store.db")
    heads = store.heads()

    def write(number: int) -> None:
        with store.transaction():
            store.append(AUTHOR, example_head(number), data_of(number))

    return (heads[AUTHOR].sequence if heads else 0), write, lambda: store.failed


def _keys_writer(folder: Path) -> tuple[int, Callable[[int], None], Callable[[], bool]]:
    state = StateFolder(folder)
    state.create()
    last = int.from_bytes(state.read_keys().member, "big") if state.is_pool() else 0
    return last, lambda number: state.write_keys(keys_of(number)), lambda: False


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    try:
        last, write, failed = (_store_writer if kind == "store" else _keys_writer)(folder)
    except MeerkatError as error:
        print(type(error).__name__, "at once", file=sys.stderr)
        sys.exit(REFUSED)
    wanted = range(last + 1, int(sys.argv[3]) + 1) if len(sys.argv) > 3 else count(last + 1)
    for number in wanted:
        try:
            write(number)
        except MeerkatError as error:
            print(type(error).__name__, "failed" if failed() else "usable", file=sys.stderr)
            sys.exit(REFUSED)
        os.write(1, number.to_bytes(8, "big"))


if __name__ == "__main__":
    main()
