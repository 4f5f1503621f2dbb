"""The composition root: from settings to services, in one place and one order.

Nothing here is a global, and nothing below ever sees the settings. Called by `davserver.cli` and by tests.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from pathlib import Path

from davserver.accounts.administration import Administration
from davserver.accounts.administrators import Administrators
from davserver.accounts.app_passwords import AppPasswords, Policy
from davserver.accounts.audit_log import AuditLog
from davserver.accounts.audit_retention import AuditRetention
from davserver.accounts.audit_trail import AuditTrail
from davserver.accounts.authenticator import Authenticator
from davserver.accounts.bearer import BearerAuthenticator
from davserver.accounts.confirmations import Confirmations
from davserver.accounts.connecting import Connecting
from davserver.accounts.deletion import AccountDeletion
from davserver.accounts.desk import Desk
from davserver.accounts.export import Exports
from davserver.accounts.gate import Gate, OpenGate
from davserver.accounts.health import HealthRecords
from davserver.accounts.health_notes import BackgroundHealth, NoteWriter
from davserver.accounts.inquiries import Inquiries
from davserver.accounts.invitations import Invitations
from davserver.accounts.issuer import require_issuer
from davserver.accounts.last_use import BackgroundNotes, UseWriter
from davserver.accounts.lease import Lease
from davserver.accounts.lost_sessions import LostSessions
from davserver.accounts.notices import MailServer, NoticingAudit
from davserver.accounts.offboarding import Offboarding
from davserver.accounts.overview import Overviews
from davserver.accounts.profiles import Profiles
from davserver.accounts.recovery import RecoveryCodes
from davserver.accounts.roster import Roster
from davserver.accounts.rounds import LEASE_BEATS, Pace, Rounds
from davserver.accounts.second_factor import ProvedHere, ProvedThere, ProviderSessions, SecondFactor
from davserver.accounts.service import Accounts, read_account
from davserver.accounts.sessions import Sessions
from davserver.accounts.sign_in import SignIn
from davserver.accounts.taken import TakenNames
from davserver.accounts.throttle import Throttle
from davserver.accounts.totp import Totp
from davserver.accounts.upkeep import Upkeep
from davserver.accounts.watch import Transfers
from davserver.audit import TERMINAL, AuditSink, LogAuditSink
from davserver.baton import Baton
from davserver.blobs import BlobStore, open_blob_store
from davserver.clock import Clock, utc_now
from davserver.db.accounts import AccountRow
from davserver.db.engine import Database
from davserver.errors import ConfigError, StorageFull
from davserver.identity.base import AccessTokens, Directory, Provider, Registry, SingleSignOn
from davserver.identity.local import MAX_HASHES_AT_ONCE, LocalIdentity
from davserver.identity.step_up import StepUp
from davserver.keyring import Keyring, open_keyring
from davserver.model import ROOT_ID, AuthMethod, Principal, Scope
from davserver.rotation import Progress, Rotation, RotationReport
from davserver.settings import Settings
from davserver.store_lock import StoreLock
from davserver.vault.access import Access, HistoryLimits, Limits
from davserver.vault.maintenance import Maintenance
from davserver.vault.orders import Orders
from davserver.vault.service import Vaults
from davserver.vault.shredding import Shredder

SQLITE = "sqlite:///"

MIN_FREE_BYTES = 1024**2
"""With less space than this nothing is opened: not even what happens could be noted."""


@dataclass(frozen=True)
class Services:
    """Everything that the doors and the command line work with."""

    settings: Settings
    clock: Clock
    audit: AuditSink
    audit_log: AuditLog
    audit_trail: AuditTrail
    notices: NoticingAudit | None
    database: Database
    blobs: BlobStore
    keyring: Keyring
    identity: LocalIdentity
    single_sign_on: SingleSignOn | None
    directory: Directory
    accounts: Accounts
    sign_in: SignIn
    totp: Totp
    recovery_codes: RecoveryCodes
    app_passwords: AppPasswords
    gate: Gate
    confirmations: Confirmations | None
    rounds: Rounds | None
    transfers: Transfers
    authenticator: Authenticator
    bearer: BearerAuthenticator | None
    step_up: StepUp | None
    vaults: Vaults
    maintenance: Maintenance
    profiles: Profiles
    invitations: Invitations
    sessions: Sessions
    upkeep: Upkeep
    connecting: Connecting
    overviews: Overviews
    administration: Administration
    roster: Roster
    exports: Exports
    deletion: AccountDeletion
    shredder: Shredder
    uses: BackgroundNotes
    health: HealthRecords
    health_notes: BackgroundHealth
    baton: Baton
    lock: StoreLock

    def close(self) -> None:
        """Write what is waiting, end the threads, close the database, let others have the store."""
        self.uses.close()
        self.health_notes.close()
        if self.notices is not None:
            self.notices.close()
        self.audit_log.settle(at_the_end=True)
        self.vaults.close()
        self.database.dispose()
        self.lock.close()


class StoreState(Enum):
    """What there is before anything is opened."""

    NEW = auto()
    """Neither a database nor a master key."""
    KEY_ONLY = auto()
    """A master key without its database: perhaps a disk is not mounted."""
    READY = auto()
    """A database; whether it is this master key's is seen when it is opened."""


