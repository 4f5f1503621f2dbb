"""Mails go to addresses that are nothing else, and nothing that is wrong with one mail stops the next."""

from __future__ import annotations

import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from davserver.accounts import notices
from davserver.accounts.notices import MailServer, NoticingAudit
from davserver.accounts.profiles import Profiles
from davserver.audit import AuditEvent
from davserver.db.profiles import ProfileRow
from davserver.errors import InvalidValue
from davserver.model import Account
from tests import tamper
from tests.certificates import make_pair, one_pair, write_pair
from tests.factories import World
from tests.mail import Mailbox, mailbox

OLD, NEW = "old@example.org", "new@example.org"
INJECTION = "a@=?utf-8?q?=0aBcc=3Avictim=40x.org=0a=0abody?=.c"
WRONG = [
    "a@[a.b",
    "=?utf-8?q??=@b.c",
    "=?u?q?=0A?=@b.c",
    INJECTION,
    "a=b@example.org",
    "a?b@example.org",
    "a\\b@example.org",
    "a(b)@example.org",
    ".a@example.org",
    "a.@example.org",
    "a..b@example.org",
    "a@.example.org",
    "a@example.org.",
    "a@example..org",
    "a@[127.0.0.1]",
    "a@example",
    "a@b@example.org",
    "ä@example.org",
    "a@example.org\nBcc: b@example.org",
    "a" * 243 + "@example.org",
]


@pytest.fixture
def post_office() -> Iterator[Mailbox]:
    """A mail server on loopback."""
    with mailbox() as server:
        yield server


@pytest.fixture
def noticing(world: World, post_office: Mailbox) -> Iterator[NoticingAudit]:
    """An audit sink that mails."""
    made = sink(world, post_office.port)
    yield made
    made.close()


@pytest.fixture
def alice(world: World) -> Account:
    """Somebody without an address."""
    return world.accounts.create("alice")


def sink(world: World, port: int, sender: str = "drive@example.org") -> NoticingAudit:
    """One that hands its mails in there, and has begun to."""
    server = MailServer("127.0.0.1", port, starttls=False, user="", password="", sender=sender)
    made = NoticingAudit(world.audit, world.database, server)
    made.start(world.keyring)
    return made


def profiles_of(world: World, audit: NoticingAudit) -> Profiles:
    """Profiles whose changes are told by mail."""
    return Profiles(world.database, world.keyring, audit)


def store(world: World, account: Account, address: str) -> None:
    """Put an address in as an older rule would have: unjudged."""
    with world.database.write() as tx:
        row = ProfileRow(account.id, admin=False, email=address, version=1)
        tx.profiles.insert(world.keyring.with_mac(row))
        tx.commit()


def told(post_office: Mailbox) -> list[tuple[str, str]]:
    """Whom and what, in order."""
    return [(mail["To"], mail["Subject"].removeprefix("Sealdav: ")) for mail in post_office.mails]


@pytest.mark.parametrize("address", WRONG)
def test_what_a_header_would_read_otherwise_is_no_address(
    world: World, noticing: NoticingAudit, alice: Account, address: str
) -> None:
    """Encoded words, literals, stray dots and what is too long are refused, and nothing is kept."""
    profiles = profiles_of(world, noticing)
    with pytest.raises(InvalidValue):
        profiles.set_email(alice, address)
    assert profiles.of(alice.id).email == ""


@pytest.mark.parametrize(
    "address",
    ["a@b.c", "first.last+tag@mail.example.org", "o'x!#$%&*/_{|}~^-@1-2.org", "a" * 242 + "@example.org"],
)
def test_an_address_arrives_as_it_was_given(
    world: World, noticing: NoticingAudit, post_office: Mailbox, alice: Account, address: str
) -> None:
    """Every character that is allowed, and the greatest length, can be written to."""
    profiles_of(world, noticing).set_email(alice, address)
    noticing.record(AuditEvent.TOTP_RESET, account="alice")
    noticing.close()
    assert told(post_office) == [(address, "Your authenticator was reset")]


