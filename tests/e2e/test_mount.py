"""`rclone mount`: the drive as a folder, with programs that are hard on file systems."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.drive import Drive, Rclone
from tests.e2e.files import fingerprint, plant


def test_git_tar_and_diff_on_a_mount(drive: Drive, rclone: Rclone, tmp_path: Path) -> None:
    """A git clone with a commit and an unpacked tar live on the mount, and on the next one too."""
    origin, tree = tmp_path / "origin", tmp_path / "tree"
    plant(tree, 60)
    _git(tmp_path, "init", "--quiet", str(origin))
    for number in range(30):
        (origin / f"file{number}.txt").write_text(f"line {number}\n" * 50)
    _commit(origin, "first")
    archive = tmp_path / "tree.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tree, "."], check=True)
    with rclone.mounted("drive:", tmp_path / "mount") as mount:
        _git(mount, "clone", "--quiet", str(origin), "clone")
        (mount / "clone" / "added.txt").write_text("written on the drive\n")
        _commit(mount / "clone", "second")
        (mount / "unpacked").mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", mount / "unpacked"], check=True)
        subprocess.run(["diff", "-r", tree, mount / "unpacked"], check=True)
    assert drive.stop() == 0
    drive.start()
    with rclone.mounted("drive:", tmp_path / "again", "--read-only") as mount:
        _git(mount / "clone", "fsck", "--full", "--strict")
        assert "second" in _git(mount / "clone", "log", "--oneline")
        assert fingerprint(mount / "unpacked") == fingerprint(tree)


def _commit(repository: Path, message: str) -> None:
    _git(repository, "add", "--all")
    _git(
        repository,
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@example.org",
        "commit",
        "--quiet",
        "-m",
        message,
    )


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
