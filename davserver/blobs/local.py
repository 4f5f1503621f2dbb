"""Blobs as files: `<root>/<first 2 hex digits>/<id in hex>`, being written in `<root>/staging/`.

It never replaces or changes a published file, and never creates `root` unless told to (`prepare`): a folder
that is gone is an unmounted disk. Opened by `open_blob_store("file:...")`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from datetime import datetime
from io import FileIO
from pathlib import Path

from davserver.blobs.base import (
    BlobReader,
    BlobStore,
    BlobWriter,
    ReaderBase,
    WriterBase,
    object_name,
    parse_object_name,
)
from davserver.blobs.os_errors import MISSING, os_errors_translated
from davserver.clock import to_nanoseconds
from davserver.crypto.primitives import random_bytes
from davserver.errors import AlreadyExists, CorruptBlob, StorageUnavailable
from davserver.model import ID_BYTES, BlobId, Durability

FAN_OUT = 2
"""Hex digits of the id that name the folder: 256 folders."""

STAGING = "staging"
"""Folder of the files that are not committed; it marks the root as a blob folder."""

FILE_MODE = 0o600
FOLDER_MODE = 0o700
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # Never waits for a named pipe.
NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class _Folders:
    """Where everything lies, and how it becomes durable."""

    def __init__(self, root: Path, durability: Durability) -> None:
        self.root = root
        self.staging = root / STAGING
        self._durable = durability == "full"
        self._ready: set[Path] = set()

    def make(self) -> None:
        for folder in (self.root, self.staging):
            self._make(folder)

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            self.sync_folder(folder.parent)

    def require(self) -> None:
        if not self.staging.is_dir():
            raise StorageUnavailable(MISSING)

    def staged(self, blob_id: BlobId) -> Path:
        """A path nobody else uses, so that a swept writer can never publish another writer's file."""
        return self.staging / f"{object_name(blob_id)}.{random_bytes(8).hex()}"

    def published(self, blob_id: BlobId) -> Path:
        name = object_name(blob_id)
        return self.root / name[:FAN_OUT] / name

    def make_ready(self, folder: Path) -> None:
        """Make a fan-out folder whose entry in the root is durable.

        The first use in each process syncs the root even if the folder exists: whoever made it may not
        have got as far as that.
        """
        if folder not in self._ready:
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            self.sync_folder(self.root)
            self._ready.add(folder)

    def sync(self, descriptor: int) -> None:
        if self._durable:
            os.fsync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)


class LocalBlobStore(BlobStore):
    """Blobs in a folder of a POSIX file system with hard links.

    Attributes of what it makes: files 0600, folders 0700.

    Args:
        root: absolute path of the blob folder.
        durability: "full" syncs file and folders before `commit` returns; "relaxed" leaves it to the system.
    """

    def __init__(self, root: Path, *, durability: Durability) -> None:
        self._folders = _Folders(root, durability)

    def prepare(self) -> None:
        """Make the blob folder if it is missing, durably. For the set-up of a server, not for its start."""
        with os_errors_translated():
            self._folders.make()

    def create(self, blob_id: BlobId, /) -> BlobWriter:
        """Begin a file in `staging/`, unbuffered."""
        published = self._folders.published(blob_id)
        with os_errors_translated():
            if os.path.lexists(published):
                raise _never_changed()
            staged = self._folders.staged(blob_id)
            file = FileIO(os.open(staged, CREATE_FLAGS, FILE_MODE), "wb")
        return _LocalWriter(self._folders, file, staged, published)

    def open(self, blob_id: BlobId, /) -> BlobReader:
        """Open the file; a link, a pipe or a folder in its place is `CorruptBlob`, too."""
        path = self._folders.published(blob_id)
        with os_errors_translated():
            try:
                descriptor = os.open(path, READ_FLAGS)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    self._folders.require()
                    raise CorruptBlob("an encrypted blob is missing") from None
                if error.errno == errno.ELOOP:
                    raise _not_a_file() from None
                raise
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                os.close(descriptor)
                raise _not_a_file()
            return _LocalReader(FileIO(descriptor, "rb"), status.st_size)

    def delete(self, blob_id: BlobId, /) -> None:
        """Unlink the file, durably: the row that knows of it goes next, and nobody would look for it then."""
        path = self._folders.published(blob_id)
        with os_errors_translated():
            try:
                path.unlink()
            except FileNotFoundError:
                self._folders.require()
            else:
                self._folders.sync_folder(path.parent)

    def ids(self) -> Iterator[BlobId]:
        """As the protocol says; files that are not blobs (lost+found, a note) are not listed."""
        with os_errors_translated():
            self._folders.require()
            with os.scandir(self._folders.root) as folders:
                for folder in folders:
                    if len(folder.name) == FAN_OUT and folder.is_dir(follow_symlinks=False):
                        yield from _ids_in(folder)

    def sweep(self, before: datetime, /) -> int:
        """Unlink old files in `staging/`."""
        limit = to_nanoseconds(before)
        removed = 0
        with os_errors_translated(), os.scandir(self._folders.staging) as leftovers:
            for leftover in leftovers:
                removed += _unlink_if_older(leftover, limit)
        return removed

    def check(self) -> None:
        """Go the whole way of a blob once: file, sync, link, folder, unlink."""
        probe = BlobId(random_bytes(ID_BYTES))
        with self.create(probe) as writer:
            writer.write(b"\0")
            writer.commit()
        self.delete(probe)

    def free_bytes(self) -> int | None:
        """What the file system leaves to users other than root."""
        with os_errors_translated():
            status = os.statvfs(self._folders.root)
        return status.f_bavail * status.f_frsize


