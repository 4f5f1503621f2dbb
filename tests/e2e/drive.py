"""A real Sealdav for tests: its own folders, its own processes, and devices enrolled as people enrol them.

drive = Drive(folder)
drive.start()
device = drive.enrol("alice")
rclone = Rclone(drive, device)
rclone("copy", local, "drive:backup")
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyotp

from tests.ports import free_port
from tests.services import clients

READY_SECONDS = 30
STOP_SECONDS = 30
COMMAND_SECONDS = 300
PASSWORD = "a password of a test account"


@dataclass(frozen=True, slots=True)
class Device:
    """An enrolled account and one app password of it."""

    username: str
    token: str = field(repr=False)
    totp_secret: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """The value of the `Authorization` field."""
        return "Basic " + b64encode(f"{self.username}:{self.token}".encode()).decode()


class Drive:
    """One installation and the server process that runs on it."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Database, blobs and logs."""
        return self.folder / "data"

    @property
    def master_key(self) -> Path:
        """The master key's file."""
        return self.folder / "keys" / "master.key"

    @property
    def url(self) -> str:
        """The drive's address."""
        return f"http://127.0.0.1:{self.port}/dav/"

    @property
    def site(self) -> str:
        """The address of its pages, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the server, or of the program that it runs under."""
        return self._require_process().pid

    @property
    def log(self) -> Path:
        """What the server says, a JSON object a line."""
        return self.data / "log" / "app.log"

    @property
    def answering(self) -> set[str]:
        """Which of its processes have answered requests so far, by the ids of the requests."""
        lines = map(json.loads, self.log.read_text().splitlines())
        return {line["request"].partition("-")[0] for line in lines if line["event"] == "request"}

    @property
    def environment(self) -> dict[str, str]:
        """What every command of this installation runs with."""
        settings = {
            "STORAGE__DATA_DIR": str(self.data),
            "KEYS__MASTER_KEY_FILE": str(self.master_key),
            "SERVER__PORT": str(self.port),
            **self._options,
        }
        return {**clean_environment(), **{f"DAVSERVER_{name}": value for name, value in settings.items()}}

    def start(self, *prefix: str) -> None:
        """Start the server and wait until it answers; `prefix` is a program to run it under (strace)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.out").open("ab") as output:
            self._process = subprocess.Popen(
                [*prefix, *sealdav("serve")],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_for_port(self.port, self._process)
        except AssertionError:
            print((self.folder / "server.out").read_text())  # noqa: T201 - pytest shows it with the failure
            raise

    def stop(self) -> int:
        """Ask the server to stop, as a service manager does; returns its exit code."""
        os.killpg(self._require_process().pid, signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait until the server, which was asked to stop, has; returns its exit code."""
        code = self._require_process().wait(STOP_SECONDS)
        self._process = None
        return code

    def kill(self) -> None:
        """End the server as `kill -9` does."""
        process = self._require_process()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
        wait_for_silence(self.port)
        self._process = None

    def close(self) -> None:
        """Leave no process behind, whatever happened."""
        if self._process is not None:
            self.kill()

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of `sealdav` on this installation; does not raise."""
        return subprocess.run(
            sealdav(*arguments),
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def enrol(self, username: str, password: str = PASSWORD) -> Device:
        """Make an account with password, TOTP and a first app password, by the scriptable road."""
        with subprocess.Popen(
            sealdav("enrol", username, "--json"),
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(password + "\n")
            process.stdin.flush()
            offered = json.loads(process.stdout.readline())
            process.stdin.write(pyotp.TOTP(offered["secret"]).now() + "\n")
            process.stdin.close()
            answers = [json.loads(line) for line in process.stdout]
            issued = next(answer for answer in answers if "app_password" in answer)
            assert process.wait(COMMAND_SECONDS) == 0
        return Device(username, issued["app_password"], offered["secret"])

    def request(
        self,
        method: str,
        path: str,
        device: Device,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One request over a connection of its own: status and body. `path` is below the drive, encoded."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            fields = {"Authorization": device.authorization, **(headers or {})}
            connection.request(method, "/dav/" + path, body, fields)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _require_process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server is not running"
        return self._process


class Rclone:
    """rclone with one remote, `drive:`, that is a device of a drive."""

    def __init__(self, drive: Drive, device: Device) -> None:
        self._program = str(clients.require("rclone"))
        obscured = subprocess.run(
            [self._program, "obscure", "-"], input=device.token, capture_output=True, text=True, check=True
        ).stdout.strip()
        self.environment = {
            **clean_environment(),
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_DRIVE_TYPE": "webdav",
            "RCLONE_CONFIG_DRIVE_URL": drive.url,
            "RCLONE_CONFIG_DRIVE_VENDOR": "owncloud",
            "RCLONE_CONFIG_DRIVE_USER": device.username,
            "RCLONE_CONFIG_DRIVE_PASS": obscured,
            # The pacer is there to be gentle with strangers' servers; with it 500 files would take minutes.
            "RCLONE_WEBDAV_PACER_MIN_SLEEP": "0",
            "RCLONE_CACHE_DIR": str(drive.folder / "rclone-cache"),
            "RCLONE_RETRIES": "1",
            "RCLONE_LOW_LEVEL_RETRIES": "1",
        }

    def __call__(self, *arguments: str | Path, stdin: bytes | None = None) -> bytes:
        """Run a command and return what it prints; fails with what it complains about."""
        return self._run(arguments, stdin).stdout

    def notices(self, *arguments: str | Path) -> str:
        """Run a command and return what it remarks on the way."""
        return self._run(arguments, None).stderr.decode()

    def _run(
        self, arguments: Sequence[str | Path], stdin: bytes | None
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [self._program, *map(str, arguments)],
            env=self.environment,
            input=stdin,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
        return done

    @contextlib.contextmanager
    def running(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """A command that runs beside what the caller does; it is ended with the block at the latest."""
        with subprocess.Popen(
            [self._program, *map(str, arguments)], env=self.environment, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def transfers(self, *arguments: str | Path) -> int:
        """Run a command and return how many files it moved."""
        done = subprocess.run(
            [self._program, *map(str, arguments), "--use-json-log", "--log-level=INFO", "--stats=1h"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=True,
        )
        stats = [line["stats"] for line in map(json.loads, done.stderr.splitlines()) if "stats" in line]
        return int(stats[-1]["transfers"])

    @contextlib.contextmanager
    def mounted(self, remote: str, folder: Path, *options: str) -> Iterator[Path]:
        """`rclone mount` on a folder, unmounted at the end when everything was written back."""
        clients.require_fuse()
        folder.mkdir(parents=True, exist_ok=True)
        control = f"127.0.0.1:{free_port()}"
        command = [
            *(self._program, "mount", remote, str(folder), "--vfs-cache-mode=writes", "--vfs-write-back=1s"),
            *("--rc", "--rc-no-auth", f"--rc-addr={control}"),
        ]
        with subprocess.Popen([*command, *options], env=self.environment, stderr=subprocess.PIPE) as process:
            try:
                _wait_for_mount(folder, process)
                yield folder
                self._wait_until_written_back(control)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(STOP_SECONDS)

    def _wait_until_written_back(self, control: str) -> None:
        """Until rclone has uploaded what programs wrote: an unmount would leave the rest in its cache."""
        deadline = time.monotonic() + COMMAND_SECONDS
        while True:
            stats = json.loads(self("rc", f"--rc-addr={control}", "vfs/stats"))["diskCache"]
            if stats["uploadsInProgress"] + stats["uploadsQueued"] == 0:
                return
            assert time.monotonic() < deadline, "rclone did not finish its uploads"
            time.sleep(0.2)  # Nothing to wait on but rclone's own word.


def sealdav(*arguments: str) -> list[str]:
    """The command line of `sealdav`, as installed beside the running Python."""
    return [sys.executable, "-m", "davserver", *arguments]


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of whoever runs the tests; compiled modules may be kept."""
    unwanted = ("DAVSERVER_", "RCLONE_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the process listens on a port of this machine."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)  # Waiting for another process to listen: there is nothing to wait on but time.
    raise AssertionError("the server did not start")


def wait_for_silence(port: int) -> None:
    """Until nobody listens on a port of this machine: the children of who was killed end a moment later."""
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.02)  # As above.
    raise AssertionError("the server was killed and still listens")


def _wait_for_mount(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not folder.is_mount():
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        assert time.monotonic() < deadline, "the mount did not appear"
        time.sleep(0.05)  # As above: the kernel tells nobody.
