"""Whatever changes something is recorded with it: if the entry cannot be written, nothing changes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import event

from davserver.accounts.last_use import Use, UseWriter
from davserver.audit import AuditEvent
from davserver.bootstrap import Services, build_services
from davserver.errors import AuthenticationError, DavserverError
from davserver.identity import local
from davserver.model import Account, AuthMethod, Principal
from davserver.settings import load_settings
from tests.factories import make_code, make_principal
from tests.fakes import FrozenClock

PASSWORD = "a password of a test account"
NEITHER = ("audit_entry", "audit_head", "throttle", "account", "sqlite_sequence")
"""Tables that are compared otherwise, or in which counters may rise before anything is recorded."""


@dataclass(frozen=True)
class Known:
    """What people and programs hold.

    Attributes:
        secret: alice's one-time-password secret.
        token: her app password.
        browser: what is in her cookie.
        link: an invitation of bob, as an administrator.
    """

    secret: str
    token: str
    browser: str
    link: str

    @property
    def app_id(self) -> str:
        """The public part of the app password."""
        return self.token[4:14]


@dataclass
class Installation:
    """A store with alice in it, enrolled, with a device and a browser."""

    folder: Path
    services: Services
    clock: FrozenClock
    known: Known

    @property
    def alice(self) -> Account:
        """Alice's account."""
        return self.services.accounts.find("alice")

    @property
    def principal(self) -> Principal:
        """Alice, who has just proved both factors."""
        return make_principal(self.alice, self.clock)

    def code(self, *, wrong: bool = False) -> str:
        """What alice's authenticator shows next, or something else."""
        self.clock.advance(seconds=30)
        code = make_code(self.known.secret, self.clock)
        return f"{(int(code) + 1) % 1_000_000:06}" if wrong else code

    def content(self) -> dict[str, list[str]]:
        """What is stored, but for the log itself."""
        with closing(sqlite3.connect(self.folder / "data" / "sealdav.db")) as connection:
            names = [
                name
                for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                if name not in NEITHER
            ]
            found = {name: _rows(connection, f"SELECT * FROM {name}") for name in names}  # noqa: S608
            accounts = "SELECT username, state, quota, wrapped_key FROM account"
            return found | {"account": _rows(connection, accounts)}

    def forbid_entries(self) -> None:
        """Let no entry be written, as if there were no room for one."""
        with closing(sqlite3.connect(self.folder / "data" / "sealdav.db")) as connection:
            refuse = "BEGIN SELECT RAISE(ABORT, 'no room'); END"
            connection.execute(f"CREATE TRIGGER no_room BEFORE INSERT ON audit_entry {refuse}")

    def recorded(self) -> list[str]:
        """Events of the log, the earliest first."""
        with self.services.database.read() as tx:
            return [row.event for row in tx.audit.walk(after=0)]


def _rows(connection: sqlite3.Connection, statement: str) -> list[str]:
    """What a statement finds, in an order of its own."""
    return sorted(map(repr, connection.execute(statement)))


def settings_of(folder: Path) -> dict[str, dict[str, object]]:
    """Where everything is."""
    storage: dict[str, object] = {"data_dir": folder / "data", "durability": "relaxed"}
    return {"storage": storage, "keys": {"master_key_file": folder / "keys" / "master.key"}}


@pytest.fixture(scope="module", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Hashing a password takes no time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "TIME_COST", 1)
        patch.setattr(local, "MEMORY_KIB", 8 * local.LANES)
        yield


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Known]:
    """The store, to be copied."""
    folder, clock = tmp_path_factory.mktemp("template"), FrozenClock()
    with closing(build_services(load_settings(flags=settings_of(folder)), clock=clock)) as services:
        alice = services.accounts.create("alice", quota=10**6)
        services.identity.set_password(alice.id, PASSWORD)
        principal = make_principal(alice, clock, fresh_totp=False)
        secret = services.totp.begin(principal).secret
        principal = services.totp.confirm(principal, make_code(secret, clock))
        token = services.app_passwords.issue(principal, "device").token
        browser = services.sessions.sign_in(None, principal, provider_session="theirs").secret
        link = services.invitations.invite("bob", admin=True)
    return folder, Known(secret, token, browser, link)


@pytest.fixture
def installation(template: tuple[Path, Known], tmp_path: Path) -> Iterator[Installation]:
    """A copy, opened."""
    source, known = template
    folder, clock = Path(shutil.copytree(source, tmp_path / "store")), FrozenClock()
    with closing(build_services(load_settings(flags=settings_of(folder)), clock=clock)) as services:
        yield Installation(folder, services, clock, known)


Change = Callable[[Installation], object]


def sign_in(here: Installation) -> object:
    """A new browser."""
    return here.services.sessions.sign_in(None, here.principal, client="192.0.2.1")


def refuse_password(here: Installation) -> object:
    """Somebody guesses."""
    return here.services.sign_in.with_password(
        "alice", "wrong", client="192.0.2.1", method=AuthMethod.BROWSER
    )


def use_from_elsewhere(here: Installation) -> None:
    """The device was in another network before."""
    writer = UseWriter(here.services.database, here.services.audit)
    writer.note(Use(here.known.app_id, 0, "192.0.2.1"))
    writer.note(Use(here.known.app_id, 100, "198.51.100.1"))


def sign_out(here: Installation) -> None:
    """Close the browser for good."""
    session = here.services.sessions.open(here.known.browser)
    assert session is not None
    here.services.sessions.end(session)


