"""``/api/folder``, ``/api/move``, ``/api/delete``: changes of the folder that carry no content."""

from __future__ import annotations

import json

from aiohttp import web

from .answers import Denied, answer
from .disk import Disk

__all__ = ["Changes"]


class Changes:
    """The handlers of one server. Each takes a JSON object with paths in it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def make_folder(self, request: web.Request) -> web.Response:
        """``{"path"}``: a new folder, with those above it."""
        (path,) = await _paths(request, "path")
        await self._disk.run(self._disk.files.make_folder, path)
        return answer({"path": path}, 201)

    async def move(self, request: web.Request) -> web.Response:
        """``{"from", "to"}``: a new name; what has that name already stays."""
        source, target = await _paths(request, "from", "to")
        await self._disk.run(self._disk.files.move, source, target)
        return answer({"from": source, "to": target})

    async def delete(self, request: web.Request) -> web.Response:
        """``{"path"}``: answers how many ignored files were ``kept`` in a folder."""
        (path,) = await _paths(request, "path")
        kept = await self._disk.run(self._disk.files.delete, path)
        return answer({"path": path, "kept": kept})


async def _paths(request: web.Request, *names: str) -> list[str]:
    try:
        value = json.loads(await request.read())  # bounded by the server's client_max_size
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Denied(400, "Send a JSON object.")
    paths = [value.get(name) for name in names]
    if not all(isinstance(path, str) for path in paths):
        raise Denied(400, f"Send a JSON object with {' and '.join(names)}: paths in the folder.")
    return [str(path) for path in paths]
