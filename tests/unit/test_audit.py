"""`davserver.audit`: what can reach a log, and how the log file behaves."""

from __future__ import annotations

import io
import json
import logging
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from davserver.audit import (
    ACCESS,
    ALLOWED_KEYS,
    MAX_VALUE_CHARS,
    AccessLog,
    AuditEvent,
    LogAuditSink,
    get_logger,
    log_to_file,
    log_to_terminal,
)
from davserver.errors import ConfigError
from tests.logs import restored_logging

PROJECT = Path(__file__).parents[2]
PATIENCE = 60

RECOVERY_CODE = "000g-40R4-0m30-e209-185g-r38e"
TOKEN = "ew1-dmnbkdnbs7rzcw1svra9d3rem74vr414d6qwbjc8ey709gtd"


class Logs:
    """Both logs of a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.terminal = io.StringIO()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What is in app.log."""
        return [json.loads(line) for line in (self.folder / "app.log").read_text().splitlines()]

    @property
    def text(self) -> str:
        """All that was logged anywhere."""
        return (self.folder / "app.log").read_text() + self.terminal.getvalue()


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    """Logging as `sealdav serve` does it; undone afterwards."""
    logs = Logs(tmp_path / "log")
    with restored_logging():
        log_to_terminal("info", logs.terminal)
        log_to_file(logs.folder, level="info", max_bytes=1 << 20, keep=2)
        yield logs


def test_only_allowed_keys_are_logged(logs: Logs) -> None:
    """A key that nobody thought about is left out, and named so that it is noticed."""
    get_logger("sealdav.test").info("done", count=3, path="/secret.txt", file_name="secret.txt")
    assert "secret.txt" not in logs.text
    assert logs.lines[0] | {"timestamp": ""} == {
        "event": "done",
        "level": "info",
        "logger": "sealdav.test",
        "timestamp": "",
        "count": 3,
        "withheld": ["file_name", "path"],
    }


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"at {TOKEN}.",
        f"with {RECOVERY_CODE}",
        "Basic YWxpY2U6c2VjcmV0",
        "Bearer secret",
        "otpauth://totp/a?secret=SECRET",
    ],
)
def test_secrets_are_cut_out_of_texts(logs: Logs, text: str) -> None:
    """A second net below the first: a secret in an allowed value is recognised by its shape."""
    get_logger("sealdav.test").warning(text, reason=text)
    for word in (TOKEN[4:], RECOVERY_CODE, "YWxpY2U6c2VjcmV0", "Bearer", "SECRET"):
        assert word not in logs.text
    assert "[redacted]" in logs.lines[0]["reason"]


def test_a_value_cannot_forge_a_line(logs: Logs) -> None:
    """Line ends and terminal control are replaced, endless texts are cut."""
    get_logger("sealdav.test").info("a\n{}", reason="\x1b[2J\r\nb", client="x" * 10_000)
    assert len(logs.lines) == 1
    assert (logs.lines[0]["event"], logs.lines[0]["reason"]) == ("a?{}", "?[2J??b")
    assert len(logs.lines[0]["client"]) == MAX_VALUE_CHARS
    assert "\x1b" not in logs.terminal.getvalue()


def test_texts_of_exceptions_are_not_logged(logs: Logs) -> None:
    """Only the kind of an error and where it arose; its text may hold a name."""
    try:
        Path("/nonexistent/alice/secret.txt").read_bytes()
    except OSError:
        get_logger("sealdav.test").exception("failed")
    assert "secret.txt" not in logs.text
    assert "alice" not in logs.text
    line = logs.lines[0]
    assert line["error"] == "FileNotFoundError"
    assert line["at"][0].startswith("test_audit.py:")


def test_messages_of_libraries_are_withheld(logs: Logs) -> None:
    """They say what they like; only who spoke is kept, and nothing below a warning."""
    library = logging.getLogger("somelibrary.server")
    library.info("GET /secret.txt")
    try:
        int("secret.txt")
    except ValueError:
        library.exception("failed for %s", "secret.txt")
    assert "secret.txt" not in logs.text
    assert [(line["library"], line["level"], line["error"]) for line in logs.lines] == [
        ("somelibrary.server", "error", "ValueError")
    ]


def test_security_events_say_who_and_from_where(logs: Logs) -> None:
    """What is unknown is left out; refusals are warnings."""
    sink = LogAuditSink()
    sink.record(AuditEvent.APP_PASSWORD_ISSUED, account="alice", credential="dmnbkdnbs7")
    sink.record(AuditEvent.APP_PASSWORD_REFUSED, client="192.0.2.1", reason="expired")
    issued, refused = logs.lines
    assert (issued["event"], issued["level"], issued["account"], issued["credential"]) == (
        "app-password-issued",
        "info",
        "alice",
        "dmnbkdnbs7",
    )
    assert (refused["level"], refused["client"], refused["reason"]) == ("warning", "192.0.2.1", "expired")
    assert "account" not in refused


