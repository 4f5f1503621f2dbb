"""davserver/blobs/__init__.py: a URL chooses the back end."""

from __future__ import annotations

from pathlib import Path

import pytest

from davserver.blobs import open_blob_store
from davserver.blobs.local import LocalBlobStore
from davserver.blobs.memory import MemoryBlobStore
from davserver.errors import ConfigError, StorageUnavailable


@pytest.mark.parametrize(
    "form", ["{path}", "file://{path}", "file:{path}", "file://localhost{path}", "FILE:{path}"]
)
def test_local_folders(form: str, tmp_path: Path) -> None:
    """An absolute path and every way to write it as a URL open the folder there."""
    store = open_blob_store(form.format(path=tmp_path / "blobs"), durability="full", create=True)
    assert isinstance(store, LocalBlobStore)
    assert (tmp_path / "blobs" / "staging").is_dir()


def test_a_url_is_decoded_and_a_path_is_not(tmp_path: Path) -> None:
    """`%20` is a blank in a URL and three characters in a path; `#` and `?` are ordinary in a path."""
    open_blob_store(f"file://{tmp_path}/a%20b%3F", durability="full", create=True)
    open_blob_store(f"{tmp_path}/c%20d#?", durability="full", create=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a b?", "c%20d#?"]


def test_memory_is_a_new_store_each_time() -> None:
    """Two stores in memory share nothing."""
    first = open_blob_store("memory:", durability="full")
    assert isinstance(first, MemoryBlobStore)
    assert open_blob_store("memory:", durability="full") is not first


@pytest.mark.parametrize(
    "url",
    [
        "",
        "var/blobs",
        "./blobs",
        "file:blobs",
        "file:",
        "file://host/blobs",
        "file:///blobs?x=secret",
        "file:///blobs#secret",
        "file:///nul%00secret",
        "/nul\0secret",
        "memory",
        "memory:secret",
        "memory://",
        "s3://user:secret@host/bucket",
        "ftp:///secret",
        "file://[secret",
        "://secret",
    ],
)
def test_anything_else_is_a_config_error(url: str) -> None:
    """A relative path, another scheme or a broken URL is refused in one line that does not repeat it."""
    with pytest.raises(ConfigError) as caught:
        open_blob_store(url, durability="full")
    assert "must be an absolute path" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_opening_touches_nothing(tmp_path: Path) -> None:
    """Without `create` no folder is made: a missing one is an unmounted disk, and using it says so."""
    store = open_blob_store(str(tmp_path / "blobs"), durability="full")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageUnavailable, match="missing"):
        store.check()
    assert list(tmp_path.iterdir()) == []
