"""The operating system's reasons, in the words of a job's outcome."""

from __future__ import annotations

import errno

from meerkat.core.files import Outcome

__all__ = ["outcome_of"]

_OUTCOMES = {
    errno.ENOSPC: (Outcome.FULL, "the disk is full: free some space"),
    errno.EDQUOT: (Outcome.FULL, "the disk quota is used up: free some space"),
    errno.EFBIG: (Outcome.FULL, "the file is larger than this file system or user may have"),
    errno.EACCES: (Outcome.DENIED, "writing here is not permitted: allow it for this user"),
    errno.EPERM: (Outcome.DENIED, "writing here is not permitted: allow it for this user"),
    errno.EROFS: (Outcome.DENIED, "the file system is read-only"),
    errno.EINVAL: (Outcome.NAME, "this file system cannot hold such a name"),
    errno.ENAMETOOLONG: (Outcome.NAME, "the name is too long for this file system"),
    errno.ENOENT: (Outcome.NAME, "this file system cannot hold such a name"),  # exFAT says so
    errno.EILSEQ: (Outcome.NAME, "this file system cannot hold such a name"),
    errno.ENOTDIR: (Outcome.CHANGED, "something that is not a folder stands in the way"),
    errno.ELOOP: (Outcome.CHANGED, "a link stands where a folder was expected"),
    errno.EXDEV: (Outcome.CHANGED, "the path leads outside the folder"),
    errno.EISDIR: (Outcome.CHANGED, "a folder stands where a file was expected"),
    errno.EEXIST: (Outcome.CHANGED, "something stands there already"),
    errno.ENOTEMPTY: (Outcome.CHANGED, "the folder is not empty"),
}


def outcome_of(error: OSError) -> tuple[Outcome, str]:
    """The outcome, and the reason for people."""
    known = _OUTCOMES.get(error.errno or 0)
    if known is None:
        return Outcome.BUSY, f"{error.strerror or error}: tried again later"
    return known[0], f"{known[1]} ({error.strerror})"