def test_the_terminal_is_spared_the_access_log(logs: Logs) -> None:
    """Requests are in app.log; the terminal shows what people should read."""
    get_logger(ACCESS).info("request", method="GET", status=200)
    get_logger("sealdav.test").info("hello")
    assert [line["event"] for line in logs.lines] == ["request", "hello"]
    assert "request" not in logs.terminal.getvalue()
    assert "hello" in logs.terminal.getvalue()


def test_the_log_file_is_private_and_rotates(tmp_path: Path, logs: Logs) -> None:
    """0600 whatever the umask, also after rotation; no more files than asked for."""
    log_to_file(tmp_path / "small", level="info", max_bytes=1000, keep=2)
    for number in range(100):
        get_logger("sealdav.test").info("hello", count=number)
    files = sorted((tmp_path / "small").iterdir())
    assert [file.name for file in files] == ["app.log", "app.log.1", "app.log.2"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in [*files, logs.folder / "app.log"]} == {0o600}
    assert all(file.stat().st_size <= 1000 for file in files)


WRITER = """
import sys
from pathlib import Path
from davserver.audit import get_logger, log_to_file, log_to_terminal
log_to_terminal("error")
log_to_file(Path(sys.argv[1]), level="info", max_bytes=20_000, keep=100)
for number in range(1000):
    get_logger("sealdav.test").info("line", count=number, account=sys.argv[2])
"""


def age(path: Path) -> int:
    """How often a log file has been moved on."""
    return 0 if path.suffix == ".log" else int(path.suffix.removeprefix("."))


def test_several_processes_share_the_log(tmp_path: Path) -> None:
    """Though each may rotate it: every line is kept, whole and in order, and no file is cut short."""
    folder = tmp_path / "log"
    command = [sys.executable, "-c", WRITER, str(folder)]
    writers = [subprocess.Popen([*command, name], cwd=PROJECT) for name in ("one", "two", "three")]
    assert [writer.wait(PATIENCE) for writer in writers] == [0, 0, 0]
    files = sorted(folder.iterdir(), key=age, reverse=True)
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert all(path.stat().st_size > 19_000 for path in files[:-1])
    for name in ("one", "two", "three"):
        assert [line["count"] for line in lines if line["account"] == name] == list(range(1000))


def test_a_log_that_was_moved_away_is_begun_anew(logs: Logs) -> None:
    """As logrotate does it; nothing has to be restarted."""
    get_logger("sealdav.test").info("before")
    (logs.folder / "app.log").rename(logs.folder / "old.log")
    get_logger("sealdav.test").info("after")
    assert [line["event"] for line in logs.lines] == ["after"]


REQUEST: dict[str, Any] = {
    "method": "GET",
    "status": 200,
    "received": 0,
    "sent": 4096,
    "duration_ms": 1.5,
    "account": "alice",
    "request": "1f-2",
}


@pytest.mark.parametrize("account", ["alice", None, "zoë\n", TOKEN])
def test_a_line_of_the_access_log_is_as_any_other(logs: Logs, account: str | None) -> None:
    """The same keys, in the same order, with the same things cut out, as if it had gone the long way."""
    request = REQUEST | {"account": account}
    AccessLog(lambda: datetime(2030, 1, 2, 3, 4, 5, 6, UTC)).request(**request)
    get_logger(ACCESS).info("request", **request)
    ours, other = (logs.folder / "app.log").read_text().splitlines()
    assert ours == re.sub(r'"timestamp": "[^"]*"', '"timestamp": "2030-01-02T03:04:05.000006Z"', other)
    assert TOKEN not in ours


def test_the_access_log_keeps_to_the_level_and_rotates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing where only warnings are logged; a file that has grown too long is moved on."""
    monkeypatch.setattr("davserver.audit.LOOK_SECONDS", 0)
    with restored_logging():
        log_to_file(tmp_path / "quiet", level="warning", max_bytes=1000, keep=2)
        AccessLog().request(**REQUEST)
    assert (tmp_path / "quiet" / "app.log").read_text() == ""
    with restored_logging():
        log_to_file(tmp_path / "log", level="info", max_bytes=1000, keep=2)
        access = AccessLog()
        for _ in range(20):
            access.request(**REQUEST)
    assert {path.name for path in (tmp_path / "log").iterdir()} == {"app.log", "app.log.1", "app.log.2"}


def test_a_log_that_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    """One line that names the folder and the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigError, match=r"cannot write the log in .*; make it writable or set log\.folder$"
    ):
        log_to_file(tmp_path / "file" / "log", level="info", max_bytes=1000, keep=1)


def test_a_log_that_cannot_be_written_stops_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk costs log lines, not requests, and prints no traceback with their content."""
    (tmp_path / "app.log").symlink_to("/dev/full")
    with restored_logging():
        log_to_terminal("error", io.StringIO())
        log_to_file(tmp_path, level="info", max_bytes=1 << 20, keep=1)
        get_logger("sealdav.test").info("hello")
        AccessLog().request(**REQUEST)
    assert capsys.readouterr().err == ""


def test_allowed_keys_hold_no_name_of_a_file() -> None:
    """A reminder for whoever adds one."""
    assert not ALLOWED_KEYS & {
        "path",
        "name",
        "file",
        "filename",
        "url",
        "uri",
        "href",
        "destination",
        "token",
    }
