"""The composition root: from settings to services, in one place and one order.

Nothing here is a global, and nothing below ever sees the settings. Called by `davserver.cli` and by tests.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from pathlib import Path

from davserver.accounts.app_passwords import AppPasswords, Policy
from davserver.accounts.authenticator import Authenticator
from davserver.accounts.connecting import Connecting
from davserver.accounts.deletion import AccountDeletion
from davserver.accounts.export import Exports
from davserver.accounts.invitations import Invitations
from davserver.accounts.issuer import require_issuer
from davserver.accounts.last_use import BackgroundNotes, UseWriter
from davserver.accounts.notices import MailServer, NoticingAudit
from davserver.accounts.overview import Overviews
from davserver.accounts.profiles import Profiles
from davserver.accounts.recovery import RecoveryCodes
from davserver.accounts.service import Accounts, read_account
from davserver.accounts.sessions import Sessions
from davserver.accounts.sign_in import SignIn
from davserver.accounts.taken import TakenNames
from davserver.accounts.throttle import Throttle
from davserver.accounts.totp import Totp
from davserver.accounts.upkeep import Upkeep
from davserver.audit import AuditSink, LogAuditSink
from davserver.blobs import BlobStore, open_blob_store
from davserver.clock import Clock, utc_now
from davserver.db.accounts import AccountRow
from davserver.db.engine import Database
from davserver.errors import ConfigError, StorageFull
from davserver.identity.base import Directory, Provider, SingleSignOn
from davserver.identity.local import MAX_HASHES_AT_ONCE, LocalIdentity
from davserver.keyring import Keyring, open_keyring
from davserver.model import ROOT_ID, AuthMethod, Principal, Scope
from davserver.rotation import Progress, Rotation, RotationReport
from davserver.settings import Settings
from davserver.store_lock import StoreLock
from davserver.vault.access import Access, Limits
from davserver.vault.maintenance import Maintenance
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
    authenticator: Authenticator
    vaults: Vaults
    maintenance: Maintenance
    profiles: Profiles
    invitations: Invitations
    sessions: Sessions
    upkeep: Upkeep
    connecting: Connecting
    overviews: Overviews
    exports: Exports
    deletion: AccountDeletion
    shredder: Shredder
    uses: BackgroundNotes
    lock: StoreLock

    def close(self) -> None:
        """Write what is waiting, end the threads, close the database, let others have the store."""
        self.uses.close()
        if self.notices is not None:
            self.notices.close()
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


def build_services(
    settings: Settings, *, clock: Clock = utc_now, needs_space: bool = True, is_current: bool = False
) -> Services:
    """Open the store, or make what is missing: folders, database, master key. Migrates the database.

    Args:
        settings: all options.
        clock: what tells the time.
        needs_space: refuse to begin on a full disk; not for what makes room there.
        is_current: see `open_keyring`.

    Raises:
        ConfigError: a place cannot be used, or the accounts belong to another identity provider's people;
            MasterKeyError: the key is missing or another one. Nothing was written then.
        StorageUnavailable, StorageFull: the storage cannot be used now, or its master key is being rotated.
    """
    _check_places(settings, needs_space=needs_space)
    storage = settings.storage
    lock = StoreLock(storage.data_dir, exclusive=False)
    database = Database(settings.database_url, durability=storage.durability)
    notices = _notices(settings, database)
    audit: AuditSink = notices or LogAuditSink()
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
        if notices is not None:
            notices.start(keyring)
        limits = Limits(
            inline_bytes=storage.inline_limit,
            max_file_bytes=storage.max_file_size,
            max_locks=storage.max_locks,
        )
        vaults = Vaults(database, blobs, keyring, clock, limits)
        return _services(
            settings,
            clock=clock,
            audit=audit,
            notices=notices,
            database=database,
            blobs=blobs,
            keyring=keyring,
            vaults=vaults,
            lock=lock,
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
            return Rotation(path, database, clock, LogAuditSink(), progress).run()
        finally:
            database.dispose()


def _services(  # noqa: PLR0913 - the parts that services are built from
    settings: Settings,
    *,
    clock: Clock,
    audit: AuditSink,
    notices: NoticingAudit | None,
    database: Database,
    blobs: BlobStore,
    keyring: Keyring,
    vaults: Vaults,
    lock: StoreLock,
) -> Services:
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
    single_sign_on, directory = _keycloak(settings, clock, TakenNames(database, keyring, "logout-token")) or (
        None,
        identity,
    )
    throttle = Throttle(keyring, clock)
    uses = BackgroundNotes(UseWriter(database, audit))
    accounts = Accounts(database, keyring, clock, audit, vaults.plant_root)
    profiles = Profiles(database, keyring, audit)
    invitations = Invitations(database, keyring, accounts, profiles, identity, clock, audit)
    sessions = Sessions(
        database,
        keyring,
        clock,
        audit,
        idle=timedelta(minutes=settings.site.idle_minutes),
        longest=timedelta(hours=settings.site.session_hours),
    )
    return Services(
        settings=settings,
        clock=clock,
        audit=audit,
        notices=notices,
        database=database,
        blobs=blobs,
        keyring=keyring,
        identity=identity,
        single_sign_on=single_sign_on,
        directory=directory,
        accounts=accounts,
        sign_in=SignIn(database, keyring, identity, throttle, clock, audit),
        totp=Totp(
            database,
            keyring,
            throttle,
            clock,
            audit,
            fresh_for=fresh_for,
            pending_for=timedelta(minutes=login.totp_pending_minutes),
        ),
        recovery_codes=RecoveryCodes(database, keyring, throttle, clock, audit, fresh_for=fresh_for),
        app_passwords=AppPasswords(database, keyring, clock, audit, policy),
        authenticator=Authenticator(database, keyring, clock, audit, uses),
        vaults=vaults,
        maintenance=_maintenance(database, blobs, keyring, clock, vaults),
        profiles=profiles,
        invitations=invitations,
        sessions=sessions,
        upkeep=Upkeep(database, sessions, invitations, clock, timedelta(days=settings.site.keep_days)),
        connecting=Connecting(settings.server.is_https, settings.server.tls_certificate),
        overviews=Overviews(database, keyring, clock),
        exports=Exports(TakenNames(database, keyring, "export"), clock),
        deletion=AccountDeletion(
            database, keyring, throttle, audit, administrators_here=single_sign_on is None
        ),
        shredder=Shredder(database, blobs, keyring, clock),
        uses=uses,
        lock=lock,
    )


def _keycloak(settings: Settings, clock: Clock, seen: TakenNames) -> tuple[SingleSignOn, Directory] | None:
    """Where people sign in, and who they are there; None with built-in accounts. Asks nobody anything yet."""
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
    )
    return KeycloakSignOn(provider, clock, seen=seen), KeycloakDirectory(provider)


def _notices(settings: Settings, database: Database) -> NoticingAudit | None:
    """The audit log with mails in front of it, if there is a mail server."""
    mail = settings.mail
    if not mail.host:
        return None
    server = MailServer(
        mail.host, mail.port, mail.starttls, mail.user, mail.password.get_secret_value(), mail.sender
    )
    return NoticingAudit(LogAuditSink(), database, server)


def _maintenance(
    database: Database, blobs: BlobStore, keyring: Keyring, clock: Clock, vaults: Vaults
) -> Maintenance:
    def open_access(row: AccountRow) -> Access:
        account = read_account(keyring, row)
        return vaults.access(Principal(account, Scope.FULL, ROOT_ID, AuthMethod.TERMINAL, clock()))

    return Maintenance(database, blobs, keyring, clock, open_access)


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
