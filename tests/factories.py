"""Makers of real services on a temporary SQLite database and a memory blob store; the clock stands still.

Each takes what it is built from, so a test replaces one part and keeps the rest. `make_world` makes the parts
that everything needs; the services on top take the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyotp

from davserver.accounts.app_passwords import AppPasswords, IssuedAppPassword, Policy
from davserver.accounts.audit_log import AuditLog
from davserver.accounts.audit_retention import AuditRetention
from davserver.accounts.authenticator import Authenticator
from davserver.accounts.invitations import Invitations
from davserver.accounts.last_use import UseNotes, UseWriter
from davserver.accounts.profiles import Profiles
from davserver.accounts.second_factor import HOURS, ProviderSessions
from davserver.accounts.service import Accounts
from davserver.accounts.sessions import Sessions
from davserver.accounts.sign_in import SignIn
from davserver.accounts.throttle import Throttle
from davserver.accounts.totp import Totp
from davserver.accounts.upkeep import Upkeep
from davserver.blobs.memory import MemoryBlobStore
from davserver.clock import Clock
from davserver.db.engine import Database
from davserver.errors import DavserverError, NameTaken, Throttled, Unconfirmed, WrongOffset
from davserver.identity.local import LocalIdentity
from davserver.keyring import Keyring, open_keyring
from davserver.model import ROOT_ID, Account, AuthMethod, NodeId, Principal, Scope
from davserver.vault.service import Vaults
from tests.fakes import FrozenClock, RecordingAudit


@dataclass(frozen=True, slots=True)
class World:
    """The parts that services are built from, and the accounts on them."""

    database: Database
    blobs: MemoryBlobStore
    keyring: Keyring
    clock: FrozenClock
    audit: RecordingAudit
    accounts: Accounts


def make_world(folder: Path, *, clock: FrozenClock | None = None) -> World:
    """A new store below `folder`, or the one that is there as another process opens it."""
    clock = clock or FrozenClock()
    database = make_database(folder)
    keyring = make_keyring(folder, database, clock)
    blobs, audit = MemoryBlobStore(), RecordingAudit()
    accounts = Accounts(database, keyring, clock, audit, Vaults(database, blobs, keyring, clock).plant_root)
    return World(database, blobs, keyring, clock, audit, accounts)


def make_database(folder: Path) -> Database:
    """A database file in `folder`; no table exists before `make_keyring`."""
    return Database(f"sqlite:///{folder / 'sealdav.db'}", durability="relaxed")


def make_keyring(folder: Path, database: Database, clock: Clock) -> Keyring:
    """The database's tables and the master key, made or opened again."""
    return open_keyring(folder / "keys" / "master.key", database, clock)


def make_principal(
    account: Account,
    clock: Clock,
    *,
    scopes: Scope = Scope.FULL,
    root_id: NodeId = ROOT_ID,
    fresh_totp: bool = True,
) -> Principal:
    """Somebody signed in to `account` just now, with a second factor unless told otherwise."""
    now = clock()
    return Principal(
        account=account,
        scopes=scopes,
        root_id=root_id,
        method=AuthMethod.TERMINAL,
        authenticated_at=now,
        totp_at=now if fresh_totp else None,
    )


def make_vaults(world: World) -> Vaults:
    """The vaults of the world's accounts."""
    return Vaults(world.database, world.blobs, world.keyring, world.clock)


def make_identity(world: World) -> LocalIdentity:
    """Passwords of built-in accounts."""
    return LocalIdentity(world.database, world.keyring, world.clock, world.audit)


def make_throttle(world: World) -> Throttle:
    """Failure counters."""
    return Throttle(world.keyring, world.clock)


def make_sign_in(world: World) -> SignIn:
    """Signing in with a password."""
    identity, throttle = make_identity(world), make_throttle(world)
    return SignIn(world.database, world.keyring, identity, throttle, world.clock, world.audit)


def make_totp(world: World) -> Totp:
    """The second factor."""
    return Totp(world.database, world.keyring, make_throttle(world), world.clock, world.audit)


def make_app_passwords(world: World, policy: Policy | None = None) -> AppPasswords:
    """App passwords."""
    return AppPasswords(world.database, world.keyring, world.clock, world.audit, policy)


def make_sessions(world: World) -> Sessions:
    """Signed-in browsers."""
    elsewhere = make_provider_sessions(world)
    return Sessions(world.database, world.keyring, world.clock, world.audit, elsewhere)


def make_provider_sessions(world: World, hours: timedelta = HOURS) -> ProviderSessions:
    """What is known of sessions at the identity provider."""
    return ProviderSessions(world.database, world.keyring, world.clock, hours)


def make_upkeep(world: World, keep: timedelta = timedelta(days=90)) -> Upkeep:
    """What forgets, on one setting for everything."""
    audit_log = AuditLog(world.database, world.keyring, world.clock, world.audit)
    retention = AuditRetention(world.database, world.keyring, world.clock, addresses=keep, entries=keep)
    sessions, elsewhere, links = make_sessions(world), make_provider_sessions(world), make_invitations(world)
    return Upkeep(world.database, sessions, elsewhere, links, audit_log, retention, world.clock, keep)


def make_invitations(world: World) -> Invitations:
    """Links that set accounts up."""
    profiles = Profiles(world.database, world.keyring, world.audit)
    identity = make_identity(world)
    return Invitations(
        world.database, world.keyring, world.accounts, profiles, identity, world.clock, world.audit
    )


def make_authenticator(world: World, uses: UseNotes | None = None) -> Authenticator:
    """The check of app passwords; their use is noted in the same thread unless told otherwise."""
    notes = uses or UseWriter(world.database)
    return Authenticator(world.database, world.keyring, world.clock, world.audit, notes)


def make_app_password(
    world: World, account: Account, *, scopes: Scope = Scope.FULL, root_id: NodeId = ROOT_ID
) -> IssuedAppPassword:
    """An app password of `account` as somebody gets it who has just typed a one-time code."""
    principal = make_principal(account, world.clock)
    return make_app_passwords(world).issue(principal, "test device", scopes=scopes, root_id=root_id)


def make_code(secret: str, clock: Clock, *, steps: int = 0) -> str:
    """What an authenticator app shows for a base32 secret, `steps` times 30 seconds from now."""
    return pyotp.TOTP(secret).at(clock(), counter_offset=steps)


def make_error(kind: type[DavserverError], text: str) -> DavserverError:
    """An error of any kind; it says `text`, unless it has words of its own."""
    if issubclass(kind, Throttled | Unconfirmed):
        return kind(7)
    if issubclass(kind, WrongOffset):
        return kind(text, 7)
    if issubclass(kind, NameTaken):
        return kind(is_collection=False, size=7, modified_ns=7, etag="7")
    return kind(text)
