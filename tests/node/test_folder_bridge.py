"""From the folder's threads to the loop."""

from __future__ import annotations

import asyncio

from meerkat.node.folder_bridge import DatabaseTouched, FolderBridge, Told
from meerkat.node.options import NodeConfig


def test_a_touch_is_told_once_until_it_is_heard() -> None:
    asyncio.run(_touch())


async def _touch() -> None:
    heard: list[list[Told]] = []
    bridge = FolderBridge(asyncio.get_running_loop(), NodeConfig(), heard.append)
    x, y = DatabaseTouched("x.db"), DatabaseTouched("y.db")
    for path in ("x.db", "y.db", "x.db", "x.db"):
        bridge.database_touched(path)
    bridge.flush()
    assert heard == [[x, y]]
    bridge.database_touched("x.db")
    bridge.flush()
    assert heard == [[x, y], [x]]
    bridge.close()
    bridge.database_touched("x.db")
    bridge.flush()
    assert len(heard) == 2
