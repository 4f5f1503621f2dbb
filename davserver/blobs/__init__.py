"""Immutable opaque bytes by id. `open_blob_store` chooses the back end by URL.

Nothing here knows what the bytes mean. Called by `bootstrap`; the protocols are what `vault` speaks to.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from davserver.blobs.base import BlobReader, BlobStore, BlobWriter
from davserver.blobs.local import LocalBlobStore
from davserver.blobs.memory import MemoryBlobStore
from davserver.errors import ConfigError
from davserver.model import Durability

__all__ = ["BlobReader", "BlobStore", "BlobWriter", "open_blob_store"]


def open_blob_store(url: str, *, durability: Durability, create: bool = False) -> BlobStore:
    """The store that a setting names. Touches the storage only with `create`.

    Args:
        url: an absolute path, `file:///path` (percent-encoded) or `memory:`.
        durability: what a commit promises.
        create: make the blob folder if it is missing: for `sealdav init`. Elsewhere a missing folder means
            that its disk is not mounted, and the first use raises `StorageUnavailable`.

    Raises:
        ConfigError: the URL is none of these; the message does not repeat it.
        StorageUnavailable: the folder cannot be made.
    """
    if url == "memory:":
        return MemoryBlobStore()
    store = LocalBlobStore(_local_path(url), durability=durability)
    if create:
        store.prepare()
    return store


def _local_path(url: str) -> Path:
    path = url if url.startswith("/") else _path_of_file_url(url)
    if not path.startswith("/") or "\0" in path:
        raise ConfigError("the place for blobs must be an absolute path, file:///absolute/path or memory:")
    return Path(path)


def _path_of_file_url(url: str) -> str:
    """The decoded path, or "" if this is not the URL of a local file."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or parts.query or parts.fragment:
        return ""
    return unquote(parts.path)