class _LocalWriter(WriterBase):
    def __init__(self, folders: _Folders, file: FileIO, staged: Path, published: Path) -> None:
        super().__init__()
        self._folders = folders
        self._file = file
        self._staged = staged
        self._published = published
        self._linked = False

    def _append(self, view: memoryview) -> None:
        with os_errors_translated():
            while view:
                view = view[self._file.write(view) :]

    def _publish(self) -> None:
        """The order is the promise: bytes, then the name, then the folder that holds the name."""
        folder = self._published.parent
        with os_errors_translated():
            self._folders.sync(self._file.fileno())
            self._file.close()
            self._folders.make_ready(folder)
            self._link()
            self._staged.unlink()
            self._folders.sync_folder(folder)

    def _link(self) -> None:
        """Give the file its name. Unlike a rename, a link never replaces what is there."""
        try:
            os.link(self._staged, self._published)
        except FileExistsError:
            raise _never_changed() from None
        except FileNotFoundError:
            self._folders.require()
            raise StorageUnavailable("an unfinished blob was swept away; send it again") from None
        except OSError as error:
            if error.errno in NO_HARD_LINKS:
                raise StorageUnavailable(
                    "the file system of the blob folder has no hard links; use one that has, such as ext4"
                ) from None
            raise
        self._linked = True

    def _discard(self) -> None:
        with os_errors_translated():
            try:
                self._file.close()
            finally:
                self._staged.unlink(missing_ok=True)
                if self._linked:
                    self._published.unlink(missing_ok=True)


class _LocalReader(ReaderBase):
    def __init__(self, file: FileIO, size: int) -> None:
        super().__init__(size)
        self._file = file

    def _fill(self, offset: int, buffer: memoryview) -> None:
        descriptor = self._file.fileno()
        with os_errors_translated():
            while buffer:
                count = os.preadv(descriptor, [buffer], offset)
                if count == 0:
                    raise CorruptBlob("an encrypted blob was cut off while it was read")
                offset += count
                buffer = buffer[count:]

    def close(self) -> None:
        self._file.close()


def _ids_in(folder: os.DirEntry[str]) -> Iterator[BlobId]:
    with os.scandir(folder.path) as entries:
        for entry in entries:
            blob_id = parse_object_name(entry.name)
            if blob_id and entry.name.startswith(folder.name) and entry.is_file(follow_symlinks=False):
                yield blob_id


def _unlink_if_older(leftover: os.DirEntry[str], limit_ns: int) -> bool:
    try:
        stale = leftover.is_file(follow_symlinks=False) and leftover.stat().st_mtime_ns < limit_ns
        if stale:
            Path(leftover.path).unlink()
    except FileNotFoundError:
        return False  # Its writer has just finished, or somebody else sweeps.
    return stale


def _never_changed() -> AlreadyExists:
    return AlreadyExists("a blob is never changed")


def _not_a_file() -> CorruptBlob:
    return CorruptBlob("an encrypted blob was replaced by something that is not a file")
