"""Mails to people about their own account: a new device, a new app password, one that is used from elsewhere.

Hangs on the audit events, so that whatever is recorded is told. It must never hold up a request nor fail one,
nor say a secret: a mail that cannot be sent is logged, without the address, and lost. It is in the language
of the site: nothing is known of a person's own. Put in front of the audit log by `bootstrap`.
"""

from __future__ import annotations

import queue
import smtplib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from davserver.accounts.profiles import is_email
from davserver.audit import AuditEvent, AuditSink, get_logger
from davserver.db.engine import Database, Transaction
from davserver.errors import InvalidValue
from davserver.keyring import Keyring
from davserver.texts import marked

QUEUE_LENGTH = 256
"""Mails that may wait; more are lost, and logged."""

TIMEOUT_SECONDS = 10
"""How long the mail server may keep the sender waiting."""

CLOSE_PUT_SECONDS = 5
"""How long the end waits for a place in the queue."""

CLOSE_JOIN_SECONDS = 30
"""How long the end waits for what is in the queue to be sent."""

ADVICE = marked("If this was not you: sign in, open App passwords, and choose A device was stolen.")

ACCOUNT = marked("Account: %(name)s")
APP_PASSWORD = marked("App password: %(label)s")
CLIENT = marked("Address: %(address)s")

TEXTS: dict[AuditEvent, tuple[str, str]] = {
    AuditEvent.TOTP_CONFIRMED: (
        marked("An authenticator was set up"),
        marked("A new authenticator app is in use."),
    ),
    AuditEvent.TOTP_RESET: (
        marked("Your authenticator was reset"),
        marked("An administrator took your authenticator and your recovery codes away."),
    ),
    AuditEvent.RECOVERY_CODE_USED: (
        marked("A recovery code was used"),
        marked("A recovery code took your authenticator away."),
    ),
    AuditEvent.RECOVERY_CODES_MADE: (
        marked("New recovery codes"),
        marked("New recovery codes were made; older ones are good for nothing any more."),
    ),
    AuditEvent.DATA_DOWNLOADED: (
        marked("Your data was downloaded"),
        marked("Everything in your drive was downloaded."),
    ),
    AuditEvent.EMAIL_CHANGED: (
        marked("Your mail address was changed"),
        marked("This address was changed or removed: from now on no mails about your account come here."),
    ),
    AuditEvent.PASSWORD_CHANGED: (
        marked("Your password was changed"),
        marked("The password of your account was changed."),
    ),
    AuditEvent.DEVICES_SUSPENDED: (
        marked("Your devices wait for you"),
        marked(
            "Your password was reset. Until you sign in on the site again no app password opens your drive."
        ),
    ),
    AuditEvent.APP_PASSWORD_ISSUED: (
        marked("A new app password"),
        marked("A new app password can open your drive."),
    ),
    AuditEvent.APP_PASSWORD_REVOKED: (
        marked("An app password was revoked"),
        marked("An app password opens nothing any more."),
    ),
    AuditEvent.APP_PASSWORD_MOVED: (
        marked("An app password is used from another network"),
        marked("An app password opened your drive from a network that it was not used from before."),
    ),
}
"""Subject and first sentence, by what happened."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed in.

    Attributes:
        user: "" signs in nowhere.
        sender: the address that they come from.
    """

    host: str
    port: int
    starttls: bool
    user: str
    password: str = field(repr=False)
    sender: str


@dataclass(frozen=True, slots=True)
class _Happening:
    event: AuditEvent
    account: str
    client: str | None
    address: str
    label: str


