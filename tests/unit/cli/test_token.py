"""`sealdav token`: signing in, printing a token, renewing it once however many ask, saying what is wrong."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from davserver.cli.exits import ExitCode
from davserver.cli.token import RENEW_SECONDS
from davserver.cli.token_file import Kept, TokenFile
from davserver.clock import utc_now
from davserver.errors import ConfigError
from davserver.identity.resource import Resource
from davserver.serving.dispatch import RESOURCE_METADATA_PATH
from tests.fake_keycloak import CLI, TOKEN, FakeKeycloak
from tests.unit.cli.conftest import Cli

AT_ONCE = 8


@pytest.fixture
def fake(bare_cli: Cli) -> Iterator[FakeKeycloak]:
    """A Keycloak whose clock is that of the command line."""
    with FakeKeycloak(bare_cli.clock) as running:
        yield running


class FakeDrive:
    """A drive that says whose tokens it takes.

    Attributes:
        takes: the status that a token gets there.
        seen: what came as Authorization.
    """

    def __init__(self, issuer: str) -> None:
        self.takes = 200
        self.seen: list[str] = []
        drive = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(Resource.at(drive.url, issuer, CLI).document()).encode()
                self.send_response(200 if self.path == RESOURCE_METADATA_PATH else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_OPTIONS(self) -> None:
                drive.seen.append(self.headers["Authorization"])
                self.send_response(drive.takes if self.path == "/dav/" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def drive(fake: FakeKeycloak) -> Iterator[FakeDrive]:
    """A drive of that Keycloak."""
    made = FakeDrive(fake.issuer)
    yield made
    made.close()


@pytest.fixture
def tokens(bare_cli: Cli, fake: FakeKeycloak, tmp_path: Path) -> Cli:
    """The command line of somebody who uses a drive; a person at a browser takes a second to say yes."""
    bare_cli.monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    fake.interval = 1
    return bare_cli


def kept_in(folder: Path) -> Path:
    """Where tokens are kept unless told otherwise."""
    return folder / "state" / "sealdav" / "token.json"


def give(fake: FakeKeycloak, path: Path, *, seconds: int = 300, number: int = 0) -> Kept:
    """Tokens of a sign-in some time ago, of which the access token has `seconds` to live."""
    fake._sessions["session"] = number  # noqa: SLF001 - as if it had been signed in there
    now = round(fake.clock().timestamp())
    drive, token = "https://drive.example/dav", fake.bearer()
    kept = Kept(drive, fake.issuer, CLI, "", token, f"session {number}", now - 300 + seconds, now + seconds)
    TokenFile(path).write(kept)
    return kept


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A token file somewhere else."""
    return tmp_path / "tokens.json"


# ── signing in
def test_signing_in(tokens: Cli, fake: FakeKeycloak, drive: FakeDrive, tmp_path: Path) -> None:
    """The address of the drive is enough; a page and a code for a person; then the lines for rclone."""
    done = tokens("token", "login", drive.url + "/dav/")
    assert done.code == 0, done.err
    assert f"{fake.issuer}/device?user_code=ABCD-EFGH" in done.out
    assert "ABCD-EFGH; say yes to no other one" in done.out
    assert "The drive takes the token." in done.out
    assert "  bearer_token_command = sealdav token\n" in done.out
    assert f"  url = {drive.url}/dav/\n" in done.out
    (seen,) = drive.seen
    printed = tokens("token")
    assert (printed.code, printed.out, printed.err) == (0, seen.removeprefix("Bearer ") + "\n", "")
    assert seen.removeprefix("Bearer ") not in done.out + done.err
    assert fake.refreshes == 0
    kept = kept_in(tmp_path)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_signing_in_by_script(tokens: Cli, drive: FakeDrive, path: Path) -> None:
    """One object a line, with a file of its own; a drive that does not take the token yet says so."""
    drive.takes = 401
    done = tokens("token", "login", drive.url, "--file", str(path), "--json")
    asked, given = done.objects
    assert set(asked) == {"open", "code"}
    assert given == {
        "url": f"{drive.url}/dav",
        "bearer_token_command": f"sealdav token --file {path}",
        "accepted": False,
    }
    assert tokens("token", "--file", str(path)).out.count(".") == 2


