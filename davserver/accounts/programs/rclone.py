"""rclone: copies, synchronises, and mounts the drive, on every system. Also what a file for it holds."""

from __future__ import annotations

from davserver.accounts.programs import quoting
from davserver.accounts.programs.base import Command, Drive, File, Program, Step
from davserver.crypto.obscuring import obscured
from davserver.texts import marked

REMOTE = "sealdav"
"""What rclone calls the drive."""

CONFIG_NAME = "rclone.conf"
UNIT_NAME = "sealdav.service"
TEST_FILE = "sealdav-test.txt"
"""What is written and read to try it out."""


def options(drive: Drive) -> tuple[str, ...]:
    """What `rclone config create` is told. As ownCloud, rclone keeps times and compares checksums."""
    return f"url={drive.url}", "vendor=owncloud", f"user={drive.username}", f"pass={drive.token}"


def configuration(drive: Drive) -> bytes:
    """A file that rclone reads as it is (rclone.org/docs, "Config file")."""
    lines = (
        f"[{REMOTE}]",
        "type = webdav",
        f"url = {drive.url}",
        "vendor = owncloud",
        f"user = {drive.username}",
        f"pass = {obscured(drive.token)}",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def unit(drive: Drive) -> bytes:
    """A unit of systemd's user manager that mounts the drive (systemd.service(5)).

    Where rclone has died its folder is still mounted, and answers nothing: before each start it is taken off,
    even from under a program that uses it. That fails where nothing is mounted, and may.
    """
    trust = f" --ca-cert {quoting.systemd(drive.certificate)}" if drive.certificate else ""
    lines = (
        "[Unit]",
        "Description=Sealdav drive",
        "Documentation=https://rclone.org/commands/rclone_mount/",
        "",
        "[Service]",
        "Type=notify",
        'ExecStartPre=-fusermount3 -uz "%h/drive"',
        'ExecStartPre=mkdir -p "%h/drive"',
        f'ExecStart=rclone mount {REMOTE}: "%h/drive" --vfs-cache-mode writes{trust}',
        'ExecStop=fusermount3 -uz "%h/drive"',
        "Restart=on-failure",
        "RestartSec=10",
        "",
        "[Install]",
        "WantedBy=default.target",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _steps(drive: Drive) -> list[Step]:
    trust = f" --ca-cert {quoting.posix(drive.certificate)}" if drive.certificate else ""
    config = " ".join(quoting.posix(one) for one in options(drive))
    return [
        Step(
            marked(
                "On Windows choose Windows among the programs: the lines below are for the shells of Linux "
                "and macOS."
            ),
            limits=True,
        ),
        Step(
            marked("Tell rclone about the drive:"),
            commands=(Command(f"rclone config create {REMOTE} webdav {config} --obscure", "config"),),
        ),
        Step(
            marked(
                "Or download this file, and copy what is in it into rclone's own configuration file, "
                "which is here:"
            ),
            commands=(Command("rclone config file"),),
            files=(File(CONFIG_NAME, configuration(drive)),),
        ),
        Step(
            marked("Try it. This lists the drive, writes a small file and reads it again:"),
            commands=(
                Command(f"rclone lsf {REMOTE}:{trust}"),
                Command(f"date | rclone rcat {REMOTE}:{TEST_FILE}{trust}"),
                Command(f"rclone cat {REMOTE}:{TEST_FILE}{trust}"),
            ),
        ),
        Step(
            marked("Copy a folder:"),
            commands=(Command(f"rclone copy ~/Documents {REMOTE}:Documents --progress{trust}", "copy"),),
        ),
        Step(
            marked("Or have the drive as a folder, for as long as this runs:"),
            commands=(
                Command(
                    f"mkdir -p ~/drive && rclone mount {REMOTE}: ~/drive --vfs-cache-mode writes{trust}",
                    "mount",
                ),
            ),
        ),
        Step(
            marked(
                "On Linux, from every sign-in on: put this file into the folder ~/.config/systemd/user, then"
            ),
            commands=(Command(f"systemctl --user enable --now {UNIT_NAME}"),),
            files=(File(UNIT_NAME, unit(drive)),),
        ),
    ]


RCLONE = Program(
    key="rclone",
    name="rclone",
    summary=marked("Copies, synchronises and mounts, on every system"),
    steps=_steps,
)
