"""The one table from what the operating system reports to our errors, each with a line that says what to do.

It never lets a path through: the message is ours, and the original error is cut from the traceback.
Used by back ends that store blobs in a file system.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from davserver.errors import StorageFull, StorageUnavailable

MISSING = "the blob folder is missing; mount the disk that holds it, or run `sealdav init` on a new server"
FORBIDDEN = "the blob folder cannot be used by this user; give it to the user that runs the server"

_FULL = {
    errno.ENOSPC: "no space left for blobs; free some space on the disk of the blob folder",
    errno.EDQUOT: "the disk quota for blobs is used up; raise it, or free some space",
}
_UNAVAILABLE = {
    errno.ENOENT: MISSING,
    errno.ENOTDIR: MISSING,
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EROFS: "the blob folder is read-only; mount its disk for writing",
    errno.EIO: "the disk of the blob folder reports input/output errors; check it, and the backup",
    errno.EMFILE: "too many open files; raise the server's limit (LimitNOFILE=)",
}


def storage_error(error: OSError) -> StorageUnavailable:
    """The error to raise in place of `error`: `StorageFull` for want of space, `StorageUnavailable` else."""
    code = error.errno or 0
    if code in _FULL:
        return StorageFull(_FULL[code])
    return StorageUnavailable(
        _UNAVAILABLE.get(code) or f"the blob folder cannot be used: {os.strerror(code)}"
    )


@contextmanager
def os_errors_translated() -> Iterator[None]:
    """Turn every `OSError` of the block into ours."""
    try:
        yield
    except OSError as error:
        raise storage_error(error) from None
