"""`sealdav tls self-signed`, and what other commands make of TLS files."""

from __future__ import annotations

import resource
import signal
import ssl
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from davserver.cli.exits import ExitCode
from davserver.crypto.certificates import fingerprint
from davserver.serving.tls import Certificate
from tests.unit.cli.conftest import Cli


def mode(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_certificate_for_trying_out_is_ready_to_use(bare_cli: Cli, tmp_path: Path) -> None:
    """Beside the master key, in a private folder; what is printed for the settings works as it is."""
    done = bare_cli("tls", "self-signed", "--name", "Dav.example.org", "--name", "[2001:db8::1]", "--json")
    made = done.objects[0]
    certificate, key = (Path(made["settings"][name]) for name in ("tls_certificate", "tls_key"))
    assert (certificate, key) == (tmp_path / "keys/tls.crt", tmp_path / "keys/tls.key")
    assert (mode(tmp_path / "keys"), mode(key), mode(certificate)) == (0o700, 0o600, 0o644)
    assert made["sha256"] == fingerprint(certificate.read_bytes())
    assert made["names"] == ["dav.example.org", "2001:db8::1", "localhost", "127.0.0.1", "::1"]
    assert datetime.fromisoformat(made["expires_at"]) == bare_cli.clock() + timedelta(days=90)
    Certificate(certificate, key)
    options = [f"--set=server.{name}={path}" for name, path in made["settings"].items()]
    assert bare_cli(*options, "config", "check").code == ExitCode.OK


def test_people_are_told_where_it_is_and_what_to_set(bare_cli: Cli, tmp_path: Path) -> None:
    """Both files, the fingerprint, and two lines that are TOML."""
    said = bare_cli("tls", "self-signed", "--days", "7").out
    certificate = tmp_path / "keys/tls.crt"
    assert f"SHA-256:     {fingerprint(certificate.read_bytes())}\n" in said
    assert (
        f"valid until {bare_cli.clock() + timedelta(days=7):%Y-%m-%d} for localhost, 127.0.0.1, ::1" in said
    )
    config = tmp_path / "test.toml"
    config.write_text(said.partition("of the server:\n")[2])
    assert bare_cli("--config", str(config), "config", "check").code == ExitCode.OK
    assert f'tls_certificate = "{certificate}"' in bare_cli("--config", str(config), "config", "show").out


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_nothing_is_overwritten_and_no_half_is_left(bare_cli: Cli, tmp_path: Path, name: str) -> None:
    """Whichever of the two exists, it stays as it is and the other is not made."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / name).write_text("precious")
    done = bare_cli("tls", "self-signed")
    assert (done.code, done.out) == (ExitCode.CONFIG, "")
    assert f"{name} exists already and is not overwritten" in done.err
    assert [path.name for path in (tmp_path / "keys").iterdir()] == [name]
    assert (tmp_path / "keys" / name).read_text() == "precious"


def test_a_folder_that_cannot_be_used_is_told(bare_cli: Cli, tmp_path: Path) -> None:
    """One line, no traceback."""
    (tmp_path / "keys").write_text("a file")
    done = bare_cli("tls", "self-signed")
    assert (done.code, done.out) == (ExitCode.CONFIG, "")
    assert "cannot be written" in done.err


@pytest.mark.parametrize(
    "name", ["", "a b", "https://dav.example.org", "dav.example.org:8443", "-a", "ä.example"]
)
def test_what_is_no_name_is_refused(bare_cli: Cli, tmp_path: Path, name: str) -> None:
    """Before anything is made."""
    assert bare_cli("tls", "self-signed", f"--name={name}").code == ExitCode.USAGE
    assert not (tmp_path / "keys").exists()


def test_half_a_file_is_not_left(bare_cli: Cli, tmp_path: Path) -> None:
    """A disk that is full in the middle: another try has to find nothing in its way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))  # a key fits, a certificate does not
    try:
        done = bare_cli("tls", "self-signed")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (done.code, done.out) == (ExitCode.CONFIG, "")
    assert "tls.crt: cannot be written" in done.err
    assert list((tmp_path / "keys").iterdir()) == []
    assert bare_cli("tls", "self-signed").code == ExitCode.OK


@pytest.mark.parametrize("days", ["0", "826"])
def test_no_longer_than_clients_accept(bare_cli: Cli, days: str) -> None:
    """Apple's systems refuse more than 825 days."""
    assert bare_cli("tls", "self-signed", "--days", days).code == ExitCode.USAGE


@pytest.mark.parametrize("command", [["serve"], ["config", "check"]])
def test_files_that_cannot_be_used_are_told_before_anything_is_made(
    bare_cli: Cli, tmp_path: Path, command: list[str]
) -> None:
    """`serve` makes no store for settings that it cannot serve with, and `config check` finds it as well."""
    files = ["--set=server.tls_certificate=/nowhere/tls.crt", "--set=server.tls_key=/nowhere/tls.key"]
    done = bare_cli(*files, *command)
    assert (done.code, done.out) == (ExitCode.CONFIG, "")
    assert "/nowhere/tls.crt: cannot be read" in done.err
    assert not (tmp_path / "data").exists()


def test_clients_accept_the_certificate_for_its_names(bare_cli: Cli, tmp_path: Path) -> None:
    """A client that trusts it agrees on its names, and on no other (by the clock of this machine)."""
    bare_cli.clock.now = datetime.now().astimezone()
    bare_cli("tls", "self-signed", "--name", "dav.example.org")
    server = Certificate(tmp_path / "keys/tls.crt", tmp_path / "keys/tls.key").context
    for name in ("dav.example.org", "localhost", "127.0.0.1", "::1"):
        assert agreed(server, tmp_path / "keys/tls.crt", name)
    with pytest.raises(ssl.SSLCertVerificationError):
        agreed(server, tmp_path / "keys/tls.crt", "example.org")


def agreed(server_context: ssl.SSLContext, trusted: Path, name: str) -> bool:
    """Whether a client that looks for `name` finishes its handshake."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=trusted).wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.getpeercert() is not None
