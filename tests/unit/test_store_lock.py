"""Who may use a store at the same time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from davserver.errors import StorageUnavailable
from davserver.store_lock import StoreLock


def test_many_share_and_one_excludes(tmp_path: Path) -> None:
    """Any number at once, or one alone; each is told what to do."""
    many = [StoreLock(tmp_path, exclusive=False) for _ in range(3)]
    for lock in many:
        with pytest.raises(StorageUnavailable, match="stop the server"):
            StoreLock(tmp_path, exclusive=True)
        lock.close()
    with StoreLock(tmp_path, exclusive=True):
        for exclusive in (True, False):
            with pytest.raises(StorageUnavailable):
                StoreLock(tmp_path, exclusive=exclusive)
    StoreLock(tmp_path, exclusive=True).close()


def test_nothing_is_written(tmp_path: Path) -> None:
    """A folder that is backed up, or that another user owns, stays as it is."""
    with StoreLock(tmp_path, exclusive=True):
        assert list(tmp_path.iterdir()) == []


def test_a_child_process_holds_it_too(tmp_path: Path) -> None:
    """A server that forks workers keeps rotations out until the last of them has ended."""
    lock = StoreLock(tmp_path, exclusive=False)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(theirs)
        os.read(ours, 1)  # until the parent lets go
        os._exit(0)
    lock.close()
    try:
        with pytest.raises(StorageUnavailable):
            StoreLock(tmp_path, exclusive=True)
    finally:
        os.close(ours)
        os.close(theirs)
        os.waitpid(child, 0)
    StoreLock(tmp_path, exclusive=True).close()


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    """In one line."""
    with pytest.raises(StorageUnavailable, match=r"cannot open the data folder .*No such file"):
        StoreLock(tmp_path / "nowhere", exclusive=False)
