"""A disk whose power can be cut: a loop-mounted file system that is shut down while it is written.

The shutdown drops what is not on the device yet, as a power cut does; mounting again replays the
file system's journal. Needs root. What a test built on this proves, it proves only beside a control
that must lose data (``EATMYDATA``: every fsync is a lie).
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

__all__ = ["DROP_ALL", "WRITE_JOURNAL", "CutDisk", "eatmydata"]

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN, _IOR('X', 125, __u32) in linux/fs.h
WRITE_JOURNAL = 1  # the journal goes out first: names can be there without their contents
DROP_ALL = 2  # the journal's unwritten part is dropped too

_SIZE = 512 << 20  # sparse; xfs makes nothing smaller than 300 MB
_SBIN = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))  # mkfs lives there


class CutDisk:
    """A file system of ``kind`` (ext4, xfs) in ``folder``, mounted at ``path``."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.path = folder / "disk"
        self._image = folder / "image"
        self._kind = kind

    def cut(self, flag: int = DROP_ALL) -> None:
        """Cut the power. Every later write fails; processes with open files must end."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(handle)

    def restore(self) -> None:
        """Turn it on again, once nobody has a file open there."""
        _run("umount", str(self.path))
        self._mount()

    def __enter__(self) -> Self:
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(_SIZE)
        _run(f"mkfs.{self._kind}", "-q", str(self._image))
        try:
            self._mount()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no loop device for {self._kind}: {error.stderr.decode().strip()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Lazily, so that a failed test leaves no mount behind even if a child is still there.
        subprocess.run(["umount", "--lazy", self.path], capture_output=True, check=False)
        self._image.unlink()

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.path))


def eatmydata() -> dict[str, str]:
    """The environment in which no fsync reaches the disk; skips the test where that is missing."""
    places = sorted(Path("/usr").glob("lib*/**/libeatmydata.so"))
    if not places:
        pytest.skip("needs libeatmydata for the control: install eatmydata to include it")
    return {**os.environ, "LD_PRELOAD": str(places[0])}


def _run(*command: str) -> None:
    path = os.pathsep.join((os.environ.get("PATH", ""), _SBIN))
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": path})
