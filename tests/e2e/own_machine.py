"""A terminal of root's on a machine of its own, as far as davfs2 knows, for lines that people are to paste.

with own_machine(tmp_path / "machine") as does:
    does("sudo mkdir -p /mnt/drive && sudo mount -t davfs ...")

It is a namespace of mounts: what is written to davfs2's folders, or mounted, is seen by nobody else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.e2e import davfs2
from tests.e2e.drive import clean_environment

LINE_SECONDS = 120

_SUDO = '#!/bin/sh\nexec "$@"\n'

_ALONE = """\
set -e
cp -a /etc/davfs2 etc
mkdir cache
chown --reference=/var/cache/davfs2 cache
chmod --reference=/var/cache/davfs2 cache
mount --bind etc /etc/davfs2
mount --bind cache /var/cache/davfs2
mount -t tmpfs none /mnt
echo alone
exec sleep infinity
"""


@contextlib.contextmanager
def own_machine(folder: Path) -> Iterator[Callable[[str], str]]:
    """What it gives runs a line, which has to work, and returns what that prints."""
    davfs2.require_mounting()
    programs = folder / "programs"
    programs.mkdir(parents=True)
    (programs / "sudo").write_text(_SUDO)
    (programs / "sudo").chmod(0o755)
    environment = {**clean_environment(), "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin"}
    said = folder / "said"

    def does(line: str) -> str:
        enter = ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "/bin/sh", "-c", line]
        with said.open("wb") as output:  # Not a pipe: davfs2's daemon keeps it, and its end would never come.
            done = subprocess.run(
                enter,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=LINE_SECONDS,
                check=False,
            )
        assert done.returncode == 0, (line, said.read_text())
        return said.read_text()

    with subprocess.Popen(
        ["unshare", "--mount", "/bin/sh", "-c", _ALONE], cwd=folder, stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"alone\n"
            yield does
        finally:
            _end(Path(f"/proc/{holder.pid}/ns/mnt"))


def _end(namespace: Path) -> None:
    """Whatever runs in there, such as a daemon of davfs2 that was not told to end; its mounts go with it."""
    assert namespace.readlink() != Path("/proc/self/ns/mnt").readlink()
    for other in Path("/proc").glob("[0-9]*/ns/mnt"):
        with contextlib.suppress(OSError):  # It has just ended, or is none of ours.
            if other.readlink() == namespace.readlink():
                os.kill(int(other.parts[2]), signal.SIGKILL)
