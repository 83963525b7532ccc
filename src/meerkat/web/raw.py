"""``/raw/<path>``: the bytes of the folder's files, out and in.

A file that goes out must not become a program with our page's rights: its content type is not to be
guessed at, and except for PDF, whose viewers refuse to work so, it is shown in a sandbox. A file
that comes in takes its place in one step, and only if what it replaces is what the sender expects.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
from email.utils import formatdate
from pathlib import PurePosixPath
from urllib.parse import quote

from aiohttp import hdrs, web

from meerkat.node.owner_files import OpenFile

from .answers import Denied, answer, path_of
from .disk import Disk

__all__ = ["Raw"]

CHUNK = 256 * 1024  # bytes at once from and to the disk; guess
STALLED = 60.0  # seconds without a byte in or out before a transfer is given up; guess
ETAG = re.compile(r'(?:W/)?"[^"]*"')
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
DIGITS = 15  # of a position; no file is longer
HTML = "text/html"
TEXT = "text/plain"
BYTES = "application/octet-stream"
PDF = "application/pdf"
SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'; "
    "frame-ancestors 'self'"
)
FRAMED = "frame-ancestors 'self'"


class Raw:
    """The handlers of one server."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def get(self, request: web.Request) -> web.StreamResponse:
        """A file, or the part of it that ``Range`` names. ``?download``: to be saved."""
        path = path_of(request, "/raw/")
        async with self._disk.reading(path) as file:
            headers = headers_of(path, file, download="download" in request.query)
            if _lists(request, hdrs.IF_NONE_MATCH, file.etag):
                return web.Response(status=304, headers=headers)
            size = file.stat.st_size
            part = _range_of(request, file)
            if part is not None and part.start >= part.stop:
                sentence = f"The file has {size} bytes only. Ask for a part of it, or all."
                return answer({"error": sentence}, 416, {hdrs.CONTENT_RANGE: f"bytes */{size}"})
            response = web.StreamResponse(status=200 if part is None else 206, headers=headers)
            if part is not None:
                shown = f"bytes {part.start}-{part.stop - 1}/{size}"
                response.headers[hdrs.CONTENT_RANGE] = shown
            part = part or range(size)
            response.content_length = len(part)
            await response.prepare(request)
            if request.method != hdrs.METH_HEAD:
                await self._send(request, response, file, part)
            return response

    async def put(self, request: web.Request) -> web.Response:
        """Take the body as the file's content."""
        path = path_of(request, "/raw/")
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            raise Denied(415, "Send the file's bytes as they are, without Content-Encoding.")
        if hdrs.CONTENT_RANGE in request.headers:
            raise Denied(400, "Send the whole file: parts of one cannot be uploaded.")
        new, etags = _preconditions(request)
        await self._disk.run(self._disk.files.check, path)
        async with self._disk.upload() as upload:
            while data := await _received(request):
                await self._disk.run(self._disk.files.write, upload, data)
            etag, made = await self._disk.run(
                lambda: self._disk.files.put(upload, path, new=new, etags=etags)
            )
        value = {"path": path, "etag": etag, "created": made}
        return answer(value, 201 if made else 200, {hdrs.ETAG: etag})

    async def _send(
        self, request: web.Request, response: web.StreamResponse, file: OpenFile, part: range
    ) -> None:
        at = part.start
        try:
            while at < part.stop:
                length = min(CHUNK, part.stop - at)
                data = await self._disk.run(os.pread, file.descriptor, length, at)
                if not data:
                    break  # it was cut meanwhile, and the length is promised
                at += len(data)
                async with asyncio.timeout(STALLED):
                    await response.write(data)
            else:
                async with asyncio.timeout(STALLED):
                    await response.write_eof()
                return
        except (TimeoutError, OSError):
            pass  # the reader is gone, or the disk is
        if request.transport is not None:
            request.transport.abort()  # the headers are out: this is how to say it failed


def headers_of(path: str, file: OpenFile, *, download: bool) -> dict[str, str]:
    """What is said about a file."""
    content_type = content_type_of(path)
    name = quote(path.rpartition("/")[2], safe="")
    disposition = "attachment" if download else "inline"
    return {
        hdrs.CONTENT_TYPE: content_type,
        hdrs.CONTENT_DISPOSITION: f"{disposition}; filename*=UTF-8''{name}",
        hdrs.ETAG: file.etag,
        hdrs.LAST_MODIFIED: formatdate(max(file.stat.st_mtime, 0), usegmt=True),
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.CACHE_CONTROL: "private, no-cache",
        "Content-Security-Policy": FRAMED if content_type == PDF else SANDBOX,
        "X-Frame-Options": "SAMEORIGIN",
    }


def content_type_of(path: str) -> str:
    """By the name alone: what a file says of itself may be a lie."""
    kind, encoding = _TYPES.guess_type("file" + PurePosixPath(path).suffix.lower())
    if kind is None or encoding is not None:
        return BYTES
    if kind.startswith("text/") or kind in _AS_TEXT:
        return f"{HTML if kind == HTML else TEXT}; charset=utf-8"
    return kind


# Python's own table: the machine's would give other answers elsewhere.
_TYPES = mimetypes.MimeTypes()
for _type, _suffix in (
    ("image/avif", ".avif"),
    ("image/jxl", ".jxl"),
    ("image/webp", ".webp"),
    ("font/woff2", ".woff2"),
    ("text/markdown", ".md"),
):
    _TYPES.add_type(_type, _suffix)
_AS_TEXT = frozenset({"application/json", "application/javascript", "application/x-sh"})


def _lists(request: web.Request, header: str, etag: str) -> bool:
    """Whether a list of entity tags has this one, by the weak comparison."""
    listed = request.headers.get(header, "")
    return listed.strip() == "*" or etag in (one.removeprefix("W/") for one in ETAG.findall(listed))


def _range_of(request: web.Request, file: OpenFile) -> range | None:
    """The one part that is wanted, empty if there is none of it; None: everything."""
    found = RANGE.fullmatch(request.headers.get(hdrs.RANGE, "").replace(" ", ""))
    condition = request.headers.get(hdrs.IF_RANGE)
    if found is None or found[1] == found[2] == "" or condition not in (None, file.etag):
        return None
    if max(len(found[1]), len(found[2])) > DIGITS:
        return range(0)
    size = file.stat.st_size
    if not found[1]:
        return range(max(0, size - int(found[2])), size)
    start = int(found[1])
    stop = min(size, int(found[2]) + 1) if found[2] else size
    if found[2] and int(found[2]) < start:
        return None
    return range(start, stop)


def _preconditions(request: web.Request) -> tuple[bool, frozenset[str] | None]:
    """Whether the file must be new, and what may be replaced."""
    none_match = request.headers.get(hdrs.IF_NONE_MATCH)
    match = request.headers.get(hdrs.IF_MATCH)
    if none_match is not None and none_match.strip() != "*":
        raise Denied(400, "If-None-Match can only be * here. Use If-Match to name a version.")
    if none_match is not None and match is not None:
        raise Denied(400, "If-Match and If-None-Match contradict each other; leave one out.")
    if match is None:
        return none_match is not None, None
    if match.strip() == "*":
        return False, frozenset({"*"})
    strong = frozenset(one for one in ETAG.findall(match) if not one.startswith("W/"))
    return False, strong - {"*"}


async def _received(request: web.Request) -> bytes:
    """The next bytes of the body; none at its end."""
    try:
        async with asyncio.timeout(STALLED):
            return await request.content.read(CHUNK)
    except TimeoutError:
        raise Denied(408, "The upload stood still for a minute. Try again.") from None
