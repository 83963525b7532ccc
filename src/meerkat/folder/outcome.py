"""The operating system's reasons, in the words of a job's outcome."""

from __future__ import annotations

import errno

from meerkat.core.files import Outcome

__all__ = ["outcome_of"]

_NAME = "this file system cannot hold such a name"
_RENAME = "rename it on another machine"
_OUTCOMES = {  # the outcome, what is wrong, what to do
    errno.ENOSPC: (Outcome.FULL, "the disk is full", "free some space"),
    errno.EDQUOT: (Outcome.FULL, "the disk quota is used up", "free some space"),
    errno.EFBIG: (Outcome.FULL, "this file system or user may not have so large a file", ""),
    errno.EACCES: (Outcome.DENIED, "this user may not write there", "allow it"),
    errno.EPERM: (Outcome.DENIED, "this user may not write there", "allow it"),
    errno.EROFS: (Outcome.DENIED, "the file system is read-only", "mount it writable"),
    errno.EINVAL: (Outcome.NAME, _NAME, _RENAME),
    errno.ENAMETOOLONG: (Outcome.NAME, "the name is too long for this file system", _RENAME),
    errno.ENOENT: (Outcome.NAME, _NAME, _RENAME),  # exFAT says so
    errno.EILSEQ: (Outcome.NAME, _NAME, _RENAME),
    errno.ENOTDIR: (Outcome.CHANGED, "something that is not a folder stands in the way", ""),
    errno.ELOOP: (Outcome.CHANGED, "a link stands where a folder was expected", ""),
    errno.EXDEV: (Outcome.CHANGED, "the path leads outside the folder", ""),
    errno.EISDIR: (Outcome.CHANGED, "a folder stands where a file was expected", ""),
    errno.EEXIST: (Outcome.CHANGED, "something stands there already", ""),
    errno.ENOTEMPTY: (Outcome.CHANGED, "the folder is not empty", ""),
}


def outcome_of(error: OSError) -> tuple[Outcome, str]:
    """The outcome, and the reason for people with what they can do about it."""
    known = _OUTCOMES.get(error.errno or 0)
    if known is None:
        return Outcome.BUSY, f"{error.strerror or error}; it is tried again"
    outcome, wrong, advice = known
    return outcome, f"{wrong} ({error.strerror})" + (f"; {advice}" if advice else "")
