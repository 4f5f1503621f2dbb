"""What can be asked of the store of `store.py`, each question answered or refused for itself.

It is asked of a store that was opened anew, as after a restart: nothing is remembered from before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from davserver.accounts.audit_log import AuditLog
from davserver.accounts.audit_trail import AuditEntry, AuditTrail, Search
from davserver.accounts.health import HealthRecords
from davserver.accounts.profiles import Profiles
from davserver.accounts.service import Accounts, read_account
from davserver.audit import AuditEvent
from davserver.blobs.memory import MemoryBlobStore
from davserver.db.accounts import AccountRow
from davserver.errors import AuthenticationError, DavserverError, Unconfirmed
from davserver.keyring import Keyring, known_masters
from davserver.master_key import load_master_keys
from davserver.model import AuthMethod, NodeId, Principal
from davserver.vault.access import Access
from davserver.vault.download import Download
from davserver.vault.locks import Wanted
from davserver.vault.maintenance import Maintenance
from davserver.vault.moment import Demands
from davserver.vault.service import Vault, Vaults
from tests.factories import (
    World,
    make_app_passwords,
    make_authenticator,
    make_code,
    make_invitations,
    make_principal,
    make_provider_sessions,
    make_sessions,
    make_sign_in,
    make_totp,
)
from tests.fake_registry import FakeRegistry
from tests.fakes import FrozenClock, RecordingAudit
from tests.unit.accounts.company import Company
from tests.unit.altered.store import INSIDE, OUTSIDE, PASSWORD, QUOTA, FullStore, Known, at, recovery_codes

PATHS = ("/", "/docs", "/docs/small", "/docs/large", "/copy", "/locked", "/locked/file", "/shared", "/born")
TOO_MUCH = QUOTA + 1


@dataclass(frozen=True)
class Refused:
    """Nothing was answered."""

    error: type[DavserverError]


Answers = dict[str, object]
"""What was answered, by question; answers that may go missing one by one are mappings themselves."""


@contextmanager
def opened(store: FullStore) -> Iterator[Questions | None]:
    """The store as a new process opens it; None if it is refused."""
    try:
        with store.database.read() as tx:
            instance_id = tx.instance.instance_id() or b""
        secrets = load_master_keys(store.folder / "keys" / "master.key")
        keyring = Keyring(known_masters(secrets, instance_id, store.database), store.database)
    except DavserverError:
        yield None
        return
    blobs = MemoryBlobStore()
    for blob_id in store.blobs.ids():
        blobs.insert(blob_id, store.content(blob_id))
    clock = FrozenClock(store.clock())
    vaults = Vaults(store.database, blobs, keyring, clock)
    audit = RecordingAudit()
    accounts = Accounts(store.database, keyring, clock, audit, vaults.plant_root)
    yield Questions(World(store.database, blobs, keyring, clock, audit, accounts), vaults, store.known)
    vaults.close()


class Questions:
    """Asks a store everything, each question answered or refused for itself."""

    def __init__(self, world: World, vaults: Vaults, known: Known) -> None:
        self._world = world
        self._vaults = vaults
        self._known = known
        self._answers: Answers = {}
        self._authenticator = make_authenticator(world)
        self._opened: dict[str, Vault] = {}

    def ask(self) -> Answers:
        """Everything: first what changes nothing."""
        self._answers = {}
        self._ask("verify", self._verify)
        for device in ("alice", "reads", "keeps", "folder", "office", "over", "revoked", "bob", "carol"):
            self._ask(f"sign in: {device}", self._device_shown, device)
        self._ask("sign in: office, from outside", self._device_shown, "office", OUTSIDE)
        for name in ("alice", "bob"):
            self._ask(f"health: {name}", self._health, name)
        self._look("alice", PATHS, ("/", "/locked/file", "/shared", "/born"))
        self._look("bob", ("/", "/docs/small", "/locked"))
        self._look("folder", ("/", "/small"))
        for name in ("alice", "bob"):
            self._ask(f"trash: {name}", self._trash, name)
            self._ask(f"versions: {name}", self._versions, name)
        self._site()
        for name in ("dave", "erin"):
            self._ask(f"confirmed: {name}", self._confirmed, name)
        self._log()
        self._people()
        self._ask("restore", self._back)
        self._writes()
        self._ask("collect", self._collect)
        for path in ("/docs/large", "/copy"):  # which nothing above has changed
            self._ask(f"collected: {path}", lambda path: self._file(self._vault("alice"), path), path)
        return self._answers

    def _ask(self, question: str, answer: Callable[..., object], *arguments: object) -> None:
        try:
            self._answers[question] = answer(*arguments)
        except DavserverError as error:
            self._answers[question] = Refused(type(error))

    # ── devices ─────────────────────────────────────────────────────────────────────────────────────────────
    def _device(self, name: str, client: str = INSIDE) -> Principal:
        account = name if name in {"bob", "carol"} else "alice"
        return self._authenticator.authenticate(account, self._known.tokens[name], client)

    def _device_shown(self, name: str, client: str = INSIDE) -> object:
        return self._shown(self._device(name, client))

    @staticmethod
    def _shown(principal: Principal) -> object:
        account = principal.account
        who = (account.id, account.username, account.subject, account.state, account.quota, account.sealed)
        return who, principal.scopes, principal.root_id

    def _health(self, name: str) -> object:
        return HealthRecords(self._world.database).of_all(self._world.accounts.find(name))

    def _vault(self, device: str) -> Vault:
        if device not in self._opened:
            self._opened[device] = self._vaults.open(self._device(device))
        return self._opened[device]

    def _look(self, device: str, paths: tuple[str, ...], locked: tuple[str, ...] = ()) -> None:
        try:
            vault = self._vault(device)
        except DavserverError as error:
            self._answers[f"look: {device}"] = Refused(type(error))
            return
        for path in paths:
            self._ask(f"{device}: {path}", self._file, vault, path)
        for path in (path for path in paths if path in {"/", "/docs"}):
            self._ask(f"{device}: in {path}", self._listing, vault, path)
        for path in locked:
            self._ask(f"{device}: locks on {path}", self._locks, vault, path)

    @staticmethod
    def _file(vault: Vault, path: str) -> object:
        node = vault.stat(at(path))
        if node.is_collection:
            return node
        with vault.read(node) as download:
            return node, hashlib.sha256(b"".join(map(bytes, download.blocks()))).digest()

    @staticmethod
    def _locks(vault: Vault, path: str) -> Answers:
        """Each for itself: one may have gone missing."""
        here = vault.locks(at(path), members=True)
        found: Answers = {shown.lock.token: shown for shown in here.covering}
        return found | {one.token: one for locks in here.of_members.values() for one in locks}

    @staticmethod
    def _listing(vault: Vault, path: str) -> Answers:
        """Each fact for itself."""
        members = vault.listing_with_properties(vault.stat(at(path)))
        facts: Answers = {}
        for node, values in members:
            facts |= {node.name: node, **{f"{node.name}: {name}": value for name, value in values.items()}}
        return facts

    # ── what was deleted or overwritten
    def _trash(self, name: str) -> Answers:
        """Each entry for itself, with its content if it is a file."""
        vault = self._vault(name)
        return {
            entry.id.hex(): (entry, None if entry.node.is_collection else self._read(vault.read(entry.node)))
            for entry in vault.trash()
        }

    def _versions(self, name: str) -> Answers:
        """Each for itself, with its content."""
        vault = self._vault(name)
        return {
            version.id.hex(): (version, self._read(vault.read_version(version)))
            for version in vault.versions(at("/docs/small"))
        }

    @staticmethod
    def _read(download: Download) -> bytes:
        with download:
            return b"".join(map(bytes, download.blocks()))

    def _back(self) -> None:
        """What is brought back is what was there."""
        vault, kept = self._vault("alice"), self._known.kept
        for path, inside in (("/single", "/single"), ("/thrown", "/thrown/file")):
            self._ask(f"restore: {path}", lambda path=path: vault.restore(kept[f"alice{path}"]).path)
            self._ask(f"restored: {path}", lambda inside=inside: self._content(vault, inside))
        self._ask("restore a version", self._restored_version, vault, kept["alice/docs/small"])
        self._ask("purge another's", lambda: vault.purge(kept["bob/single"]))

    def _restored_version(self, vault: Vault, version: NodeId) -> tuple[int, bytes]:
        """Its content; if it is refused nothing was restored, and nothing is to be looked at."""
        size = vault.restore_version(at("/docs/small"), version).size
        return size, self._content(vault, "/docs/small")

    def _content(self, vault: Vault, path: str) -> bytes:
        return self._read(vault.read(vault.stat(at(path))))

    # ── people ──────────────────────────────────────────────────────────────────────────────────────────────
    def _people(self) -> None:
        world, codes = self._world, self._known.codes
        totp, recovery = make_totp(world), recovery_codes(world)
        for name in ("alice", "bob", "carol"):
            self._ask(
                f"account: {name}", lambda name: replace(world.accounts.find(name), used=0, kept=0), name
            )
            self._ask(f"devices: {name}", self._devices, name)
            self._ask(f"password: {name}", self._sign_in, name, PASSWORD)
        self._ask("password wrong: alice", self._sign_in, "alice", "wrong")
        self._ask("password from outside: bob", self._sign_in, "bob", PASSWORD, OUTSIDE)
        for name in ("alice", "carol"):
            now, before = (make_code(self._known.secrets[name], world.clock, steps=step) for step in (0, -1))
            self._ask(f"used code: {name}", self._proved, name, before)
            self._ask(f"code: {name}", self._proved, name, now)
            self._ask(f"same code again: {name}", self._proved, name, now)
        code = make_code(self._known.secrets["bob's next"], world.clock)
        self._ask("pending code: bob", lambda: totp.confirm(self._person("bob"), code).account.id)
        self._ask(
            "recovery codes left: bob",
            lambda: dict.fromkeys(range(recovery.left(self._person("bob").account))),
        )
        for kind in ("used", "unused", "unused"):
            question = f"recovery code: {kind}" + " again" * (f"recovery code: {kind}" in self._answers)
            self._ask(question, lambda code: recovery.use(self._person("alice"), code), codes[kind])

    def _devices(self, name: str) -> Answers:
        return {one.id: one for one in make_app_passwords(self._world).list(self._world.accounts.find(name))}

    def _site(self) -> None:
        world = self._world
        profiles = Profiles(world.database, world.keyring, world.audit)
        invitations = make_invitations(world)
        for name in ("alice", "bob"):
            self._ask(f"browser: {name}", lambda name=name: self._browser(name))
            self._ask(f"token: {name}", lambda name=name: self._proved_at(name))
            self._ask(f"token of an ended session: {name}", lambda name=name: self._outlives(name))
            self._ask(f"profile: {name}", lambda name=name: profiles.of(world.accounts.find(name).id))
            self._ask(f"link: {name}", lambda name=name: invitations.find(self._known.links[name]))

    # ── the audit log
    def _log(self) -> None:
        """Each entry for itself: one that was altered is not shown."""
        world = self._world
        trail = AuditTrail(world.database, world.keyring, world.audit)
        self._ask("audit: head", trail.head)
        self._ask("audit: all", lambda: _shown(trail.latest(Search(), limit=100)))
        self._ask("audit: alice", lambda: _shown(trail.own(world.accounts.find("alice"), limit=100)))
        log = AuditLog(world.database, world.keyring, world.clock, world.audit)
        self._ask("audit: record", lambda: log.record(AuditEvent.SIGNED_IN, account="alice"))

    def _browser(self, name: str) -> object:
        session = make_sessions(self._world).open(self._known.browsers[name])
        if session is None or session.principal is None:
            raise AuthenticationError("nobody is signed in")
        who = session.principal
        times = who.authenticated_at, who.totp_at
        return self._shown(who), times, session.admin, session.data, session.row.provider_session

    def _proved_at(self, name: str) -> object:
        """What a token of this person's session at the provider is good for."""
        known = make_provider_sessions(self._world)
        account = self._world.accounts.find(name)
        proved_at = known.proved_at(account, known.session_id(f"session of {name} at the provider"))
        if proved_at is None:
            raise AuthenticationError("nothing was proved")
        return account.id, proved_at

    def _outlives(self, name: str) -> object:
        """The same for one that was ended."""
        known = make_provider_sessions(self._world)
        session_id = known.session_id(f"session of {name} that was ended")
        if known.ended_at(self._world.accounts.find(name), session_id) is not None:
            raise AuthenticationError("ended")
        return "open"

    def _person(self, name: str) -> Principal:
        return make_principal(self._world.accounts.find(name), self._world.clock, fresh_totp=False)

    def _proved(self, name: str, code: str) -> object:
        return make_totp(self._world).verify(self._person(name), code).account.id

    def _sign_in(self, name: str, password: str, client: str = INSIDE) -> object:
        sign_in = make_sign_in(self._world)
        return self._shown(sign_in.with_password(name, password, client=client, method=AuthMethod.TERMINAL))

    # ── the identity provider
    def _confirmed(self, name: str) -> object:
        """Whether somebody may come in, while the provider itself says nothing."""
        registry = FakeRegistry()
        registry.is_down()
        company, account = Company(self._world, registry), self._world.accounts.find(name)
        told = company.confirmations.of(account)
        known = told.built_in, told.confirmed_at, told.left_at, told.reason
        try:
            admitted = company.confirmations.admit(account).state
        except (AuthenticationError, Unconfirmed):
            admitted = None
        return known, admitted

    # ── changes ─────────────────────────────────────────────────────────────────────────────────────────────
    def _writes(self) -> None:
        put = self._put
        held = Demands(tokens=frozenset(self._known.locks.values()))
        foreign = Demands(tokens=frozenset({self._known.locks["bob/locked"]}))
        self._ask("write: too much", put, "alice", "/new", bytes(TOO_MUCH))
        self._ask("write: only reads", put, "reads", "/new", b"")
        self._ask("delete: keeps", lambda: self._vault("keeps").delete(at("/copy")))
        self._ask(
            "delete: under bob's lock token",
            lambda: self._vault("alice").delete(at("/locked"), demands=foreign),
        )
        for path in ("/locked/new", "/locked/file", "/shared/new", "/born"):
            self._ask(f"write: {path}, without a token", put, "alice", path, b"stolen")
            self._ask(f"write: {path}", put, "alice", path, b"", held)
        for path in ("/locked", "/shared", "/docs"):
            self._ask(f"lock: {path}", self._lock, path)
        token = self._known.locks["alice/shared"]
        refreshing = Demands(tokens=frozenset({token}))
        self._ask(
            "refresh",
            lambda: self._vault("alice").refresh_lock(at("/shared"), 60, refreshing).lock.expires_at,
        )
        self._ask("unlock", lambda: self._vault("alice").unlock(at("/shared"), token))

    def _lock(self, path: str) -> bool:
        wanted = Wanted(exclusive=True, infinite=False, owner="", seconds=60)
        return self._vault("alice").lock(at(path), wanted).created

    def _put(self, device: str, path: str, data: bytes, demands: Demands | None = None) -> str:
        with self._vault(device).write(at(path), demands=demands or Demands()) as upload:
            upload.write(data)
            return "created" if upload.commit().created else "overwritten"

    # ── maintenance ─────────────────────────────────────────────────────────────────────────────────────────
    def _maintenance(self) -> Maintenance:
        world = self._world

        def open_access(row: AccountRow) -> Access:
            return self._vaults.access(make_principal(read_account(world.keyring, row), world.clock))

        return Maintenance(
            world.database, world.blobs, world.keyring, world.clock, open_access, self._vaults.limits.history
        )

    def _verify(self) -> set[object]:
        world = self._world
        trail = AuditTrail(world.database, world.keyring, world.audit)
        return {*self._maintenance().verify().problems, *trail.verify().problems}

    def _collect(self) -> None:
        """Hours later, when locks have ended."""
        self._world.clock.advance(hours=2)
        self._maintenance().collect(grace=timedelta(0))


def _shown(entries: list[AuditEntry]) -> Answers:
    """What is believed, by number."""
    return {str(one.seq): one for one in entries if not one.is_altered}
