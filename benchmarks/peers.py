"""The servers that are measured: how each is started on an empty folder, and why one cannot be.

All listen on loopback, want Basic authentication, write no log of requests, and are otherwise as they come.
None is installed here: that is install.sh. Called by the runner.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import store
from tests.e2e.drive import clean_environment, wait_for_port
from tests.ports import free_port
from tests.services import clients

USER, PASSWORD = "bench", "bench"
STOP_SECONDS = 30
MOUNT_SECONDS = 30
NGINX_DAV_EXT = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")


@dataclass(frozen=True, slots=True)
class Site:
    """A server that runs.

    Attributes:
        url: of an empty collection; ends with a slash.
        user, password: who may do everything there.
        vendor: what rclone calls such a server.
        pids: what it was started as.
    """

    url: str
    user: str
    password: str
    vendor: str
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to measure.

    Attributes:
        key: what it is called in files.
        title: what it is called in tables.
        obstacle: why it cannot be measured here; None if it can.
        serve: starts it on a folder that is not there yet.
        encrypts: whether what lies on the disk is encrypted.
        ours: whether it is a Sealdav.
    """

    key: str
    title: str
    obstacle: Callable[[], str | None]
    serve: Callable[[Path], AbstractContextManager[Site]]
    encrypts: bool = True
    ours: bool = False


NGINX_CONFIG: Final = """
daemon off; user root; worker_processes auto; pid {own}/pid; error_log {own}/error.log;
load_module {module};
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; keepalive_requests 1000000;
    types {{ }} default_type application/octet-stream;
    client_body_temp_path {temporary}; client_max_body_size 0; client_body_buffer_size 64k;
    proxy_temp_path {own}/1; fastcgi_temp_path {own}/2; uwsgi_temp_path {own}/3; scgi_temp_path {own}/4;
    server {{
        listen 127.0.0.1:{port}; root {root};
        auth_basic bench; auth_basic_user_file {own}/users;
        dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS; create_full_put_path on;
    }}
}}
"""
"""As few words as make it a WebDAV server. Passwords are compared as they are: a hash would cost time."""


