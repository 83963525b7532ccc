"""The folder by hand, for faces: with the rules by which this node leaves files alone."""

from __future__ import annotations

from meerkat.folder.ignore import DEFAULT_RULES
from meerkat.folder.owner_files import OpenFile, OwnerFiles, Refusal, Refused, Upload

from .home import Home

__all__ = ["OpenFile", "OwnerFiles", "Refusal", "Refused", "Upload", "owner_files"]


def owner_files(home: Home) -> OwnerFiles:
    """Opens the folder; blocks on the disk.

    Raises:
        FolderError: if it cannot be used.
    """
    rules = (*DEFAULT_RULES, *home.config.ignore)
    return OwnerFiles(home.state.folder, home.state.path, ignore=rules)
