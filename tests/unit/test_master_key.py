"""The master key's file: private, exact, never overwritten, and replaced as a whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from davserver.errors import MasterKeyError
from davserver.master_key import (
    MasterSecret,
    create_master_key,
    is_private,
    load_master_keys,
    replace_master_keys,
)


def write_key(path: Path, content: bytes) -> None:
    """A private file with this content."""
    path.write_bytes(content)
    path.chmod(0o400)


def test_a_created_key_is_private_and_reads_back(tmp_path: Path) -> None:
    """The file is 0400 in a folder closed to others, whatever the umask, and holds what was returned."""
    before = os.umask(0)
    try:
        created = create_master_key(tmp_path / "keys" / "master.key")
    finally:
        os.umask(before)
    path = tmp_path / "keys" / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_master_keys(path) == (created,)
    assert len(created.secret) == 32
    assert created.secret.hex() in path.read_text()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Creating a key where a file exists fails and leaves that file alone."""
    path = tmp_path / "master.key"
    first = create_master_key(path)
    with pytest.raises(MasterKeyError, match="not overwritten"):
        create_master_key(path)
    assert load_master_keys(path) == (first,)


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    """Neither form of the secret appears in a `repr`, where logs and tracebacks would find it."""
    created = create_master_key(tmp_path / "master.key")
    assert created.secret.hex() not in repr(created)
    assert repr(created.secret)[2:-1] not in repr(created)


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o640, 0o600 | stat.S_IROTH, 0o420, 0o401])
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """Any permission for group or others is refused, and the message says what to do."""
    path = tmp_path / "master.key"
    create_master_key(path)
    path.chmod(mode)
    os.chown(path, os.getuid(), os.getgid())
    with pytest.raises(MasterKeyError, match="chmod 0400"):
        load_master_keys(path)


@pytest.mark.parametrize(
    ("owner", "group", "mode", "user", "private"),
    [
        (0, 0, 0o440, 1000, True),  # a systemd credential seen by the service's user
        (0, 0, 0o440, 0, False),  # root would see a credential as 0400
        (0, 100, 0o440, 1000, False),
        (1000, 0, 0o440, 1000, False),
        (0, 0, 0o444, 1000, False),
        (0, 0, 0o640, 1000, False),
        (1000, 1000, 0o400, 1000, True),
        (1000, 1000, 0o600, 1000, True),
    ],
)
def test_what_counts_as_private(owner: int, group: int, mode: int, user: int, *, private: bool) -> None:
    """Only systemd's way of showing an ACL is let through beside files of the owner alone."""
    status = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, group, 0, 0, 0, 0))
    assert is_private(status, user) is private


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"sealdav-master-key-1 1 " + b"00" * 31 + b"\n",
        b"sealdav-master-key-1 1 " + b"00" * 33 + b"\n",
        b"sealdav-master-key-1 0 " + b"00" * 32 + b"\n",
        b"sealdav-master-key-1 -1 " + b"00" * 32 + b"\n",
        b"sealdav-master-key-2 1 " + b"00" * 32 + b"\n",
        b"sealdav-master-key-1 1 " + b"0g" * 32 + b"\n",
        b"sealdav-master-key-1 1 " + b"00" * 32 + b"\n\n",
        b"sealdav-master-key-1 1 " + b"00" * 32 + b"\nmore\n",
        b" sealdav-master-key-1 1 " + b"00" * 32 + b"\n",
        b"sealdav-master-key-1 1 " + b"00" * 32 + b" " * 1000,
        b"sealdav-master-key-1 1 " + b"00" * 32 + b"sealdav-master-key-1 2 " + b"00" * 32 + b"\n",
        b"".join(b"sealdav-master-key-1 %d " % kid + b"00" * 32 + b"\n" for kid in (2, 1)),
        b"".join(b"sealdav-master-key-1 %d " % kid + b"00" * 32 + b"\n" for kid in (1, 1)),
        b"".join(b"sealdav-master-key-1 %d " % kid + b"00" * 32 + b"\n" for kid in (1, 2, 3)),
    ],
)
def test_a_damaged_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """Anything but one exact line, or two in order, is an error of one line that does not repeat it."""
    path = tmp_path / "master.key"
    write_key(path, content)
    with pytest.raises(MasterKeyError, match="restore it from its backup") as caught:
        load_master_keys(path)
    assert "\n" not in str(caught.value)
    assert "0000" not in str(caught.value)


def test_a_key_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """Where no file can be made, the error says so in one line."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MasterKeyError, match="cannot write the master key"):
        create_master_key(tmp_path / "file" / "master.key")


# ── replacing it ────────────────────────────────────────────────────────────────────────────────────────────
def test_two_keys_read_back_in_order(tmp_path: Path) -> None:
    """During a rotation the file holds both, the newest last, as private as before and with no other file."""
    path = tmp_path / "keys" / "master.key"
    first = create_master_key(path)
    second = MasterSecret.generate(2)
    replace_master_keys(path, [first, second])
    assert load_master_keys(path) == (first, second)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    replace_master_keys(path, [second])
    assert load_master_keys(path) == (second,)
    assert list(path.parent.iterdir()) == [path]


def test_a_replacement_that_was_interrupted_is_no_hindrance(tmp_path: Path) -> None:
    """What a crash left beside the file is neither read nor in the way."""
    path = tmp_path / "master.key"
    first = create_master_key(path)
    write_key(tmp_path / "master.key.new", b"half a key")
    assert load_master_keys(path) == (first,)
    replace_master_keys(path, [first, MasterSecret.generate(2)])
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_the_key_stays_a_link(tmp_path: Path) -> None:
    """The file that it names is replaced."""
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "key", tmp_path / "master.key"
    create_master_key(target)
    link.symlink_to(target)
    second = MasterSecret.generate(2)
    replace_master_keys(link, [second])
    assert link.is_symlink()
    assert load_master_keys(target) == (second,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_owner_stays_the_owner(tmp_path: Path) -> None:
    """Root may rotate the key of a service that runs as somebody else, who must still be able to read it."""
    path = tmp_path / "master.key"
    create_master_key(path)
    os.chown(path, 1234, 2345)
    replace_master_keys(path, [MasterSecret.generate(2)])
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 2345, 0o400)


def test_a_file_that_cannot_be_replaced_says_what_to_do(tmp_path: Path) -> None:
    """A systemd credential cannot be written; the file is as it was."""
    path = tmp_path / "master.key"
    first = create_master_key(path)
    (tmp_path / "master.key.new").mkdir()  # stands for a folder that takes no new file, for root too
    with pytest.raises(
        MasterKeyError, match="if it is a systemd credential, stop the service and run this as root"
    ):
        replace_master_keys(path, [first, MasterSecret.generate(2)])
    assert load_master_keys(path) == (first,)