class NoticingAudit:
    """An audit sink that passes everything on, and mails what somebody should hear of.

    Args:
        said: says an English text in the language of the mails.
    """

    def __init__(
        self, audit: AuditSink, database: Database, server: MailServer, said: Callable[[str], str] = str
    ) -> None:
        self._said = said
        self._audit = audit
        self._database = database
        self._server = server
        self._keyring: Keyring | None = None
        self._waiting: queue.Queue[_Happening | None] = queue.Queue(QUEUE_LENGTH)
        self._log = get_logger("sealdav.mail")
        self._thread = threading.Thread(target=self._run, name="mail", daemon=True)

    def start(self, keyring: Keyring) -> None:
        """Begin to send; addresses are believed under this keyring only."""
        self._keyring = keyring
        self._thread.start()

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
        """See `AuditSink.record`; the mail goes out once the change is durable."""
        self._audit.record(
            event,
            account=account,
            actor=actor,
            credential=credential,
            client=client,
            reason=reason,
            tx=tx,
        )
        if account is None or event not in TEXTS:
            return
        try:
            # Now and not when it is sent: whoever has the session could change the address in between.
            address, label = self._look_up(account, credential, tx)
        except Exception:  # noqa: BLE001 - what was recorded has happened and must not fail; it is logged
            self._not_sent(account)
            return
        happening = _Happening(event, account, client, address, label)
        if not address:
            return
        if tx is None:
            self._hand_over(happening)
        else:
            tx.after_commit(lambda: self._hand_over(happening))

    def close(self) -> None:
        """Send what is waiting and end the thread; what takes too long is logged and lost."""
        if self._keyring is None:
            return
        try:
            self._waiting.put(None, timeout=CLOSE_PUT_SECONDS)
            self._thread.join(CLOSE_JOIN_SECONDS)
            lost = self._thread.is_alive()
        except queue.Full:
            lost = True
        if lost:
            self._log.warning("mails were left unsent at the end")

    def _run(self) -> None:
        while (happening := self._waiting.get()) is not None:
            try:
                self._tell(happening)
            except Exception:  # noqa: BLE001 - the thread must live on for the next mail; it is logged
                self._not_sent(happening.account)

    def _tell(self, happening: _Happening) -> None:
        if not is_email(happening.address):  # stored when the rule was a laxer one
            raise InvalidValue("the stored address is none")
        self._send(self._message(happening))

    def _hand_over(self, happening: _Happening) -> None:
        try:
            self._waiting.put_nowait(happening)
        except queue.Full:
            self._log.warning("too many mails at once", account=happening.account)

    def _not_sent(self, account: str) -> None:
        """To be called while the exception is handled; its text, which may hold the address, is left out."""
        self._log.warning("a mail could not be sent", account=account, exc_info=True)

    def _look_up(self, username: str, credential: str | None, tx: Transaction | None) -> tuple[str, str]:
        """The person's address before the change made in `tx`, and what they call the app password."""
        if self._keyring is None:
            return "", ""
        with self._database.read() as before:
            account = before.accounts.by_username(username)
            profile = None if account is None else before.profiles.find(account.account_id)
            after = tx or before
            devices = [] if account is None else after.credentials.app_passwords(account.account_id)
        labels = [one.label for one in devices if one.app_id == credential]
        return "" if profile is None else self._keyring.checked(profile).email, "".join(labels)

    def _send(self, message: EmailMessage) -> None:
        server = self._server
        with smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS) as line:
            if server.starttls:
                line.starttls(context=ssl.create_default_context())
            if server.user:
                line.login(server.user, server.password)
            line.send_message(message)

    def _message(self, happening: _Happening) -> EmailMessage:
        sender, said = self._server.sender, self._said
        subject, sentence = TEXTS[happening.event]
        facts = [said(ACCOUNT) % {"name": happening.account}]
        if happening.label:
            facts.append(said(APP_PASSWORD) % {"label": happening.label})
        if happening.client:
            facts.append(said(CLIENT) % {"address": happening.client})
        message = EmailMessage()
        message["Subject"] = f"Sealdav: {said(subject)}"
        message["From"], message["To"] = sender, happening.address
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
        message.set_content("\n".join([said(sentence), "", *facts, "", said(ADVICE), ""]))
        return message