def store_state(settings: Settings) -> StoreState:
    """Look without touching anything.

    Raises:
        ConfigError: the database's URL is not one of SQLite with a file.
    """
    if _database_file(settings).exists():
        return StoreState.READY
    return StoreState.KEY_ONLY if settings.keys.master_key_file.exists() else StoreState.NEW


def build_services(  # noqa: PLR0913 - what differs between those who call it
    settings: Settings,
    *,
    clock: Clock = utc_now,
    needs_space: bool = True,
    is_current: bool = False,
    actor: str = "",
    registry: Registry | None = None,
    said: Callable[[str], str] = str,
    orders: Orders | None = None,
) -> Services:
    """Open the store, or make what is missing: folders, database, master key. Migrates the database.

    Args:
        settings: all options.
        clock: what tells the time.
        needs_space: refuse to begin on a full disk; not for what makes room there.
        is_current: see `open_keyring`.
        actor: who acts, for the audit log, where nobody is named; "" is the owner of the account.
        registry: who is asked about people in the place of the Keycloak that the settings name.
        said: says an English text in the language that mails are written in.
        orders: those that this process shares with others of its server.

    Raises:
        ConfigError: a place cannot be used, or the accounts belong to another identity provider's people;
            MasterKeyError: the key is missing or another one. Nothing was written then.
        StorageUnavailable, StorageFull: the storage cannot be used now, or its master key is being rotated.
    """
    _check_places(settings, needs_space=needs_space)
    storage = settings.storage
    lock = StoreLock(storage.data_dir, exclusive=False)
    baton = Baton()
    database = Database(settings.database_url, durability=storage.durability, step_aside=baton.give)
    try:
        open_blobs = partial(open_blob_store, settings.blobs_url, durability=storage.durability)
        keyring = open_keyring(
            settings.keys.master_key_file,
            database,
            clock,
            prepare=lambda: open_blobs(create=True),
            is_current=is_current,
        )
        if settings.identity.provider == "keycloak":
            require_issuer(database, settings.identity.issuer, settings.identity.former_issuer)
        blobs = open_blobs()
        audit_log = AuditLog(database, keyring, clock, LogAuditSink(), actor=actor)
        notices = _notices(settings, database, audit_log, said)
        if notices is not None:
            notices.start(keyring)
        limits = Limits(
            inline_bytes=storage.inline_limit,
            max_file_bytes=storage.max_file_size,
            max_locks=storage.max_locks,
            history=HistoryLimits(
                keep_days=settings.history.keep_days,
                max_share=settings.history.max_share,
                max_versions=settings.history.max_versions,
            ),
            upload_days=settings.uploads.keep_days,
        )
        vaults = Vaults(database, blobs, keyring, clock, limits, orders=orders)
        return _services(
            settings,
            clock=clock,
            audit_log=audit_log,
            notices=notices,
            database=database,
            blobs=blobs,
            keyring=keyring,
            vaults=vaults,
            lock=lock,
            registry=registry,
            baton=baton,
        )
    except BaseException:
        database.dispose()
        lock.close()
        raise


