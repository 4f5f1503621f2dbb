"""The commands that are shown with an app password: ready to paste, and only those that can work."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from davserver.accounts.health import Sign, Trouble
from davserver.accounts.health_notes import NoteWriter
from davserver.clock import to_seconds
from tests.certificates import one_pair, write_pair
from tests.unit.cli.conftest import PASSWORD, Cli
from tests.unit.crypto.test_certificates import ISSUED

RCLONE = {"config", "copy", "mount"}
BY_HTTPS = {
    *("davfs2_config", "davfs2_secret", "davfs2_mount", "macos_mount"),
    *("windows_install", "windows_mount", "windows_service", "windows_net_use"),
}
TRUST = {"davfs2_trust", "macos_trust", "windows_trust"}
URL = "https://dav.example.org/dav/"


def issued(cli: Cli, monkeypatch: pytest.MonkeyPatch, **settings: object) -> dict[str, Any]:
    """What `enrol --json` prints last."""
    for name, value in settings.items():
        monkeypatch.setenv(f"DAVSERVER_SERVER__{name.upper()}", str(value))
    return cli.enrol("alice").objects[-1]


def for_people(cli: Cli) -> str:
    """What `app-password issue` prints."""
    answers: list[Any] = [PASSWORD, lambda: cli.next_code("alice")]
    return cli("app-password", "issue", "alice", "--password-stdin", answers=answers).out


@pytest.mark.parametrize("public_url", ["", "http://dav.example.org"])
def test_over_plain_http_only_rclone_is_shown(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, public_url: str
) -> None:
    """Windows refuses to send a password, others should: one sentence says what they need."""
    assert issued(cli, monkeypatch, public_url=public_url)["commands"].keys() == RCLONE
    said = for_people(cli)
    assert said.count("Over https, ") == 1
    assert "sealdav tls self-signed" in said
    assert "mount -t davfs" not in said
    assert "net use" not in said


def test_over_https_every_system_has_its_commands(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the address that clients use, the user and the app password filled in."""
    shown = issued(cli, monkeypatch, public_url="https://dav.example.org")
    assert shown["url"] == URL
    commands, token = shown["commands"], shown["app_password"]
    assert commands.keys() == RCLONE | BY_HTTPS
    assert f"url={URL} vendor=owncloud user=alice pass={token} " in commands["config"]
    assert "buf_size 256" in commands["davfs2_config"]
    assert f"'{URL} alice {token}'" in commands["davfs2_secret"]
    assert f"mount -t davfs -o uid=$(id -u),gid=$(id -g) {URL} /mnt/sealdav" in commands["davfs2_mount"]
    assert commands["macos_mount"].endswith(f" {URL} ~/drive")
    assert commands["windows_net_use"] == f"net use X: {URL} {token} /user:alice"
    for name in RCLONE | BY_HTTPS:
        assert "--ca-cert" not in commands[name]


def test_people_get_the_same_commands(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each on a line of its own, with nothing that has to be cut away, and Finder in words."""
    shown = issued(cli, monkeypatch, public_url="https://dav.example.org")
    said = for_people(cli)
    lines = [line.strip() for line in said.splitlines()]
    for name, command in shown["commands"].items():
        assert command.replace(shown["app_password"], "") in [
            one.replace(token_of(said), "") for one in lines
        ], name
    assert f"Connect to Server from the menu Go and enter {URL}" in said
    assert "Over https, " not in said


def token_of(said: str) -> str:
    """The app password among what was printed."""
    return next(line.strip() for line in said.splitlines() if line.strip().startswith("ew1-"))


def test_our_own_tls_is_https_too(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a public address: that of this machine."""
    certificate, key = write_pair(tmp_path, one_pair())
    certificate.write_bytes(ISSUED)
    shown = issued(cli, monkeypatch, tls_certificate=certificate, tls_key=key, port=8443)
    assert shown["url"] == "https://127.0.0.1:8443/dav/"
    assert shown["commands"].keys() == RCLONE | BY_HTTPS


def test_a_self_signed_certificate_is_made_known_first(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each client in its own way, from the file itself, whose name may need quotes in a shell."""
    folder = tmp_path / "my certificates"
    folder.mkdir()
    certificate, key = write_pair(folder, one_pair())
    shown = issued(cli, monkeypatch, tls_certificate=certificate, tls_key=key)["commands"]
    assert shown.keys() == RCLONE | BY_HTTPS | TRUST
    for name in ("copy", "mount"):
        words = shlex.split(shown[name])
        assert words[words.index("--ca-cert") + 1] == str(certificate)
    trusted = shlex.split(shown["davfs2_trust"])
    assert trusted[:3] == ["sudo", "cp", str(certificate)]
    assert f"trust_server_cert {trusted[3]}\\n" in shown["davfs2_config"]
    order = list(shown)
    for name in TRUST:
        assert order.index(name) < order.index(name.replace("trust", "net_use" if "win" in name else "mount"))


def test_the_davfs2_configuration_is_what_is_meant(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The shell makes lines of it."""
    certificate, key = write_pair(tmp_path, one_pair())
    shown = issued(cli, monkeypatch, tls_certificate=certificate, tls_key=key)["commands"]
    print_it = shown["davfs2_config"].partition(" | ")[0]
    done = subprocess.run(["sh", "-c", print_it], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[/mnt/sealdav]",
        "buf_size 256",
        "trust_server_cert /etc/davfs2/certs/sealdav.pem",
    ]


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_an_app_password_is_shown_whatever_became_of_the_certificate(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    """It exists already and nobody could show it again."""
    certificate = tmp_path / "tls.crt"
    if content is not None:
        certificate.write_bytes(content)
    shown = issued(cli, monkeypatch, tls_certificate=certificate, tls_key=tmp_path / "tls.key")
    assert shown["app_password"]
    assert shown["commands"].keys() == RCLONE | BY_HTTPS


def test_how_a_device_is(cli: Cli) -> None:
    """The list of app passwords says what each has done, and what it is in trouble for."""
    device = cli.enrol("alice").objects[-1]["id"]
    (before,) = cli("app-password", "list", "alice", "--json").objects
    assert (before["done"], before["troubles"]) == ({}, {})
    assert "[" not in cli("app-password", "list", "alice").out
    now = to_seconds(cli.clock())
    with cli.services() as services:
        account_id = services.accounts.find("alice").id
        notes = {
            (account_id, device, what): now for what in (Sign.READ, Trouble.READ_ONLY, Trouble.NO_DELETE)
        }
        NoteWriter(services.database).write(notes)
    (listed,) = cli("app-password", "list", "alice", "--json").objects
    assert listed["done"] == {"read": cli.clock().isoformat()}
    assert listed["troubles"].keys() == {"read-only", "no-delete"}
    assert cli("app-password", "list", "alice").out.rstrip().endswith("  [read-only, no-delete]")
