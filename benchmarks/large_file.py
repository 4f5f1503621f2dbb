"""PUT and GET of one large file, beside `rclone serve webdav` over crypt: same run, data and client (curl).

    make bench

Ratios count, not megabytes: those hold for this machine and this moment only. All servers keep their data in
the same folder: on a tmpfs (`--folder /dev/shm`) to measure the work, on a disk to measure the disk too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.drive import Drive, free_port, wait_for_port
from tests.services import clients

MEBIBYTE = 1 << 20
RUNS = 3
PEER_USER, PEER_PASSWORD = "bench", "bench"


@dataclass(frozen=True, slots=True)
class Target:
    """A server to measure: where to put the file, and with which credential."""

    name: str
    url: str
    user: str


@dataclass(frozen=True, slots=True)
class Row:
    """Best of the runs, in MB/s (10^6 bytes a second)."""

    server: str
    put: float
    get: float


def main() -> None:
    """Measure, print a table, and the same as JSON on the last line."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        source = _make_source(folder / "source", arguments.mebibytes)
        servers: list[Callable[[Path], Iterator[Target]]] = [
            _sealdav("full"),
            _sealdav("relaxed"),
            _rclone_crypt,
        ]
        rows = []
        for number, server in enumerate(servers):
            with contextmanager(server)(folder / str(number)) as target:
                rows.append(_measure(target, source))
            shutil.rmtree(folder / str(number))
    _print(rows)


def _measure(target: Target, source: Path) -> Row:
    puts = [_curl(target, "--upload-file", str(source)) for _ in range(RUNS)]
    gets = [_curl(target, "--output", os.devnull) for _ in range(RUNS)]
    size = source.stat().st_size / 1e6
    return Row(target.name, size / min(puts), size / min(gets))


def _curl(target: Target, *arguments: str) -> float:
    """One transfer; seconds that it took. The credential is not on the command line, where others see it."""
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--config",
        "-",
        "--header",
        "Expect:",
        *arguments,
    ]
    started = time.perf_counter()
    subprocess.run(
        [*command, target.url],
        input=f'user = "{target.user}"',
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def _sealdav(durability: str) -> Callable[[Path], Iterator[Target]]:
    def serve(folder: Path) -> Iterator[Target]:
        drive = Drive(folder, STORAGE__DURABILITY=durability)
        drive.start()
        try:
            device = drive.enrol("bench")
            yield Target(f"sealdav ({durability})", drive.url + "file", f"{device.username}:{device.token}")
        finally:
            drive.close()

    return serve


def _rclone_crypt(folder: Path) -> Iterator[Target]:
    rclone, port = str(clients.require("rclone")), free_port()
    obscured = subprocess.run(
        [rclone, "obscure", "a password"], capture_output=True, text=True, check=True
    ).stdout
    folder.mkdir()
    command = [
        *(rclone, "serve", "webdav", f":crypt,remote={folder},password={obscured.strip()}:"),
        *("--addr", f"127.0.0.1:{port}", "--user", PEER_USER, "--pass", PEER_PASSWORD),
    ]
    environment = {**os.environ, "RCLONE_CONFIG": os.devnull}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port, process)
            yield Target("rclone over crypt", f"http://127.0.0.1:{port}/file", f"{PEER_USER}:{PEER_PASSWORD}")
        finally:
            process.terminate()


def _make_source(path: Path, mebibytes: int) -> Path:
    block = os.urandom(MEBIBYTE)
    with path.open("wb") as file:
        for _ in range(mebibytes):
            file.write(block)
    return path


def _print(rows: list[Row]) -> None:
    peer = rows[-1]
    print(f"{'':22}{'PUT MB/s':>10}{'ratio':>7}{'GET MB/s':>10}{'ratio':>7}")
    for row in rows:
        print(
            f"{row.server:22}{row.put:10.0f}{row.put / peer.put:7.2f}{row.get:10.0f}{row.get / peer.get:7.2f}"
        )
    print(json.dumps({"runs": RUNS, "python": sys.version.split()[0], "rows": [asdict(row) for row in rows]}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the data goes (default: temporary folder)"
    )
    parser.add_argument("--mebibytes", type=int, default=1024, help="size of the file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
