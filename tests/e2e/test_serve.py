"""`sealdav serve` as people and service managers run it. Real processes."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from davserver.cli.exits import ExitCode
from tests.e2e.drive import Device, Drive

pytestmark = pytest.mark.e2e

CONTENT = b"a file that was there before"


def said(drive: Drive) -> str:
    """All that the server has printed."""
    return (drive.folder / "server.out").read_text()


def test_a_fresh_machine_is_told_what_to_do_next(drive: Drive) -> None:
    """Where the store lies, how to enrol, the addresses; once there is an account, only the addresses."""
    assert drive.stop() == ExitCode.OK
    first = said(drive)
    for words in (
        str(drive.data),
        str(drive.master_key),
        "back it up somewhere else",
        drive.url,
        "enrol NAME",
    ):
        assert words in first
    drive.start()
    drive.enrol("alice")
    assert drive.stop() == ExitCode.OK
    drive.start()
    assert drive.stop() == ExitCode.OK
    assert said(drive).count("new installation") == 1
    assert "enrol NAME" not in said(drive).rpartition("Sealdav is serving.")[2]


def test_one_port_has_both_doors(drive: Drive, device: Device) -> None:
    """The page at the root, the drive below /dav/."""
    with socket.create_connection(("127.0.0.1", drive.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"<!doctype html>" in answer
    assert drive.request("PROPFIND", "", device, headers={"Depth": "0"})[0] == 207


def test_the_process_leaves_nothing_for_others(drive: Drive, device: Device) -> None:
    """No core dump, and no file in the data folder that anybody else can open (security.md T51)."""
    assert drive.request("PUT", "file", device, b"x" * 200_000)[0] == 201
    limits = Path(f"/proc/{drive.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    modes = {path: path.stat().st_mode & 0o077 for path in drive.data.rglob("*")}
    assert modes
    assert not any(modes.values()), modes


def test_a_stop_in_the_middle_of_an_upload_keeps_the_old_file(tmp_path: Path) -> None:
    """After the grace the upload is cut off; what had arrived is not taken for the file."""
    drive = Drive(tmp_path / "drive", SERVER__STOP_SECONDS="0")
    try:
        drive.start()
        device = drive.enrol("alice")
        assert drive.request("PUT", "file", device, CONTENT)[0] == 201
        head = (
            f"PUT /dav/file HTTP/1.1\r\nHost: localhost\r\nAuthorization: {device.authorization}\r\n"
            "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", drive.port)) as client:
            client.sendall(head.encode())
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
            client.sendall(bytes(500_000))
            assert drive.stop() == ExitCode.OK
        drive.start()
        assert drive.request("GET", "file", device) == (200, CONTENT)
        assert drive.stop() == ExitCode.OK
        assert drive.run("verify").returncode == ExitCode.OK
    finally:
        drive.close()
