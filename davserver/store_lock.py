"""Who may use a store at the same time: any number of servers and commands, or one rotation of its key.

A lock on the data folder itself, which the kernel lets go when its holder ends, however it ends. Nothing is
written. Taken by `bootstrap`.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from davserver.errors import StorageUnavailable


class StoreLock:
    """The lock, held until `close`; a process that is forked off holds it as well.

    Args:
        folder: the data folder; it exists.
        exclusive: nobody else may hold it.

    Raises:
        StorageUnavailable: others hold it, or the file system has no locks.
    """

    def __init__(self, folder: Path, *, exclusive: bool) -> None:
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        try:
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageUnavailable(f"cannot open the data folder {folder} ({error.strerror})") from None
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StorageUnavailable(_IN_USE if exclusive else _IN_ROTATION) from None
        except OSError as error:
            self.close()
            raise StorageUnavailable(f"cannot lock the data folder {folder} ({error.strerror})") from None

    def close(self) -> None:
        """Let go."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_IN_USE = "the store is in use: stop the server and every other sealdav command first"
_IN_ROTATION = "the master key is being rotated: try again when `sealdav rotate-keys` has finished"