def test_a_drive_that_waits_for_the_second_factor(tokens: Cli, drive: FakeDrive) -> None:
    """The commonest trouble: said at the sign-in, with the way out of it."""
    drive.takes = 401
    done = tokens("token", "login", drive.url)
    assert done.code == 0
    assert f"does not take the token yet: sign in at {drive.url}/ in the same browser" in done.out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ("access_denied", ExitCode.REFUSED, "refused"),
        ("expired_token", ExitCode.REFUSED, "begin again"),
        ("unauthorized_client", ExitCode.CONFIG, "device flow"),
    ],
)
def test_sign_ins_that_come_to_nothing(
    tokens: Cli, fake: FakeKeycloak, drive: FakeDrive, *, error: str, code: int, words: str
) -> None:
    """One line says why; nothing is kept."""
    fake.pending = [error]
    done = tokens("token", "login", drive.url)
    assert (done.code, done.err.count("\n")) == (code, 1)
    assert words in done.err
    assert tokens("token").err.startswith("sealdav: nobody has signed in yet")


@pytest.mark.parametrize("url", ["http://drive.example/dav/", "drive.example", "https://"])
def test_addresses_of_no_drive(tokens: Cli, url: str) -> None:
    """Nothing is sent over a line that others can read."""
    done = tokens("token", "login", url)
    assert done.code == ExitCode.FAILED
    assert "https" in done.err


# ── printing and renewing
def test_nobody_has_signed_in(tokens: Cli) -> None:
    """Standard error is what rclone shows: one line that says what to do."""
    done = tokens("token")
    assert (done.code, done.out) == (ExitCode.REFUSED, "")
    assert done.err == "sealdav: nobody has signed in yet: sealdav token login URL\n"


@pytest.mark.parametrize(
    ("seconds", "life", "renewed"),
    [
        (RENEW_SECONDS + 1, 300, False),
        (RENEW_SECONDS, 300, True),
        (-5, 300, True),
        (11, 20, False),
        (10, 20, True),
    ],
)
def test_when_a_token_is_renewed(
    tokens: Cli, fake: FakeKeycloak, path: Path, seconds: int, life: int, *, renewed: bool
) -> None:
    """With a minute left, or half of a shorter life; whatever is printed is good for a while."""
    kept = give(fake, path, seconds=seconds)
    TokenFile(path).write(replace(kept, given_at=kept.expires_at - life))
    printed = tokens("token", "--file", str(path)).out.strip()
    assert (printed != kept.access_token, fake.refreshes) == (renewed, int(renewed))
    assert tokens("token", "--file", str(path)).out.strip() == printed
    assert fake.refreshes == int(renewed)


def test_renewing_goes_on_and_on(tokens: Cli, fake: FakeKeycloak, path: Path) -> None:
    """Each refresh token is used once, and the next one kept."""
    give(fake, path)
    for count in range(1, 5):
        fake.clock.advance(seconds=300)  # type: ignore[attr-defined]  # the command line's clock stands still
        assert tokens("token", "--file", str(path)).code == 0
        assert fake.refreshes == count
    assert [one.name for one in path.parent.iterdir() if one.suffix == ".new"] == []


def test_many_at_once_renew_once(fake: FakeKeycloak, path: Path) -> None:
    """Two that redeemed the same refresh token would end the session. Real processes, at the same moment."""
    fake.clock = utc_now
    give(fake, path, seconds=5)
    command = [sys.executable, "-m", "davserver", "token", "--file", str(path)]

    def run(_number: int) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    with ThreadPoolExecutor(AT_ONCE) as pool:
        printed = set(pool.map(run, range(AT_ONCE)))
    assert len(printed) == 1
    assert fake.refreshes == 1
    kept = TokenFile(path).read()
    assert kept is not None
    assert printed == {kept.access_token + "\n"}


def test_a_session_that_is_over(tokens: Cli, fake: FakeKeycloak, path: Path) -> None:
    """There is no terminal below rclone: one line, with the command that helps; each time the same."""
    give(fake, path, seconds=0)
    fake._sessions.clear()  # noqa: SLF001 - an administrator has ended it
    for _ in range(2):
        done = tokens("token", "--file", str(path))
        assert (done.code, done.out) == (ExitCode.REFUSED, "")
        assert done.err == (
            "sealdav: the session at the identity provider is over; sign in again: "
            "sealdav token login https://drive.example/dav/\n"
        )


