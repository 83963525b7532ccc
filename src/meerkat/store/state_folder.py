"""``DIR/.meerkat/``: what meerkat keeps beside a shared folder, and where.

Knows names, permissions and marks. Does not open the store, listen, or log.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from meerkat.errors import FolderError, NotAPool, StoreError

from .config import FolderConfig, read_config
from .control_path import control_socket, prepare_control_socket, remove_control_socket
from .folder_lock import FolderLock
from .installation import InstallationMark, LastRun, mark_of
from .keys import Keys, read_keys, write_keys
from .nesting import STATE_FOLDER_NAME, check_not_nested, is_pool
from .small_files import failure, read_json, remove, sync_folder, write_json

__all__ = ["StateFolder"]


class StateFolder:
    """The state folder of the shared folder ``folder``. Making this object touches nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.path = self.folder / STATE_FOLDER_NAME
        self.store = self.path / "store.db"
        self.log = self.path / "log"
        self.incoming = self.path / "incoming"  # partial downloads
        self.replaced = self.path / "replaced"  # what a remote change replaced, for a while
        self.lock = FolderLock(self.path / "lock")
        self._keys = self.path / "keys"
        self._installation = self.path / "installation"
        self._web = self.path / "web"
        self._last_run = LastRun(self.path / "last_run")

    def is_pool(self) -> bool:
        """Whether the folder is shared already."""
        return is_pool(self.folder)

    def require(self) -> None:
        """Refuse a folder that is not shared.

        Raises:
            NotAPool: saying how to share it.
        """
        self._check_folder()
        if not self.is_pool():
            raise NotAPool(
                f"{self.folder} is not a meerkat folder yet. "
                "Use `meerkat share` or `meerkat join` first."
            )
        self.create()

    def create(self) -> None:
        """Make what is missing, for us alone (mode 0700), durably. Harmless to repeat.

        Raises:
            FolderInUse: if the folder lies inside a pool's folder or has one inside.
            FolderError: if the folder is missing or cannot be written.
        """
        self._check_folder()
        if not self.is_pool():
            check_not_nested(self.folder)
        try:
            for folder in (self.path, self.incoming, self.replaced):
                folder.mkdir(mode=0o700, exist_ok=True)
                mode = folder.lstat().st_mode
                if not stat.S_ISDIR(mode):  # a symlink would lead our files elsewhere
                    raise FolderError(f"{folder} is not a folder. Move it elsewhere.")
                if mode & 0o077:
                    os.chmod(folder, 0o700)
            sync_folder(self.path)
            sync_folder(self.folder)
        except OSError as error:
            raise failure(error, self.path) from error

    def read_keys(self) -> Keys:
        """This installation's private keys.

        Raises:
            StoreError: if they are missing or damaged.
        """
        keys = read_keys(self._keys)
        if keys is None:
            raise StoreError(
                f"{self._keys} is missing. Put it back from a backup, or join the pool anew."
            )
        return keys

    def write_keys(self, keys: Keys) -> None:
        """Keep them durably, readable by nobody else."""
        write_keys(self._keys, keys)

    def read_config(self) -> FolderConfig:
        """What people set in ``config.toml``."""
        return read_config(self.path / "config.toml")

    def read_web(self) -> dict[str, Any] | None:
        """Where the page was served last, and its token; None if it never was.

        Raises:
            StoreError: if it cannot be read.
        """
        return read_json(self._web)

    def write_web(self, value: dict[str, Any] | None) -> None:
        """Keep that durably, readable by nobody else; None: forget it."""
        if value is None:
            remove(self._web)
        else:
            write_json(self._web, value)

    def running_pid(self) -> int | None:
        """The process that serves this folder now, or None."""
        return self.lock.running_pid()

    def control_socket(self) -> Path:
        """Where to reach the process that serves this folder."""
        return control_socket(self.path)

    def prepare_control_socket(self) -> Path:
        """Where to listen, free and private; call it with the lock held."""
        return prepare_control_socket(self.path)

    def remove_control_socket(self) -> None:
        """Tidy up after listening."""
        remove_control_socket(self.path)

    def installation_mark(self) -> InstallationMark | None:
        """What identifies this copy of the store here and now; None if there is no store."""
        return mark_of(self.store)

    def mark_original(self) -> None:
        """This store is where it belongs: call it once it was made, or taken over knowingly.

        Raises:
            RuntimeError: if there is no store yet.
        """
        mark = self.installation_mark()
        if mark is None:
            raise RuntimeError("there is no store to mark")
        write_json(self._installation, mark.to_json())

    def is_original(self) -> bool:
        """Whether the store is the one that was marked: not copied, restored or gone."""
        mark = self.installation_mark()
        try:
            return read_json(self._installation) == (mark.to_json() if mark else None)
        except StoreError:
            return False

    def mark_started(self) -> None:
        """A run begins."""
        self._last_run.mark_started()

    def mark_stopped(self) -> None:
        """The run ends as it should; call it after the store is closed."""
        self._last_run.mark_stopped()

    def unclean_stop(self) -> bool:
        """Whether the run before this one ended without ``mark_stopped``."""
        return self._last_run.unclean_stop()

    def rebooted_since(self) -> bool:
        """Whether the machine was started anew since that run began, or may have been."""
        return self._last_run.rebooted_since()

    def _check_folder(self) -> None:
        try:
            mode = self.folder.stat().st_mode
        except OSError as error:
            raise failure(error, self.folder) from error
        if not stat.S_ISDIR(mode):
            raise FolderError(f"{self.folder} is not a folder. Name the folder to share.")
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise FolderError(f"You may not read and write {self.folder}. Choose another folder.")
