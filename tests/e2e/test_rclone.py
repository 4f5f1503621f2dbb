"""rclone as people use it: copy, sync, check, read in parts, stream in, move."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from tests.e2e.drive import Drive, Rclone
from tests.e2e.files import fingerprint, plant

FILES = 500
GIBIBYTE = 1 << 30


def test_folder_survives_the_round_trip_and_a_restart(drive: Drive, rclone: Rclone, tmp_path: Path) -> None:
    """500 files with awkward names come back byte for byte with their times, also after a restart."""
    local, back = tmp_path / "local", tmp_path / "back"
    plant(local, FILES)
    rclone("copy", local, "drive:backup")
    assert drive.stop() == 0
    drive.start()
    rclone("copy", "drive:backup", back)
    assert len(fingerprint(local)) == FILES
    assert fingerprint(back) == fingerprint(local)


def test_second_sync_moves_nothing(rclone: Rclone, tmp_path: Path) -> None:
    """A sync finds out by size, time and digest that all is there; what changed is noticed."""
    local = tmp_path / "local"
    plant(local, FILES)
    assert rclone.transfers("sync", local, "drive:") == FILES
    assert rclone.transfers("sync", local, "drive:") == 0
    notices = rclone.notices("check", local, "drive:")
    assert f"{FILES} matching files" in notices
    assert "hashes could not be checked" not in notices  # else it would have compared lengths only
    rclone("check", "--download", local, "drive:")
    changed, deleted = sorted(path for path in (local / "plain").iterdir() if path.is_file())[:2]
    changed.write_bytes(b"changed, of another length")
    deleted.unlink()
    assert rclone.transfers("sync", local, "drive:") == 1
    rclone("check", local, "drive:")


def test_times_and_digests_are_kept(rclone: Rclone, tmp_path: Path) -> None:
    """What rclone reads back is the second and the SHA-1 that it sent: it never has to guess by size."""
    source = tmp_path / "file"
    source.write_bytes(b"content")
    rclone("copyto", "--metadata", source, "drive:file")
    listed = rclone("lsjson", "--hash", "--hash-type=sha1", "drive:file").decode()
    assert hashlib.sha1(b"content", usedforsecurity=False).hexdigest() in listed
    rclone("touch", "--timestamp=2001-02-03T04:05:06", "drive:file")
    assert "2001-02-03T04:05:06Z" in rclone("lsjson", "drive:file").decode()


def test_cat_reads_any_part(rclone: Rclone, tmp_path: Path) -> None:
    """Reading with offset and count gives exactly those bytes of a file of several chunks."""
    content = random.Random(1).randbytes(300_000)
    (tmp_path / "file").write_bytes(content)
    rclone("copyto", tmp_path / "file", "drive:file")
    for offset, count in ((0, 1), (65_535, 2), (65_536, 65_536), (131_000, 100_000), (299_999, 1)):
        part = rclone("cat", f"--offset={offset}", f"--count={count}", "drive:file")
        assert part == content[offset : offset + count]
    assert rclone("cat", "--tail=10", "drive:file") == content[-10:]


def test_rcat_streams_a_file_of_unknown_length(rclone: Rclone) -> None:
    """A stream comes as a chunked body; a large one and an empty one arrive whole."""
    content = random.Random(2).randbytes(3_000_000)
    rclone("rcat", "drive:streamed", stdin=content)
    rclone("rcat", "drive:empty", stdin=b"")
    assert rclone("cat", "drive:streamed") == content
    assert rclone("cat", "drive:empty") == b""


def test_moveto_and_purge(rclone: Rclone, tmp_path: Path) -> None:
    """Files and folders are renamed on the server, onto names that break naive servers, and removed."""
    plant(tmp_path / "local", 40)
    rclone("copy", tmp_path / "local", "drive:one")
    rclone("moveto", "drive:one", "drive:two;three#four%20?")
    rclone("check", tmp_path / "local", "drive:two;three#four%20?")
    rclone("moveto", "drive:two;three#four%20?/plain", "drive:plain;x")
    rclone("copyto", "drive:plain;x", "drive:copy")
    rclone("check", "drive:plain;x", "drive:copy")
    rclone("purge", "drive:plain;x")
    assert rclone("lsf", "drive:").decode().split("\n")[:-1] == ["copy/", "two;three#four%20?/"]


@pytest.mark.timeout(600)
def test_a_file_of_one_gibibyte(rclone: Rclone, tmp_path: Path) -> None:
    """1 GiB up and down again, checked by rclone against the digest that the server kept."""
    source, back = tmp_path / "large", tmp_path / "back"
    block = random.Random(3).randbytes(1 << 20)
    with source.open("wb") as file:
        for _ in range(GIBIBYTE // len(block)):
            file.write(block)
    rclone("copyto", source, "drive:large")
    rclone("check", tmp_path, "drive:", "--include=/large", "--one-way")
    rclone("copyto", "drive:large", back)
    assert back.stat().st_size == GIBIBYTE
    with source.open("rb") as left, back.open("rb") as right:
        assert hashlib.file_digest(left, "sha256").digest() == hashlib.file_digest(right, "sha256").digest()
    source.unlink()  # pytest keeps the folders of tests for a while
    back.unlink()


def test_about_tells_what_is_used(rclone: Rclone) -> None:
    """`rclone about` reads the quota properties."""
    rclone("rcat", "drive:file", stdin=b"x" * 1000)
    assert '"used": 1000' in rclone("about", "--json", "drive:").decode().replace("\t", "")
