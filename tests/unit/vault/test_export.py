"""Files as an archive: however deep folders are, all of it or an error of ours."""

from __future__ import annotations

import io
import zipfile

import pytest

from davserver.errors import PathError
from davserver.vault.export import Contents, archive, everything
from davserver.vault.paths import MAX_NAME_BYTES
from tests.unit.vault.store import Drive, Store

DEEP = 1100
"""Folders inside each other: more than Python calls functions, and than a path has names."""


def test_folders_may_be_as_deep_as_they_are(store: Store, alice: Drive) -> None:
    """MOVE makes them so: each is in the archive, before what is in it, and what is beside them too."""
    alice.plant_chain(["d"] * DEEP)
    alice.put("/d/d/file", b"1")
    alice.put("/last", b"2")
    blocks = archive(alice.vault, everything(alice.vault, {}), store.clock())
    made = zipfile.ZipFile(io.BytesIO(b"".join(blocks)))
    folders = [f"files/{'d/' * depth}" for depth in range(1, DEEP + 1)]
    assert [name for name in made.namelist() if name.endswith("/")] == folders
    assert (made.read("files/d/d/file"), made.read("files/last")) == (b"1", b"2")


def test_a_path_that_no_archive_can_hold(store: Store, alice: Drive) -> None:
    """It ends with an error of ours, as soon as the path is too long and not before."""
    alice.plant_chain(["n" * MAX_NAME_BYTES] * 256)
    top = [alice.stat("/" + "n" * MAX_NAME_BYTES)]
    with pytest.raises(PathError):
        list(archive(alice.vault, Contents(top), store.clock()))
    below = list(alice.vault.listing(top[0]))
    made = zipfile.ZipFile(io.BytesIO(b"".join(archive(alice.vault, Contents(below), store.clock()))))
    assert len(made.namelist()) == 255
