"""Windows: rclone with WinFsp makes the drive a letter; what is built in does, too, within limits."""

from __future__ import annotations

from pathlib import Path

from davserver.accounts.programs import quoting
from davserver.accounts.programs.base import Command, Drive, File, Program, Step
from davserver.accounts.programs.rclone import REMOTE, options
from davserver.texts import marked

LETTER = "X:"
SCRIPT_NAME = "sealdav.cmd"
INSTALL = "winget install WinFsp.WinFsp Rclone.Rclone"


def script(drive: Drive) -> bytes:
    """A file to double-click: it tells rclone about the drive, and mounts it. Lines end as on Windows."""
    trust = f" --ca-cert {quoting.beside_batch(_name(drive))}" if drive.certificate else ""
    config = " ".join(quoting.batch(one) for one in options(drive))
    lines = (
        "@echo off",
        "chcp 65001 >nul",
        "rem Mounts the drive. There is an app password in this file: keep it to yourself.",
        "setlocal DisableDelayedExpansion",
        "where rclone >nul 2>nul",
        "if errorlevel 1 goto install",
        f"rclone config create {REMOTE} webdav {config} --obscure >nul",
        "if errorlevel 1 goto failed",
        f"rclone mount {REMOTE}: {LETTER} --vfs-cache-mode writes{trust}",
        ":failed",
        "pause",
        "exit /b 1",
        ":install",
        f"echo First: {INSTALL}",
        "goto failed",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def _steps(drive: Drive) -> list[Step]:
    trust = f" --ca-cert {quoting.windows(_name(drive))}" if drive.certificate else ""
    config = " ".join(quoting.windows(one) for one in options(drive))
    steps = [
        Step(
            marked("Install rclone, and WinFsp, which lets it make a drive:"),
            commands=(Command(INSTALL, "windows_install"),),
        ),
        Step(
            marked(
                "Download this file and double-click it: it tells rclone about the drive, and makes "
                "it %(letter)s"
            ),
            values={"letter": LETTER},
            files=(File(SCRIPT_NAME, script(drive)),),
        ),
        Step(
            marked("Or do it by hand:"),
            commands=(
                Command(f"rclone config create {REMOTE} webdav {config} --obscure"),
                Command(f"rclone mount {REMOTE}: {LETTER} --vfs-cache-mode writes{trust}", "windows_mount"),
            ),
        ),
    ]
    return [*steps, *_built_in(drive)] if drive.https else steps


def _built_in(drive: Drive) -> list[Step]:
    """What Windows itself can do, over https."""
    trust = Command(f"certutil -addstore Root {quoting.windows(_name(drive))}", "windows_trust")
    mount = f"net use {LETTER} {quoting.windows(drive.url)} {drive.token} /user:{drive.username}"
    return [
        Step(
            marked(
                "What is built into Windows does without other programs, within limits. Microsoft "
                "has given it up (WebClient is deprecated, and is not started by itself). Files "
                "above 50 MB need another value of FileSizeLimitInBytes in the registry. A folder "
                "whose listing is longer than 1,000,000 bytes looks empty "
                "(FileAttributesLimitInBytes). It gives a password to https only (BasicAuthLevel)."
            ),
            limits=True,
        ),
        Step(
            marked("With it. An administrator starts the service, and you make the drive as yourself:"),
            commands=(
                *((trust,) if drive.certificate else ()),
                Command("sc.exe start webclient", "windows_service"),
                Command(mount, "windows_net_use"),
            ),
        ),
    ]


def _name(drive: Drive) -> str:
    """What a copy of the certificate is called."""
    return Path(drive.certificate).name


WINDOWS = Program(
    key="windows",
    name="Windows",
    summary=marked("As a drive with a letter"),
    steps=_steps,
)
