"""`rclone mount`: the drive as a folder, with programs that are hard on file systems."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.drive import Drive, Rclone
from tests.e2e.files import fingerprint, plant
from tests.e2e.programs import commit, git


def test_git_tar_and_diff_on_a_mount(drive: Drive, rclone: Rclone, tmp_path: Path) -> None:
    """A git clone with a commit and an unpacked tar live on the mount, and on the next one too."""
    origin, tree = tmp_path / "origin", tmp_path / "tree"
    plant(tree, 60)
    git(tmp_path, "init", "--quiet", str(origin))
    for number in range(30):
        (origin / f"file{number}.txt").write_text(f"line {number}\n" * 50)
    commit(origin, "first")
    archive = tmp_path / "tree.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tree, "."], check=True)
    with rclone.mounted("drive:", tmp_path / "mount") as mount:
        git(mount, "clone", "--quiet", str(origin), "clone")
        (mount / "clone" / "added.txt").write_text("written on the drive\n")
        commit(mount / "clone", "second")
        (mount / "unpacked").mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", mount / "unpacked"], check=True)
        subprocess.run(["diff", "-r", tree, mount / "unpacked"], check=True)
    assert drive.stop() == 0
    drive.start()
    with rclone.mounted("drive:", tmp_path / "again", "--read-only") as mount:
        git(mount / "clone", "fsck", "--full", "--strict")
        assert "second" in git(mount / "clone", "log", "--oneline")
        assert fingerprint(mount / "unpacked") == fingerprint(tree)