CHANGES: dict[str, tuple[Change, tuple[AuditEvent, ...]]] = {
    "create": (lambda here: here.services.accounts.create("bob"), (AuditEvent.ACCOUNT_CREATED,)),
    "suspend": (lambda here: here.services.accounts.suspend("alice"), (AuditEvent.ACCOUNT_SUSPENDED,)),
    "resume": (lambda here: here.services.accounts.resume("alice"), (AuditEvent.ACCOUNT_RESUMED,)),
    "quota": (lambda here: here.services.accounts.set_quota("alice", 5), (AuditEvent.QUOTA_CHANGED,)),
    "delete": (lambda here: here.services.deletion.shred("alice"), (AuditEvent.ACCOUNT_DELETED,)),
    "administrator": (
        lambda here: here.services.profiles.set_admin(here.alice, admin=True),
        (AuditEvent.ADMIN_GRANTED,),
    ),
    "no administrator": (
        lambda here: here.services.profiles.set_admin(here.alice, admin=False),
        (AuditEvent.ADMIN_WITHDRAWN,),
    ),
    "mail": (
        lambda here: here.services.profiles.set_email(here.alice, "a@example.org"),
        (AuditEvent.EMAIL_CHANGED,),
    ),
    "password": (
        lambda here: here.services.identity.set_password(here.alice.id, PASSWORD * 2),
        (AuditEvent.PASSWORD_CHANGED,),
    ),
    "invite": (lambda here: here.services.invitations.invite("carol"), (AuditEvent.INVITATION_MADE,)),
    "accept": (
        lambda here: here.services.invitations.accept(here.known.link, "", PASSWORD),
        (
            AuditEvent.ACCOUNT_CREATED,
            AuditEvent.INVITATION_USED,
            AuditEvent.ADMIN_GRANTED,
        ),
    ),
    "issue": (
        lambda here: here.services.app_passwords.issue(here.principal, "another"),
        (AuditEvent.APP_PASSWORD_ISSUED,),
    ),
    "revoke": (
        lambda here: here.services.app_passwords.revoke(here.alice, here.known.app_id),
        (AuditEvent.APP_PASSWORD_REVOKED,),
    ),
    "revoke all": (
        lambda here: here.services.app_passwords.revoke_all(here.alice),
        (AuditEvent.APP_PASSWORD_REVOKED,),
    ),
    "begin": (lambda here: here.services.totp.begin(here.principal), (AuditEvent.TOTP_BEGUN,)),
    "prove": (
        lambda here: here.services.totp.verify(here.principal, here.code(), client="192.0.2.1"),
        (AuditEvent.TOTP_ACCEPTED,),
    ),
    "wrong code": (
        lambda here: here.services.totp.verify(here.principal, here.code(wrong=True)),
        (AuditEvent.TOTP_REFUSED,),
    ),
    "reset": (lambda here: here.services.totp.reset(here.alice, "lost"), (AuditEvent.TOTP_RESET,)),
    "codes": (
        lambda here: here.services.recovery_codes.renew(here.principal),
        (AuditEvent.RECOVERY_CODES_MADE,),
    ),
    "wrong recovery code": (
        lambda here: here.services.recovery_codes.use(here.principal, "0" * 24),
        (AuditEvent.RECOVERY_CODE_REFUSED,),
    ),
    "sign in": (sign_in, (AuditEvent.SIGNED_IN,)),
    "sign out": (sign_out, (AuditEvent.SIGNED_OUT,)),
    "signed out elsewhere": (
        lambda here: here.services.sessions.end_at_provider("theirs"),
        (AuditEvent.SIGNED_OUT,),
    ),
    "wrong password": (refuse_password, (AuditEvent.PASSWORD_REFUSED,)),
    "moved": (use_from_elsewhere, (AuditEvent.APP_PASSWORD_MOVED,)),
}


def attempt(change: Change, here: Installation) -> Exception | None:
    """Do it; what came of it, if it was an error."""
    try:
        change(here)
    except DavserverError as error:
        return error
    return None


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_recorded(installation: Installation, name: str) -> None:
    """Once, and the log is whole."""
    change, events = CHANGES[name]
    before = installation.recorded()
    attempt(change, installation)
    assert installation.recorded()[len(before) :] == [event.value for event in events]
    assert installation.services.audit_trail.verify().problems == []


@pytest.mark.parametrize("name", CHANGES)
def test_what_cannot_be_recorded_does_not_happen(installation: Installation, name: str) -> None:
    """Not even a part of it: everything is stored as before, and whoever asked is told that it failed.

    Nobody asks for the note of a device's last use: it is lost together with its entry.
    """
    change, _ = CHANGES[name]
    if name == "moved":  # the first note is none that is recorded
        UseWriter(installation.services.database).note(Use(installation.known.app_id, 0, "192.0.2.1"))
    before = installation.content()
    installation.forbid_entries()
    assert (attempt(change, installation) is None) == (name == "moved")
    assert installation.content() == before


def test_a_refused_device_is_refused_on_a_disk_that_takes_nothing(installation: Installation) -> None:
    """With the same words as ever, and not as an error of the server; the right one opens the drive."""
    database, known = installation.services.database, installation.known

    def only_read(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    event.listen(database.engine, "connect", only_read)
    database.dispose()
    for token in (known.token[:-1] + "!", "ew1-" + "0" * 48, f"{known.token}x"):
        with pytest.raises(AuthenticationError, match="the user name or the app password is not right"):
            installation.services.authenticator.authenticate("alice", token, "192.0.2.1")
    with pytest.raises(AuthenticationError):
        installation.services.authenticator.authenticate("bob", known.token, "192.0.2.1")
    principal = installation.services.authenticator.authenticate("alice", known.token, "192.0.2.1")
    assert principal.account == installation.alice
    installation.services.uses.close()  # so that nothing is written while connections are exchanged
    event.remove(database.engine, "connect", only_read)
    database.dispose()
    installation.services.audit.record(AuditEvent.SERVER_STOPPED)
    assert installation.recorded()[-2:] == ["audit-skipped", "server-stopped"]
