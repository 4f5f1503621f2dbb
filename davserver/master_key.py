"""The master key's file: made, read, and replaced while the key is rotated.

One line a key, the newest last; a second line is there only while a rotation is under way. It must never be
left half-written, nor with a key missing that a row may need. Called by `keyring`, `rotation` and tests.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from davserver.crypto.keys import SECRET_BYTES
from davserver.crypto.primitives import random_bytes
from davserver.errors import MasterKeyError

FILE_LABEL = "sealdav-master-key-1"
"""First word of every line, which is: label, key id, 32 bytes in hexadecimal."""

FIRST_KEY_ID = 1

MAX_KEYS = 2
"""The key in use, and during a rotation the one that it takes the place of."""

MAX_FILE_BYTES = 256
"""More than this is not a master key."""

NEW_SUFFIX = ".new"
"""Added to the file's name for the one that is about to take its place."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = re.compile(
    rf"(?:{FILE_LABEL} [1-9][0-9]{{0,8}} [0-9a-f]{{{2 * SECRET_BYTES}}}(?:\n|\Z)){{1,{MAX_KEYS}}}"
)


@dataclass(frozen=True, slots=True)
class MasterSecret:
    """One line of the master key's file.

    Attributes:
        kid: which version of the master key this is.
        secret: 32 random bytes.
    """

    kid: int
    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls, kid: int) -> MasterSecret:
        """A fresh random key."""
        return cls(kid, random_bytes(SECRET_BYTES))


def create_master_key(path: Path) -> MasterSecret:
    """Make a master key and write it to a new file that only its owner can read, durably.

    Raises:
        MasterKeyError: the file exists already or cannot be written.
    """
    created = MasterSecret.generate(FIRST_KEY_ID)
    if exists(path):
        raise MasterKeyError(f"{path} exists already and is not overwritten: use it, or move it away")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, [created])
        _sync_folder(path.parent)
    except OSError as error:
        raise _cannot("write", path, error) from None
    return created


def load_master_keys(path: Path) -> tuple[MasterSecret, ...]:
    """Read the master key's file, which may be a systemd credential; the newest key comes last.

    Raises:
        MasterKeyError: missing, unreadable, readable by others, or not a master key.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise MasterKeyError(f"the master key {path} is missing: restore it from its backup") from None
    except OSError as error:
        raise _cannot("read", path, error) from None
    if not is_private(status, os.geteuid()):
        raise MasterKeyError(f"the master key {path} is open to other users: run chmod 0400 on it")
    secrets = _parse(content.decode("ascii", errors="replace"))
    if not secrets:
        raise MasterKeyError(f"{path} is damaged or not a master key: restore it from its backup")
    return secrets


def replace_master_keys(path: Path, secrets: Sequence[MasterSecret]) -> None:
    """Let the file hold these keys instead: at once, durably, and for the same owner as before.

    Raises:
        MasterKeyError: it cannot be replaced; it is as it was.
    """
    target = path.resolve()  # a link stays a link
    new = target.with_name(target.name + NEW_SUFFIX)
    try:
        owner = target.stat()
        new.unlink(missing_ok=True)  # left by a crash, and named by nothing
        _write_new(new, secrets)
        try:
            if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(new, owner.st_uid, owner.st_gid)
            new.replace(target)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise MasterKeyError(
            f"cannot replace the master key {path} ({error.strerror}): if it is a systemd credential, stop "
            "the service and run this as root, with keys.master_key_file set to the file that the unit loads"
        ) from None


def is_private(status: os.stat_result, user: int) -> bool:
    """Whether nobody but the owner can open the file, as far as its mode tells.

    A systemd credential is given to the service's user by an ACL, whose mask then shows as a group permission
    (systemd issue 29435): root's file, readable by root's group, and opened by somebody who is neither.
    """
    mode = stat.S_IMODE(status.st_mode)
    if (status.st_uid, status.st_gid, mode) == (0, 0, 0o440) and user != 0:
        return True
    return not mode & (stat.S_IRWXG | stat.S_IRWXO)


def exists(path: Path) -> bool:
    """Whether there is something in the place of the file.

    Raises:
        MasterKeyError: nobody can tell.
    """
    try:
        return path.exists()
    except OSError as error:
        raise _cannot("read", path, error) from None


def _parse(content: str) -> tuple[MasterSecret, ...]:
    """The keys of a well-formed file; nothing for any other."""
    if not _FILE.fullmatch(content):
        return ()
    lines = [line.split(" ") for line in content.splitlines()]
    secrets = tuple(MasterSecret(int(kid), bytes.fromhex(secret)) for _, kid, secret in lines)
    return secrets if all(older.kid < newer.kid for older, newer in pairwise(secrets)) else ()


def _write_new(path: Path, secrets: Sequence[MasterSecret]) -> None:
    """Write a file that was not there, and sync it; nothing stays of one that fails."""
    descriptor = os.open(path, _CREATE, 0o400)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(f"{FILE_LABEL} {one.kid} {one.secret.hex()}\n".encode() for one in secrets)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):  # half a key would be taken for a damaged one
            path.unlink()
        raise


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot(what: str, path: Path, error: OSError) -> MasterKeyError:
    return MasterKeyError(f"cannot {what} the master key {path}: {os.strerror(error.errno or 0)}")
