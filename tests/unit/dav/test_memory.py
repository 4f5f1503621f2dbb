"""Memory of a transfer: a few buffers that are used again and again, however long it is."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from davserver.blobs.local import LocalBlobStore
from davserver.dav.app import DavApp
from davserver.dav.put import Digests
from davserver.vault.service import Vaults
from tests.factories import make_world
from tests.unit.dav.door import ALICE, Door, Doorkeeper

MEBIBYTE = 1 << 20
SIZE = 64 * MEBIBYTE
MOST = 4 * MEBIBYTE
"""What one transfer may take beside what is there anyway."""

BLOCK = bytes(range(256)) * 1024


class Stream(io.RawIOBase):
    """A body of zeros that is nowhere whole; `step` is the most that comes at once."""

    def __init__(self, size: int, step: int) -> None:
        self._left = size
        self._step = step

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever can be written into
        """Some of it."""
        count = min(len(buffer), self._left, self._step)
        for start in range(0, count, len(BLOCK)):
            piece = BLOCK[: min(len(BLOCK), count - start)]
            buffer[start : start + len(piece)] = piece
        self._left -= count
        return count


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A door with files on a disk, that keeps both digests of every file."""
    world = make_world(tmp_path)
    blobs = LocalBlobStore(tmp_path / "blobs", durability="relaxed")
    blobs.prepare()
    vaults = Vaults(world.database, blobs, world.keyring, world.clock)
    digests = Digests(always=frozenset({"SHA1", "MD5"}))
    accounts = {ALICE: world.accounts.create(ALICE)}
    door = Door(DavApp(Doorkeeper(world, accounts), vaults, world.audit, digests), world, vaults)
    door.put("warm", bytes(3 * MEBIBYTE))
    door.get("warm")
    yield door
    door.close()


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fail if more than `size` bytes were allocated at any one time."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before <= size


def upload(door: Door, name: str, size: int, step: int, *, chunked: bool) -> None:
    """PUT."""
    environ: dict[str, object] = {"wsgi.input": Stream(size, step), "CONTENT_LENGTH": str(size)}
    if chunked:
        environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    assert door.call("PUT", f"/dav/{name}", environ=environ).status == 201


def download(door: Door, name: str, take: Callable[[memoryview], object]) -> int:
    """GET, block by block; returns the length."""
    environ = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": f"/dav/{name}",
        "HTTP_AUTHORIZATION": door.authorization,
        "wsgi.input": io.BytesIO(),
    }
    blocks: Any = door.app(environ, lambda _status, _fields: None)
    length = 0
    for block in blocks:
        take(block)
        length += len(block)
    blocks.close()
    return length


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("step", [10_007, MEBIBYTE])
def test_an_upload_takes_a_few_buffers(door: Door, step: int, *, chunked: bool) -> None:
    """Whether it comes in small pieces or large ones, announced or not, with digests computed beside it."""
    with at_most(MOST):
        upload(door, "large", SIZE, step, chunked=chunked)
    assert door.ask("HEAD", "large").headers["content-length"] == str(SIZE)


def test_a_download_takes_a_few_buffers(door: Door) -> None:
    """And its blocks are all the same memory."""
    upload(door, "large", SIZE, MEBIBYTE, chunked=False)
    buffers: set[int] = set()
    with at_most(MOST):
        length = download(door, "large", lambda block: buffers.add(id(block.obj)))
    assert length == SIZE
    assert len(buffers) == 1


def test_a_small_file_takes_little(door: Door) -> None:
    """No large buffer for a few bytes, whether they are announced or not."""
    for chunked in (False, True):
        with at_most(512 * 1024):
            upload(door, f"small-{chunked}", 100, 100, chunked=chunked)
            assert download(door, f"small-{chunked}", lambda _block: None) == 100
