"""The clients: curl for one stream, wrk for many small requests, rclone for a folder of files.

They are real programs in C and Go, and each says how much processor time it took, so that the table can show
that it was not the client that was measured. Called by the rows of work.py.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import Site, obscured
from tests.e2e.drive import clean_environment
from tests.services import clients

SCRIPT = Path(__file__).with_name("wrk.lua")
LISTED = (
    '<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:displayname/><D:getlastmodified/>'
    "<D:getcontentlength/><D:getetag/><D:resourcetype/></D:prop></D:propfind>"
)
"""What clients ask of a listing, give or take one."""

MANY = ("--parallel", "--parallel-max", "8", "--upload-file")
"""Options for a file that is put to many names."""

FAILED = "exit code {0}: {1}"
PATIENCE_SECONDS = 600


class WorkFailed(Exception):
    """A server did not do what a client asked of it; the message says so for the table."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a client did.

    Attributes:
        seconds: from its start to its end.
        cpu: seconds of processor time that it took itself.
        output: what it printed.
    """

    seconds: float
    cpu: float
    output: str


@dataclass(frozen=True, slots=True)
class Storm:
    """Many small requests.

    Attributes:
        rate: answers a second.
        median_ms, p99_ms: how long one took.
        requests: how many were answered.
        cpu_share: how much of one processor the client took.
    """

    rate: float
    median_ms: float
    p99_ms: float
    requests: int
    cpu_share: float


def run(
    command: Sequence[str | Path],
    *,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a client to its end.

    Raises:
        WorkFailed: it complained.
    """
    before, begun = _children_cpu(), time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        env={**clean_environment(), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    seconds, cpu = time.perf_counter() - begun, _children_cpu() - before
    if done.returncode:
        complaint = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        raise WorkFailed(FAILED.format(done.returncode, complaint[:200]))
    return Run(seconds, cpu, done.stdout)


# ── curl
def curl(site: Site, path: str, *arguments: str | Path) -> Run:
    """One request, or several with the globs of curl. The credential is not on the command line."""
    fixed = ("curl", "--silent", "--show-error", "--fail", "--config", "-", "--header", "Expect:")
    return run([*fixed, *arguments, site.url + path], stdin=f'user = "{site.user}:{site.password}"')


def fill(site: Site, folder: str, count: int, file: Path) -> None:
    """A collection of so many copies of a file, named by numbers from 0."""
    make_collection(site, folder)
    curl(site, f"{folder}/[0-{count - 1}]", *MANY, file)


def make_collection(site: Site, folder: str) -> None:
    """MKCOL."""
    curl(site, folder + "/", "--request", "MKCOL")


def move(site: Site, source: str, target: str, method: str = "MOVE") -> Run:
    """MOVE or COPY."""
    return curl(site, source, "--request", method, "--header", f"Destination: {site.url}{target}")


def list_folder(site: Site, folder: str) -> dict[str, float]:
    """PROPFIND of a collection and its members: seconds to the first byte and to the last, and bytes."""
    said = curl(
        site,
        folder + "/",
        *("--request", "PROPFIND", "--header", "Depth: 1", "--data-binary", LISTED, "--output", os.devnull),
        *(
            "--write-out",
            '{"total": %{time_total}, "first": %{time_starttransfer}, "bytes": %{size_download}}',
        ),
    )
    answer: dict[str, float] = json.loads(said.output)
    return answer


# ── wrk
def storm(  # noqa: PLR0913 - what there is to say of it
    site: Site,
    kind: str,
    path: str,
    *,
    seconds: float,
    clients_at_once: int = 8,
    names: int = 1,
    size: int = 0,
    whole: int = 0,
) -> Storm:
    """Small requests from some connections at once, as many as are answered.

    Args:
        site: where.
        kind: which; see wrk.lua.
        path: what their paths begin with.
        seconds: for how long; at least 1.
        clients_at_once: connections.
        names: how many files there are below `path`, named by numbers from 0.
        size: bytes of each body, or of each range.
        whole: bytes of the file that ranges are taken from.

    Raises:
        WorkFailed: some were answered with an error, or not at all.
    """
    credential = b64encode(f"{site.user}:{site.password}".encode()).decode()
    environment = {
        "BENCH_KIND": kind,
        "BENCH_AUTHORIZATION": f"Basic {credential}",
        "BENCH_NAMES": str(names),
        "BENCH_SIZE": str(size),
        "BENCH_WHOLE": str(whole),
    }
    fixed = ["wrk", "--threads", "1", "--connections", str(clients_at_once), "--duration", f"{seconds:.0f}s"]
    command = [*fixed, "--timeout", "30s", "--script", str(SCRIPT), site.url + path]
    done = run(command, environment=environment)
    said = json.loads(done.output.splitlines()[-1])
    if said["failed"]:
        raise WorkFailed(f"{said['failed']} of {said['requests']} requests failed")
    return Storm(
        said["requests"] / said["seconds"],
        said["median_ms"],
        said["p99_ms"],
        said["requests"],
        done.cpu / done.seconds,
    )


# ── rclone
def rclone_copy(site: Site, source: Path, target: str) -> Run:
    """Copy a folder to a server, 8 files at a time."""
    environment = {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_SITE_TYPE": "webdav",
        "RCLONE_CONFIG_SITE_URL": site.url,
        "RCLONE_CONFIG_SITE_VENDOR": site.vendor,
        "RCLONE_CONFIG_SITE_USER": site.user,
        "RCLONE_CONFIG_SITE_PASS": obscured(site.password),
        "RCLONE_WEBDAV_PACER_MIN_SLEEP": "0",
        "RCLONE_TRANSFERS": "8",
    }
    program = clients.find("rclone") or Path("rclone")
    return run([program, "copy", source, f"site:{target}"], environment=environment)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