@contextmanager
def running(
    command: Sequence[str], folder: Path, port: int, environment: dict[str, str] | None = None
) -> Iterator[int]:
    """A server's process, from when it listens to when it was told to stop; its id."""
    with (
        (folder / "server.out").open("wb") as output,
        subprocess.Popen(
            command,
            env={**clean_environment(), **(environment or {})},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for_port(port, process)
            yield process.pid
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


# ── nginx, alone and over gocryptfs
@contextmanager
def serve_nginx(folder: Path, root: Path | None = None) -> Iterator[Site]:
    """On a folder inside `folder`, or on one that is elsewhere."""
    root, own, port = root or folder / "files", folder / "nginx", free_port()
    temporary = root / ".temporary"  # on the same file system: what has arrived is renamed, not copied
    for one in (temporary, own):
        one.mkdir(parents=True)
    (own / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    words = NGINX_CONFIG.format(own=own, root=root, temporary=temporary, port=port, module=NGINX_DAV_EXT)
    (own / "nginx.conf").write_text(words)
    command = [_program("nginx"), "-p", str(own), "-c", str(own / "nginx.conf")]
    with running(command, own, port) as pid:
        yield Site(f"http://127.0.0.1:{port}/", USER, PASSWORD, "other", (pid,))


@contextmanager
def serve_gocryptfs(folder: Path) -> Iterator[Site]:
    """The same on a mounted gocryptfs."""
    sealed, clear, password = folder / "sealed", folder / "clear", folder / "password"
    for one in (sealed, clear):
        one.mkdir(parents=True)
    password.write_text(PASSWORD)
    program = [_program("gocryptfs"), "-q", "-passfile", str(password)]
    subprocess.run([*program, "-init", "-scryptn", "10", str(sealed)], check=True)
    with subprocess.Popen([*program, "-fg", str(sealed), str(clear)]) as process:
        try:
            until_mounted(clear, process)
            with serve_nginx(folder, clear / "files") as site:
                yield Site(site.url, site.user, site.password, site.vendor, (*site.pids, process.pid))
        finally:
            subprocess.run([_program("fusermount3"), "-u", str(clear)], check=False)
            process.wait(STOP_SECONDS)


def until_mounted(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Until something is mounted there."""
    deadline = time.monotonic() + MOUNT_SECONDS
    while not folder.is_mount():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("gocryptfs did not mount")
        time.sleep(0.02)  # The kernel tells nobody.


# ── rclone
@contextmanager
def serve_rclone(folder: Path) -> Iterator[Site]:
    """`rclone serve webdav` over crypt."""
    folder.mkdir(parents=True)
    rclone, port = _program("rclone"), free_port()
    command = [
        *(rclone, "serve", "webdav", f":crypt,remote={folder / 'sealed'},password={obscured(PASSWORD)}:"),
        *("--addr", f"127.0.0.1:{port}", "--user", USER, "--pass", PASSWORD),
    ]
    (folder / "sealed").mkdir()
    with running(command, folder, port, {"RCLONE_CONFIG": os.devnull}) as pid:
        yield Site(f"http://127.0.0.1:{port}/", USER, PASSWORD, "rclone", (pid,))


def obscured(password: str) -> str:
    """A password as rclone's options want it."""
    command = [_program("rclone"), "obscure", "-"]
    done = subprocess.run(command, input=password, capture_output=True, text=True, check=True)
    return done.stdout.strip()


# ── stock WsgiDAV
@contextmanager
def serve_wsgidav(folder: Path) -> Iterator[Site]:
    """Its own command on cheroot, of the versions that Sealdav is built on."""
    (folder / "files").mkdir(parents=True)
    port, config = free_port(), folder / "wsgidav.json"
    options = {
        "host": "127.0.0.1",
        "port": port,
        "provider_mapping": {"/": str(folder / "files")},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
        "verbose": 1,
    }
    config.write_text(json.dumps(options))
    command = [sys.executable, "-m", "wsgidav.server.server_cli", "--config", str(config), "--quiet"]
    with running(command, folder, port) as pid:
        yield Site(f"http://127.0.0.1:{port}/", USER, PASSWORD, "other", (pid,))


# ── SFTPGo
@contextmanager
def serve_sftpgo(folder: Path) -> Iterator[Site]:
    """Its local file system with encryption; accounts in memory, nothing but WebDAV."""
    (folder / "sealed").mkdir(parents=True)
    port, accounts = free_port(), folder / "accounts.json"
    secret = {"status": "Plain", "payload": PASSWORD}
    user = {
        "username": USER,
        "password": PASSWORD,
        "status": 1,
        "home_dir": str(folder / "sealed"),
        "permissions": {"/": ["*"]},
        "filesystem": {"provider": 4, "cryptconfig": {"passphrase": secret}},
    }
    accounts.write_text(json.dumps({"version": 16, "users": [user]}))
    options = {
        "SFTPGO_DATA_PROVIDER__DRIVER": "memory",
        "SFTPGO_DATA_PROVIDER__NAME": str(accounts),
        "SFTPGO_WEBDAVD__BINDINGS__0__PORT": str(port),
        "SFTPGO_WEBDAVD__BINDINGS__0__ADDRESS": "127.0.0.1",
        "SFTPGO_SFTPD__BINDINGS__0__PORT": "0",
        "SFTPGO_HTTPD__BINDINGS__0__PORT": "0",
    }
    command = [_program("sftpgo"), "serve", "--config-dir", str(folder), "--log-level", "error"]
    with running(command, folder, port, options) as pid:
        yield Site(f"http://127.0.0.1:{port}/", USER, PASSWORD, "other", (pid,))


def no_sftpgo() -> str | None:
    """What install.sh says."""
    if clients.find("sftpgo"):
        return None
    said = clients.cache() / "bin" / "sftpgo.missing"
    return said.read_text().strip().rstrip(".") if said.is_file() else "benchmarks/install.sh was not run"


# ── Sealdav
@contextmanager
def serve_sealdav(folder: Path, *, durability: str, processes: int | None = None) -> Iterator[Site]:
    """Standard settings, but for how durable an answered write is, and how many processes serve."""
    with store.services(folder) as built:
        device = store.enrol(built)
    server = store.drive(folder, durability=durability, processes=processes)
    server.start()
    try:
        yield Site(server.url, device.username, device.token, "owncloud", (server.pid,))
        server.stop()
    finally:
        server.close()


def needs(*programs: str, fuse: bool = False) -> Callable[[], str | None]:
    """Whether these programs are here, and FUSE if it is needed."""

    def obstacle() -> str | None:
        missing = [name for name in programs if clients.find(name) is None]
        if missing:
            return f"{', '.join(missing)} not installed"
        no_fuse = clients.fuse_obstacle() if fuse else None
        return f"FUSE mounts are not possible here: {no_fuse}" if no_fuse else None

    return obstacle


def _program(name: str) -> str:
    return str(clients.find(name) or name)


PEERS: Final = (
    Peer("nginx", "nginx, plain", needs("nginx"), serve_nginx, encrypts=False),
    Peer("gocryptfs", "nginx on gocryptfs", needs("nginx", "gocryptfs", fuse=True), serve_gocryptfs),
    Peer("rclone", "rclone crypt", needs("rclone"), serve_rclone),
    Peer("sftpgo", "SFTPGo crypt", no_sftpgo, serve_sftpgo),
    Peer("wsgidav", "WsgiDAV, plain", needs(), serve_wsgidav, encrypts=False),
    Peer("relaxed", "Sealdav relaxed", needs(), partial(serve_sealdav, durability="relaxed"), ours=True),
    Peer("full", "Sealdav full", needs(), partial(serve_sealdav, durability="full"), ours=True),
)
"""In the order of the table."""
