"""Pools of members with one live database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rows.pool import Pool


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[Callable[..., Pool]]:
    pools: list[Pool] = []

    def make(*args: object, **options: object) -> Pool:
        root = tmp_path / f"pool{len(pools)}"
        root.mkdir()
        pool = Pool(root.resolve(), *args, **options)  # type: ignore[arg-type]
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()
