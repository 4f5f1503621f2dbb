"""The file of `sealdav token`: what a sign-in at the identity provider gave, for its owner's eyes only.

One process at a time changes it: two that renewed the same token would end the session. It is replaced as a
whole, so that a crash leaves the old one or the new one. Called by `token.py`.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from davserver.errors import ConfigError
from davserver.master_key import is_private

LOCK_SUFFIX = ".lock"
"""Beside the file, which cannot be locked itself: another one takes its place."""

NEW_SUFFIX = ".new"

MAX_FILE_BYTES = 256 * 1024
"""Longer than two tokens ever are."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a sign-in.

    Attributes:
        url: of the drive.
        issuer, client_id: who gave the tokens, and what this program is called there.
        ca_bundle: who vouches for the provider's certificate; "" is the system.
        access_token, refresh_token: what was given.
        given_at, expires_at: life of the access token, in seconds since the Unix epoch.
    """

    url: str
    issuer: str
    client_id: str
    ca_bundle: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    given_at: int
    expires_at: int


class TokenFile:
    """One file; its folder is made when it is first written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else read or write until the block is left; waits for who was faster.

        Raises:
            ConfigError: the folder cannot be used.
        """
        with self._told_apart("use"):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._beside(LOCK_SUFFIX), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Kept | None:
        """What is kept; None if nothing is.

        Raises:
            ConfigError: the file cannot be read, is open to others, or damaged.
        """
        with self._told_apart("read"):
            try:
                with self._path.open("rb") as file:
                    status, content = os.fstat(file.fileno()), file.read(MAX_FILE_BYTES + 1)
            except FileNotFoundError:
                return None
        if not is_private(status, os.geteuid()):
            raise ConfigError(f"{self._path} is open to other users: run chmod 0600 on it")
        kept = _parse(content)
        if kept is None:
            raise ConfigError(f"{self._path} is damaged: remove it and sign in again")
        return kept

    def write(self, kept: Kept) -> None:
        """Keep this in the place of what was there, durably.

        Raises:
            ConfigError: it cannot be written; what was there is still there.
        """
        new = self._beside(NEW_SUFFIX)
        with self._told_apart("write"):
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(kept), file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)

    def remove(self) -> None:
        """Keep nothing any more.

        Raises:
            ConfigError: the file cannot be removed.
        """
        with self._told_apart("remove"):
            self._path.unlink(missing_ok=True)

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    @contextmanager
    def _told_apart(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(f"cannot {what} {self._path} ({error.strerror}); see --file") from None


def _parse(content: bytes) -> Kept | None:
    try:
        found = json.loads(content)
        kept = Kept(**found)
    except (ValueError, TypeError):
        return None
    wanted = {one.name: int if one.name.endswith("_at") else str for one in fields(Kept)}
    return kept if all(type(getattr(kept, name)) is kind for name, kind in wanted.items()) else None
