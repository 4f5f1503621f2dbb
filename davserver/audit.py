"""What is logged, and how: security events, the access log, the terminal and app.log.

It must never let a file name, a path or a secret reach a log: only the keys of `ALLOWED_KEYS` pass, texts of
exceptions and of other libraries never do. `cli` sets it up; services record events through `AuditSink`: the
stored log of `davserver/accounts/audit_log.py`, with `LogAuditSink` behind it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import MutableMapping
from enum import Enum
from functools import lru_cache
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter

from davserver.clock import Clock, utc_now
from davserver.db.engine import Transaction
from davserver.errors import ConfigError

LOG_NAME = "app.log"
ACCESS = "sealdav.access"
FRAMES = 8
"""How many stack frames of an unexpected error are kept; innermost last."""

LOOK_SECONDS = 0.2
"""How often lines of the access log look whether the file has grown too long or was moved."""

REMEMBERED_TEXTS = 1024
"""Names of accounts of which it is remembered how they are written into a line."""

MAX_VALUE_CHARS = 200
"""Longer texts are cut: nothing that we log on purpose is longer."""

ALLOWED_KEYS = frozenset(
    {
        # of every line
        *("event", "level", "timestamp", "logger"),
        # requests
        *("method", "status", "received", "sent", "duration_ms", "account", "request"),
        # security events
        *("actor", "client", "credential", "reason"),
        # programs and their work
        *("count", "freed", "library", "error", "at"),
    }
)
"""The only keys that a log line may hold. Before one is added: what could a client put into it?"""

_SECRET = re.compile(
    r"\bew1-[0-9A-Za-z-]{10,}|\b(?:[0-9A-Za-z]{4}-){5}[0-9A-Za-z]{4}\b|\b(?:Basic|Bearer)\s+\S+|otpauth:\S+"
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")

TERMINAL = "(terminal)"
"""Who acts with a command of this machine. No user name begins with a parenthesis."""

OFFBOARDING = "(off-boarding)"
"""Who acts when the identity provider says that somebody has left, or is back."""

PROVIDER = "(identity provider)"
"""Who acts when a session ends because the identity provider says so."""

EventDict = MutableMapping[str, Any]


# ── security events ─────────────────────────────────────────────────────────────────────────────────────────
class AuditEvent(Enum):
    """Everything that somebody who looks after accounts may have to know afterwards."""

    SERVER_STARTED = "server-started"
    SERVER_STOPPED = "server-stopped"
    ACCOUNT_CREATED = "account-created"
    ACCOUNT_SUSPENDED = "account-suspended"
    ACCOUNT_RESUMED = "account-resumed"
    ACCOUNT_DELETED = "account-deleted"
    QUOTA_CHANGED = "quota-changed"
    ADMIN_GRANTED = "admin-granted"
    ADMIN_WITHDRAWN = "admin-withdrawn"
    INVITATION_MADE = "invitation-made"
    INVITATION_USED = "invitation-used"
    SIGNED_IN = "signed-in"
    SIGNED_OUT = "signed-out"
    DATA_DOWNLOADED = "data-downloaded"
    EMAIL_CHANGED = "email-changed"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - the name of an event
    PASSWORD_REFUSED = "password-refused"  # noqa: S105
    TOTP_BEGUN = "totp-begun"
    TOTP_CONFIRMED = "totp-confirmed"
    TOTP_ACCEPTED = "totp-accepted"
    TOTP_REFUSED = "totp-refused"
    TOTP_RESET = "totp-reset"
    RECOVERY_CODES_MADE = "recovery-codes-made"
    RECOVERY_CODE_USED = "recovery-code-used"
    RECOVERY_CODE_REFUSED = "recovery-code-refused"
    APP_PASSWORD_ISSUED = "app-password-issued"  # noqa: S105
    APP_PASSWORD_REVOKED = "app-password-revoked"  # noqa: S105
    APP_PASSWORD_REFUSED = "app-password-refused"  # noqa: S105
    APP_PASSWORD_MOVED = "app-password-moved"  # noqa: S105
    TOKEN_REFUSED = "token-refused"  # noqa: S105
    MASTER_KEY_ROTATED = "master-key-rotated"
    DEVICES_SUSPENDED = "devices-suspended"
    DEVICES_RESUMED = "devices-resumed"
    PROVIDER_LOST = "provider-lost"
    PROVIDER_BACK = "provider-back"
    INTEGRITY_FAILED = "integrity-failed"
    AUDIT_READ = "audit-read"
    AUDIT_SKIPPED = "audit-skipped"
    AUDIT_BROKEN = "audit-broken"


OF_STRANGERS = frozenset(
    {
        AuditEvent.PASSWORD_REFUSED,
        AuditEvent.APP_PASSWORD_REFUSED,
        AuditEvent.TOKEN_REFUSED,
        AuditEvent.INTEGRITY_FAILED,
    }
)
"""What somebody can cause who has no account here: recorded so often a minute, and counted beyond that."""

HAPPENS_ANYWAY = OF_STRANGERS | {
    AuditEvent.SERVER_STARTED,
    AuditEvent.SERVER_STOPPED,
    AuditEvent.PROVIDER_LOST,
    AuditEvent.PROVIDER_BACK,
}
"""What is so whether it can be recorded or not: a refusal stays one although the disk is full. Whatever lets
somebody in or changes something is not among them: it is recorded, or it does not happen."""

_WARNINGS = OF_STRANGERS | {
    AuditEvent.TOTP_REFUSED,
    AuditEvent.RECOVERY_CODE_REFUSED,
    AuditEvent.PROVIDER_LOST,
    AuditEvent.AUDIT_SKIPPED,
    AuditEvent.AUDIT_BROKEN,
}


class AuditSink(Protocol):
    """Where security events go."""

    def record(  # noqa: PLR0913 - what there is to say
        self,
        event: AuditEvent,
        *,
        account: str | None = None,
        actor: str | None = None,
        credential: str | None = None,
        client: str | None = None,
        reason: str | None = None,
        tx: Transaction | None = None,
    ) -> None:
        """Keep one event, durably before this returns; with `tx`, together with what else is written there.

        Args:
            event: what happened.
            account: user name of the account that it happened to.
            actor: who did it, where that is not the account's owner: an administrator, `TERMINAL` ...
            credential: public id of the app password.
            client: address of the peer.
            reason: why, in fixed words of ours, or as an administrator typed it (`accounts/reasons.py`);
                never other text that a client sent.
            tx: the transaction that makes the change of which this tells. Whoever is in one hands it down:
                another one cannot be written beside it.

        Raises:
            StorageUnavailable: it cannot be kept, and is none of `HAPPENS_ANYWAY`. The change must fail too.
        """
        ...


class LogAuditSink:
    """Security events as lines of the log."""

    def __init__(self) -> None:
        self._log = get_logger("sealdav.audit")

    def record(  # noqa: PLR0913 - as `AuditSink.record`
        self,
        event: AuditEvent,
        *,
        account: str | None = None,
        actor: str | None = None,
        credential: str | None = None,
        client: str | None = None,
        reason: str | None = None,
        tx: Transaction | None = None,
    ) -> None:
        """See `AuditSink.record`; a line is written once the change is durable, and none if it never is."""
        given = {
            "account": account,
            "actor": actor,
            "credential": credential,
            "client": client,
            "reason": reason,
        }
        line = {key: value for key, value in given.items() if value}
        level = logging.WARNING if event in _WARNINGS else logging.INFO
        if tx is None:
            self._log.log(level, event.value, **line)
        else:
            tx.after_commit(lambda: self._log.log(level, event.value, **line))


# ── processors ──────────────────────────────────────────────────────────────────────────────────────────────
def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Drop every key that is not allowed (naming it), and cut secrets out of texts."""
    withheld = sorted(key for key in event if key not in ALLOWED_KEYS and not key.startswith("_"))
    for key in withheld:
        del event[key]
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _UNPRINTABLE.sub("?", _SECRET.sub("[redacted]", value))[:MAX_VALUE_CHARS]
    if withheld:
        event["withheld"] = withheld
    return event