@pytest.mark.parametrize("address", WRONG[:4])
def test_a_bad_address_in_store_is_not_written_to_and_the_next_mail_goes_out(
    world: World, noticing: NoticingAudit, post_office: Mailbox, alice: Account, address: str
) -> None:
    """It is judged again: no header is made of it, the thread lives on, the log does not hold it."""
    store(world, world.accounts.create("bob"), address)
    profiles_of(world, noticing).set_email(alice, NEW)
    with capture_logs() as lines:
        noticing.record(AuditEvent.TOTP_RESET, account="bob")
        noticing.record(AuditEvent.TOTP_RESET, account="alice")
        noticing.close()
    assert told(post_office) == [(NEW, "Your authenticator was reset")]
    (line,) = [line for line in lines if line["event"] == "a mail could not be sent"]
    assert line["account"] == "bob"
    assert address not in str(line)


def test_no_exception_ends_the_thread(
    world: World, post_office: Mailbox, alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a kind that nobody thought of, from the library: the next mail goes out."""
    failures = iter([AttributeError("something about old@example.org")])
    whole = EmailMessage.set_content

    def set_content(message: EmailMessage, text: str) -> None:
        for failure in failures:
            raise failure
        whole(message, text)

    monkeypatch.setattr(EmailMessage, "set_content", set_content)
    noticing = sink(world, post_office.port)
    store(world, alice, OLD)
    noticing.record(AuditEvent.TOTP_RESET, account="alice")
    noticing.record(AuditEvent.PASSWORD_CHANGED, account="alice")
    noticing.close()
    assert told(post_office) == [(OLD, "Your password was changed")]


def test_an_altered_profile_fails_nobody(world: World, noticing: NoticingAudit, alice: Account) -> None:
    """What is recorded is recorded; the mail is lost, and logged."""
    store(world, alice, OLD)
    tamper.alter(world.database, "profile", "email")
    with capture_logs() as lines:
        noticing.record(AuditEvent.TOTP_RESET, account="alice")
    assert len(world.audit.of(AuditEvent.TOTP_RESET)) == 1
    assert [line["event"] for line in lines] == ["a mail could not be sent"]


@pytest.mark.parametrize("waiting", [0, notices.QUEUE_LENGTH])
def test_the_end_does_not_wait_for_ever(
    world: World, alice: Account, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    """Neither for a mail server that says nothing nor for a place in a full queue."""
    monkeypatch.setattr(notices, "CLOSE_PUT_SECONDS", 0.05)
    monkeypatch.setattr(notices, "CLOSE_JOIN_SECONDS", 0.05)
    store(world, alice, OLD)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        noticing = sink(world, silent.getsockname()[1])
        noticing.record(AuditEvent.TOTP_RESET, account="alice")
        connection, _ = silent.accept()  # the sender has come so far, and waits
        for _ in range(waiting):
            noticing.record(AuditEvent.TOTP_RESET, account="alice")
        began = time.monotonic()
        with capture_logs() as lines:
            noticing.close()
        assert time.monotonic() - began < notices.TIMEOUT_SECONDS / 2
        assert [line["event"] for line in lines] == ["mails were left unsent at the end"]
    connection.close()
    monkeypatch.undo()
    with capture_logs():  # every one that is left is refused
        noticing.close()


# ── over TLS
@pytest.fixture
def private_office(tmp_path: Path) -> Iterator[Mailbox]:
    """A mail server with a certificate."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*write_pair(tmp_path, one_pair()))
    with mailbox(tls) as server:
        yield server


def mailed(world: World, port: int, host: str = "127.0.0.1") -> list[str]:
    """Have a notice sent with STARTTLS, a name and a password; returns what the log says."""
    server = MailServer(host, port, starttls=True, user="drive", password="s3cret", sender="d@example.org")
    made = NoticingAudit(world.audit, world.database, server)
    made.start(world.keyring)
    with capture_logs() as lines:
        made.record(AuditEvent.TOTP_RESET, account="alice")
        made.close()
    return [line["event"] for line in lines]


def test_over_tls_nothing_is_said_in_the_clear(
    world: World, private_office: Mailbox, alice: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name, password, addresses and mail come after STARTTLS, to a server whose certificate is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.crt"))
    store(world, alice, OLD)
    assert mailed(world, private_office.port) == []
    assert told(private_office) == [(OLD, "Your authenticator was reset")]
    clear, private = private_office.said
    assert [line.partition(" ")[0].upper() for line in clear] == ["EHLO", "STARTTLS"]
    assert f"AUTH PLAIN {b64encode(bytes(1) + b'drive' + bytes(1) + b's3cret').decode()}" in private


@pytest.mark.parametrize("trusted", [True, False], ids=["another name", "not trusted"])
def test_a_mail_server_that_nobody_vouches_for_learns_nothing(
    world: World,
    private_office: Mailbox,
    alice: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    trusted: bool,
) -> None:
    """Whoever put themselves between has another certificate, or one for another name: no mail, a line."""
    pair = make_pair("mail.example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.crt"))
    if not trusted:
        (tmp_path / "other.crt").write_bytes(pair.certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.crt"))
    assert private_office.tls is not None
    if trusted:
        (tmp_path / "named").mkdir()
        private_office.tls.load_cert_chain(*write_pair(tmp_path / "named", pair))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "named" / "tls.crt"))
    store(world, alice, OLD)
    assert mailed(world, private_office.port) == ["a mail could not be sent"]
    assert private_office.mails == []
    assert private_office.said[1] == []
    assert not [line for line in private_office.said[0] if OLD in line or "AUTH" in line]