def test_a_keycloak_that_is_away(tokens: Cli, fake: FakeKeycloak, path: Path) -> None:
    """What is left of the token is used up first; then the failure is told, and nothing is lost."""
    kept = give(fake, path, seconds=10)
    fake.status = 503
    assert tokens("token", "--file", str(path)).out.strip() == kept.access_token
    tokens.clock.advance(seconds=10)
    done = tokens("token", "--file", str(path))
    assert (done.code, done.out, done.err.count("\n")) == (ExitCode.FAILED, "", 1)
    fake.status = 200
    assert tokens("token", "--file", str(path)).code == 0
    assert fake.refreshes == 1


def test_signing_out(tokens: Cli, fake: FakeKeycloak, path: Path) -> None:
    """The refresh token is worth nothing any more, here and there; once more does no harm."""
    kept = give(fake, path)
    for _ in range(2):
        assert tokens("token", "logout", "--file", str(path)).code == 0
    assert not path.exists()
    TokenFile(path).write(replace(kept, expires_at=0))
    assert tokens("token", "--file", str(path)).code == ExitCode.REFUSED


def test_no_secret_is_told(tokens: Cli, fake: FakeKeycloak, path: Path) -> None:
    """Neither in what is shown of an object nor in an error."""
    kept = give(fake, path)
    for secret in (kept.access_token, kept.refresh_token):
        assert secret not in repr(kept)
    path.write_text(path.read_text().replace('"url"', '"URL"'))
    done = tokens("token", "--file", str(path))
    assert done.code == ExitCode.CONFIG
    assert kept.access_token not in done.err + done.out


# ── the file
@pytest.mark.parametrize("content", [b"", b"x", b"[]", b"{}", b"\xff", b'{"url": 7}'])
def test_a_damaged_file(tokens: Cli, path: Path, content: bytes) -> None:
    """Said as what it is; signing in again makes another one."""
    path.write_bytes(content)
    path.chmod(0o600)
    done = tokens("token", "--file", str(path))
    assert done.code == ExitCode.CONFIG
    assert "damaged" in done.err


@pytest.mark.parametrize(("name", "value"), [("expires_at", "soon"), ("given_at", True), ("url", None)])
def test_a_file_with_other_kinds_of_values(fake: FakeKeycloak, path: Path, name: str, value: object) -> None:
    """A value of another kind is damage, not something to go on with."""
    give(fake, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(ConfigError, match="damaged"):
        TokenFile(path).read()


def test_a_file_that_others_can_read(tokens: Cli, fake: FakeKeycloak, path: Path) -> None:
    """Whoever has read it has the drive: better to be told."""
    give(fake, path)
    path.chmod(0o640)
    done = tokens("token", "--file", str(path))
    assert (done.code, "chmod 0600" in done.err) == (ExitCode.CONFIG, True)


def test_a_file_that_cannot_be_written(tokens: Cli, fake: FakeKeycloak, tmp_path: Path) -> None:
    """A folder in its place; the message names the way out."""
    taken = tmp_path / "taken"
    taken.mkdir()
    done = tokens("token", "--file", str(taken / "x" / "y"))
    assert done.code == ExitCode.REFUSED  # its folder is made; there is nothing in it
    (tmp_path / "file").touch()
    done = tokens("token", "--file", str(tmp_path / "file" / "y"))
    assert (done.code, "--file" in done.err) == (ExitCode.CONFIG, True)
    assert fake.fetches[TOKEN] == 0


def test_a_crash_while_writing_leaves_the_old_file(fake: FakeKeycloak, path: Path) -> None:
    """What was written half is beside it, and is in nobody's way."""
    kept = give(fake, path)
    path.with_name(path.name + ".new").write_text("{half")
    assert TokenFile(path).read() == kept
    later = replace(kept, expires_at=kept.expires_at + 1)
    TokenFile(path).write(later)
    assert TokenFile(path).read() == later
    assert not path.with_name(path.name + ".new").exists()


def test_the_lock_is_nobody_elses_business(fake: FakeKeycloak, path: Path) -> None:
    """Whoever holds it keeps others waiting until it is done."""
    give(fake, path)
    order: list[str] = []
    holding = threading.Event()

    def other() -> None:
        holding.wait()
        with TokenFile(path).locked():
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    with TokenFile(path).locked():
        holding.set()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]