def describe_exception(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Keep the type of an exception and where it arose; its text may hold a name and is left out."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else sys.exc_info()[1]
    if isinstance(info, tuple):
        error = info[1]
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        event["error"] = type(error).__name__
        event["at"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def withhold_foreign(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace the text of another library's message, which may hold anything, by the library's name."""
    record: logging.LogRecord = event["_record"]
    event["event"] = "message of a library withheld"
    event["library"] = record.name
    if record.exc_info:
        event["exc_info"] = record.exc_info
    return event


# ── set-up ──────────────────────────────────────────────────────────────────────────────────────────────────
def get_logger(name: str) -> BoundLogger:
    """The logger of one of our packages; `name` begins with "sealdav."."""
    return structlog.stdlib.get_logger(name)


def log_to_terminal(level: str, stream: TextIO | None = None) -> None:
    """Begin logging: readable lines on standard error or `stream`, without the access log.

    Args:
        level: least important message that is shown.
        stream: replaces that of an earlier call.
    """
    stream = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            describe_exception,
            redact,
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Terminal(stream)
    handler.setLevel(level.upper())
    handler.addFilter(lambda record: record.name != ACCESS)
    handler.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=stream.isatty())))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)  # libraries
    logging.getLogger("sealdav").setLevel(level.upper())


def log_to_file(folder: Path, *, level: str, max_bytes: int, keep: int) -> None:
    """Log to `folder`/app.log as well: one JSON object a line, rotated, readable by the owner only.

    Args:
        folder: made if it is missing.
        level: least important message that is written.
        max_bytes: the file is rotated at this length.
        keep: rotated files that are kept.

    Raises:
        ConfigError: the file cannot be opened.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _PrivateFile(folder / LOG_NAME, maxBytes=max_bytes, backupCount=keep, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write the log in {folder} ({error.strerror}); make it writable or set log.folder"
        ) from None
    handler.setFormatter(_formatter(structlog.processors.JSONRenderer(sort_keys=True)))
    handler.setLevel(level.upper())
    logging.getLogger().addHandler(handler)
    logging.getLogger("sealdav").setLevel(min(handler.level, logging.getLogger("sealdav").level))


def _formatter(renderer: structlog.typing.Processor) -> ProcessorFormatter:
    return ProcessorFormatter(
        processors=[ProcessorFormatter.remove_processors_meta, renderer],
        foreign_pre_chain=[
            withhold_foreign,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            describe_exception,
            redact,
        ],
    )


class AccessLog:
    """The access log: lines as any logger would write them to the file, for a tenth of what those cost.

    To be made when the log is set up. One a request is most of what is logged.
    """

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._files = [
            one
            for one in logging.getLogger().handlers
            if isinstance(one, _PrivateFile) and one.level <= logging.INFO
        ]

    def request(  # noqa: PLR0913 - what a line holds
        self,
        *,
        method: str,
        status: int,
        received: int,
        sent: int,
        duration_ms: float,
        account: str | None,
        request: str,
    ) -> None:
        """Write one line; keys as in `ALLOWED_KEYS`, in the order of the alphabet."""
        if not self._files:
            return
        now = self._clock().isoformat().removesuffix("+00:00")
        line = (
            f'{{"account": {_quoted(account)}, "duration_ms": {duration_ms}, "event": "request", '
            f'"level": "info", "logger": "{ACCESS}", "method": {_quoted(method)}, "received": {received}, '
            f'"request": "{request}", "sent": {sent}, "status": {status}, "timestamp": "{now}Z"}}\n'
        ).encode()
        for file in self._files:
            file.append(line)


@lru_cache(REMEMBERED_TEXTS)
def _quoted(text: str | None) -> str:
    """A value of a line in JSON, without what must not reach a log."""
    event: EventDict = {"account": text}
    return json.dumps(redact(None, "info", event)["account"])


class _Quiet:
    """A log that cannot be written (full disk, closed terminal) must not stop a request."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Ignore it: the next line is tried again."""


class _Terminal(_Quiet, logging.StreamHandler[TextIO]):
    """The terminal."""


class _PrivateFile(_Quiet, RotatingFileHandler):
    """A rotating file that only its owner may read, whatever the umask.

    Several processes write to it. Each line is one write at the end of the file. Whoever finds that it has
    grown too long moves it away, alone, under a lock on the folder; the others go on with the new one.
    """

    _look_at = 0.0

    def append(self, line: bytes) -> None:
        """Write a line that is ready; whether the file is too long, or has moved, is seen now and then."""
        self.acquire()
        try:
            self._append(line)
        except OSError:  # as `_Quiet`
            return
        finally:
            self.release()

    def _append(self, line: bytes) -> None:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._follow()
            if self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self.maxBytes:
                self.doRollover()
        if self.stream is None:
            self.stream = self._open()
        os.write(self.stream.fileno(), line)

    def shouldRollover(self, record: logging.LogRecord) -> int:  # noqa: N802 - the name is logging's
        """As usual, of the file that has the name now."""
        self._follow()
        return super().shouldRollover(record)

    def doRollover(self) -> None:  # noqa: N802 - the name is logging's
        """As usual, unless another process has just done it."""
        folder = os.open(Path(self.baseFilename).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not self._follow():
                super().doRollover()
        finally:
            os.close(folder)

    def _follow(self) -> bool:
        """Let go of a file that has lost its name; the next one is opened when it is written to."""
        if self.stream is None:
            return False
        try:
            named = Path(self.baseFilename).stat()
        except FileNotFoundError:
            named = None
        if named is not None and os.path.samestat(os.fstat(self.stream.fileno()), named):
            return False
        self.stream.close()
        self.stream = None
        return True

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return cast("TextIOWrapper", os.fdopen(descriptor, self.mode, encoding=self.encoding))