def rotate_master_key(settings: Settings, progress: Progress, *, clock: Clock = utc_now) -> RotationReport:
    """Give the store a new master key; see `Rotation`.

    Args:
        settings: all options. Whatever they say of durability, every step is synced.
        progress: called whenever a step has become durable.
        clock: what tells the time.

    Raises:
        ConfigError, MasterKeyError, StorageFull: as `build_services`.
        StorageUnavailable: somebody else uses the store, or it cannot be used now.
    """
    _check_places(settings, needs_space=True)
    with StoreLock(settings.storage.data_dir, exclusive=True):
        database = Database(settings.database_url, durability="full")
        try:
            path = settings.keys.master_key_file

            def audit_with(keyring: Keyring) -> AuditSink:
                return AuditLog(database, keyring, clock, LogAuditSink(), actor=TERMINAL)

            return Rotation(path, database, clock, audit_with, progress).run()
        finally:
            database.dispose()


def _services(  # noqa: PLR0913 - the parts that services are built from
    settings: Settings,
    *,
    clock: Clock,
    audit_log: AuditLog,
    notices: NoticingAudit | None,
    database: Database,
    blobs: BlobStore,
    keyring: Keyring,
    vaults: Vaults,
    lock: StoreLock,
    registry: Registry | None,
    baton: Baton,
) -> Services:
    audit: AuditSink = notices or audit_log
    login = settings.login
    fresh_for = timedelta(minutes=login.totp_fresh_minutes)
    policy = Policy(
        lifetime=timedelta(days=login.app_password_days),
        longest_lifetime=timedelta(days=login.app_password_max_days),
        max_live=login.app_passwords_per_account,
        fresh_for=fresh_for,
    )
    at_once = max(1, MAX_HASHES_AT_ONCE // settings.server.processes)
    identity = LocalIdentity(database, keyring, clock, audit, hashes_at_once=at_once)
    step_up = _step_up(settings)
    keycloak = _keycloak(settings, clock, step_up, TakenNames(database, keyring, "logout-token"))
    single_sign_on, tokens, directory = keycloak or (None, None, identity)
    throttle = Throttle(keyring, clock)
    totp = Totp(
        database,
        keyring,
        throttle,
        clock,
        audit,
        fresh_for=fresh_for,
        pending_for=timedelta(minutes=login.totp_pending_minutes),
    )
    app_passwords = AppPasswords(database, keyring, clock, audit, policy)
    administrators = Administrators(keyring, here=single_sign_on is None)
    audit_trail = AuditTrail(database, keyring, audit)
    uses = BackgroundNotes(UseWriter(database, audit))
    health_notes = BackgroundHealth(NoteWriter(database))
    accounts = Accounts(database, keyring, clock, audit, vaults.plant_root)
    profiles = Profiles(database, keyring, audit)
    invitations = Invitations(database, keyring, accounts, profiles, identity, clock, audit)
    hours = timedelta(hours=settings.identity.second_factor_hours)
    elsewhere = ProviderSessions(database, keyring, clock, hours)
    confirmations, rounds = (
        (None, None)
        if keycloak is None
        else _offboarding(
            settings, database, keyring, clock, audit, registry or keycloak[2], elsewhere, baton.give
        )
    )
    gate: Gate = confirmations or OpenGate()
    sessions = Sessions(
        database,
        keyring,
        clock,
        audit,
        elsewhere,
        idle=timedelta(minutes=settings.site.idle_minutes),
        longest=timedelta(hours=settings.site.session_hours),
        gate=gate,
    )
    return Services(
        settings=settings,
        clock=clock,
        audit=audit,
        audit_log=audit_log,
        audit_trail=audit_trail,
        notices=notices,
        database=database,
        blobs=blobs,
        keyring=keyring,
        identity=identity,
        single_sign_on=single_sign_on,
        directory=directory,
        accounts=accounts,
        sign_in=SignIn(database, keyring, identity, throttle, clock, audit),
        totp=totp,
        recovery_codes=RecoveryCodes(database, keyring, throttle, clock, audit, fresh_for=fresh_for),
        app_passwords=app_passwords,
        gate=gate,
        confirmations=confirmations,
        rounds=rounds,
        transfers=Transfers(),
        authenticator=Authenticator(database, keyring, clock, audit, uses, gate, health_notes),
        bearer=None
        if tokens is None
        else BearerAuthenticator(
            tokens,
            accounts,
            _second_factor(accounts, elsewhere, step_up, clock),
            elsewhere,
            gate,
            clock,
            audit,
            health_notes,
        ),
        step_up=step_up,
        vaults=vaults,
        maintenance=_maintenance(database, blobs, keyring, clock, vaults),
        profiles=profiles,
        invitations=invitations,
        sessions=sessions,
        upkeep=Upkeep(
            database,
            sessions,
            elsewhere,
            invitations,
            audit_log,
            _audit_retention(settings, database, keyring, clock),
            clock,
            timedelta(days=settings.site.keep_days),
        ),
        connecting=Connecting(settings.server.tls_certificate, settings.server.public_url),
        overviews=Overviews(database, keyring, clock),
        administration=Administration(
            accounts, identity, profiles, app_passwords, sessions, totp, administrators, confirmations
        ),
        roster=Roster(database, keyring, audit_trail),
        exports=Exports(TakenNames(database, keyring, "export"), clock),
        deletion=AccountDeletion(database, keyring, throttle, audit, administrators),
        shredder=Shredder(database, blobs, keyring, clock),
        uses=uses,
        health=HealthRecords(database),
        health_notes=health_notes,
        baton=baton,
        lock=lock,
    )


def _step_up(settings: Settings) -> StepUp | None:
    """What Keycloak has to say of its own second factor; None if ours is asked for."""
    chosen = settings.identity
    if chosen.second_factor == "own":
        return None
    hours = timedelta(hours=chosen.second_factor_hours)
    return StepUp(chosen.required_acr, round(hours.total_seconds()), chosen.clock_skew_seconds)


def _second_factor(
    accounts: Accounts, sessions: ProviderSessions, step_up: StepUp | None, clock: Clock
) -> SecondFactor:
    """What has to stand behind a token."""
    if step_up is None:
        return ProvedHere(accounts, sessions)
    return ProvedThere(accounts, sessions, step_up, clock)


def _keycloak(
    settings: Settings, clock: Clock, step_up: StepUp | None, seen: TakenNames
) -> tuple[SingleSignOn, AccessTokens, Registry] | None:
    """Where people sign in, who they are, and whose tokens are whose; None with built-in accounts.

    Asks nobody anything yet.
    """
    chosen = settings.identity
    if chosen.provider == "local":
        return None
    # A third of a second that a server with built-in accounts never spends.
    from davserver.identity.directory import KeycloakDirectory  # noqa: PLC0415
    from davserver.identity.keycloak import KeycloakSignOn  # noqa: PLC0415

    provider = Provider(
        issuer=chosen.issuer,
        client_id=chosen.client_id,
        client_secret=chosen.client_secret.get_secret_value(),
        ca_bundle=chosen.ca_bundle,
        clock_skew=chosen.clock_skew_seconds,
        post_logout_url=chosen.post_logout_url,
        cli_client_id=chosen.cli_client_id,
    )
    sign_on = KeycloakSignOn(provider, clock, step_up, seen=seen)
    return sign_on, sign_on, KeycloakDirectory(provider)


def _offboarding(  # noqa: PLR0913, PLR0917 - parts
    settings: Settings,
    database: Database,
    keyring: Keyring,
    clock: Clock,
    audit: AuditSink,
    registry: Registry,
    sessions: ProviderSessions,
    step_aside: Callable[[], None],
) -> tuple[Confirmations, Rounds]:
    """What knows whether somebody may still come in, and what asks beside the requests."""
    chosen = settings.identity
    suspends = chosen.on_password_reset == "suspend"  # noqa: S105 - what to do, not a password
    offboarding = Offboarding(database, keyring, sessions, audit)
    inquiries = Inquiries(registry, offboarding, clock, passwords=suspends)
    confirmations = Confirmations(
        database,
        offboarding,
        inquiries,
        Desk(inquiries.about, time.monotonic, step_aside),
        clock,
        confirm_seconds=chosen.confirm_seconds,
        suspends=suspends,
    )
    pace = Pace.of(poll_seconds=chosen.poll_seconds, confirm_seconds=chosen.confirm_seconds)
    rounds = Rounds(
        offboarding,
        inquiries,
        confirmations,
        LostSessions(database, keyring, registry, sessions, clock, audit, chosen.confirm_seconds),
        Lease(database, audit, LEASE_BEATS * pace.beat),
        clock,
        pace,
        time.monotonic,
    )
    return confirmations, rounds


def _audit_retention(
    settings: Settings, database: Database, keyring: Keyring, clock: Clock
) -> AuditRetention:
    """How much of the audit log is kept for how long."""
    keep = settings.audit.keep_days
    return AuditRetention(
        database,
        keyring,
        clock,
        addresses=timedelta(days=settings.site.keep_days),
        entries=timedelta(days=keep) if keep else None,
    )


def _notices(
    settings: Settings, database: Database, audit_log: AuditLog, said: Callable[[str], str]
) -> NoticingAudit | None:
    """The audit log with mails in front of it, if there is a mail server."""
    mail = settings.mail
    if not mail.host:
        return None
    server = MailServer(
        mail.host, mail.port, mail.starttls, mail.user, mail.password.get_secret_value(), mail.sender
    )
    return NoticingAudit(audit_log, database, server, said)


def _maintenance(
    database: Database, blobs: BlobStore, keyring: Keyring, clock: Clock, vaults: Vaults
) -> Maintenance:
    def open_access(row: AccountRow) -> Access:
        account = read_account(keyring, row)
        return vaults.access(Principal(account, Scope.FULL, ROOT_ID, AuthMethod.TERMINAL, clock()))

    return Maintenance(database, blobs, keyring, clock, open_access, vaults.limits.history)


# ── places
def _database_file(settings: Settings) -> Path:
    url = settings.database_url
    if not url.startswith(SQLITE) or len(url) == len(SQLITE) or "?" in url or ":memory:" in url:
        raise ConfigError("storage.database_url: only sqlite:////absolute/path is supported; correct it")
    return Path(url.removeprefix(SQLITE))


def _check_places(settings: Settings, *, needs_space: bool) -> None:
    """Refuse what cannot work before anything is written, in words that say what to do."""
    data = settings.storage.data_dir
    if settings.keys.master_key_file.resolve().is_relative_to(data.resolve()):
        raise ConfigError(
            f"the master key must not lie in the data folder {data}: set keys.master_key_file elsewhere"
        )
    for folder in {data, _database_file(settings).parent}:
        _check_folder(folder)
        space = os.statvfs(folder)
        if needs_space and space.f_bavail * space.f_frsize < MIN_FREE_BYTES:
            raise StorageFull(f"no space left in {folder}: free some, or move the data to a larger disk")


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot use the data folder {folder} ({error.strerror}); correct it or set storage.data_dir"
        ) from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(
            f"cannot write to the data folder {folder}: mount it writable, or run sealdav as its owner"
        )
