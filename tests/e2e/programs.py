"""Programs that people run on their files, and a look at what they made."""

from __future__ import annotations

import subprocess
from pathlib import Path

GIT = ("git", "-c", "safe.directory=*", "-c", "protocol.file.allow=always")
GIT_USER = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
PROGRAM_SECONDS = 60


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program that has to succeed; returns what it prints."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def git(repository: Path, *arguments: str | Path) -> str:
    """Run git in a folder."""
    return run(*GIT, *arguments, cwd=repository)


def commit(repository: Path, message: str) -> None:
    """Commit all that is in the work tree."""
    git(repository, "add", "--all")
    git(repository, *GIT_USER, "commit", "--quiet", "-m", message)


def contents(folder: Path, *, without: str = "") -> dict[str, bytes | None]:
    """What is below a folder, as `Client.tree` gives it; `without` names what is none of the drive's."""
    found: dict[str, bytes | None] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            found[f"{name}/"] = None
        else:
            found[name] = path.read_bytes()
    return {name: content for name, content in found.items() if not without or name.split("/")[0] != without}