def test_a_mail_server_without_tls_is_not_used(world: World, post_office: Mailbox, alice: Account) -> None:
    """Whoever strips the offer of STARTTLS gets neither the password nor the mail."""
    store(world, alice, OLD)
    assert mailed(world, post_office.port) == ["a mail could not be sent"]
    assert post_office.mails == []
    assert [line.partition(" ")[0].upper() for line in post_office.said[0]] in (["EHLO"], ["EHLO", "QUIT"])


@pytest.mark.parametrize("address", [NEW, ""])
def test_another_address_is_told_to_the_one_before(
    world: World, noticing: NoticingAudit, post_office: Mailbox, alice: Account, address: str
) -> None:
    """Whoever took the session over cannot silence the owner unseen; saving the same again says nothing."""
    profiles = profiles_of(world, noticing)
    for one in (OLD, OLD, address):
        profiles.set_email(alice, one)
    noticing.close()
    assert told(post_office) == [(OLD, "Your mail address was changed")]
    assert "new@" not in post_office.mails[0].get_content()
    assert [one.account for one in world.audit.of(AuditEvent.EMAIL_CHANGED)] == ["alice", "alice"]
    assert profiles.of(alice.id).email == address


def test_the_address_is_that_of_the_moment(
    world: World, noticing: NoticingAudit, post_office: Mailbox, alice: Account
) -> None:
    """What waits while the address is taken away still goes to it."""
    store(world, alice, OLD)
    with post_office.arrived:  # the server keeps the sender waiting with the first mail
        noticing.record(AuditEvent.PASSWORD_CHANGED, account="alice")
        noticing.record(AuditEvent.APP_PASSWORD_ISSUED, account="alice")
        Profiles(world.database, world.keyring, world.audit).set_email(alice, "")
    noticing.close()
    assert told(post_office) == [(OLD, "Your password was changed"), (OLD, "A new app password")]


def test_a_download_and_new_recovery_codes_are_told(
    world: World, noticing: NoticingAudit, post_office: Mailbox, alice: Account
) -> None:
    """Both are what a thief of a session would do first."""
    store(world, alice, OLD)
    noticing.record(AuditEvent.DATA_DOWNLOADED, account="alice")
    noticing.record(AuditEvent.RECOVERY_CODES_MADE, account="alice")
    noticing.close()
    assert told(post_office) == [(OLD, "Your data was downloaded"), (OLD, "New recovery codes")]
