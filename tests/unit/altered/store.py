"""A store with something in every column, for test_columns.py; asked by `questions.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

from davserver.accounts.audit_log import AuditLog
from davserver.accounts.health import Sign, Trouble
from davserver.accounts.profiles import Profiles
from davserver.accounts.recovery import RecoveryCodes
from davserver.accounts.verdicts import News, Standing
from davserver.audit import AuditEvent
from davserver.clock import to_seconds
from davserver.db.engine import Transaction
from davserver.db.signs import SignRow
from davserver.errors import DavserverError
from davserver.model import AuthMethod, BlobId, NodeId, Scope
from davserver.rotation import Rotation
from davserver.vault.locks import Wanted
from davserver.vault.moment import Demands
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.factories import (
    World,
    make_app_passwords,
    make_code,
    make_identity,
    make_invitations,
    make_principal,
    make_sessions,
    make_sign_in,
    make_throttle,
    make_totp,
    make_vaults,
    make_world,
)
from tests.fake_registry import FakeRegistry
from tests.fakes import FrozenClock
from tests.unit.accounts.company import Company

PASSWORD = "a password of a test account"
INSIDE, OUTSIDE = "192.0.2.7", "198.51.100.7"
LARGE = bytes(range(251)) * 300
QUOTA = 2_000_000

at = VaultPath.parse


@dataclass
class Known:
    """What people and devices know of the store.

    Attributes:
        tokens: app passwords by device.
        locks: lock tokens by path.
        secrets: one-time-password secrets by account.
        codes: recovery codes of alice: one that was used, and one that was not.
        browsers: what is in their cookies, by account.
        links: what is in the links that they gave, by account.
        kept: ids of what is in the trash, and of previous versions, by account and path.
    """

    tokens: dict[str, str] = field(default_factory=dict)
    locks: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    browsers: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    kept: dict[str, NodeId] = field(default_factory=dict)


def recovery_codes(world: World) -> RecoveryCodes:
    """Recovery codes."""
    throttle = make_throttle(world)
    return RecoveryCodes(world.database, world.keyring, throttle, world.clock, world.audit)


class FullStore:
    """A store in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FrozenClock()
        self.known = Known()
        world = make_world(folder, clock=self.clock)
        self.blobs = world.blobs
        self.database = world.database
        self._fill(world)

    # ── everything that there can be ────────────────────────────────────────────────────────────────────────
    def _fill(self, world: World) -> None:
        vaults = make_vaults(world)
        for name in ("alice", "bob", "carol"):
            account = world.accounts.create(name, quota=QUOTA)
            make_identity(world).set_password(account.id, PASSWORD)
            self._enrol(world, account_name=name)
            self._fill_tree(vaults.open(make_principal(account, self.clock)), name)
        vaults.close()
        self._issue(world)
        world.accounts.suspend("carol")
        self._fail(world)
        self._leave_unfinished(world)
        self._record(world)
        self._rotate(world)
        again = make_world(self.folder, clock=self.clock)  # under the new master key
        self._browse(again)
        self._record(again)
        self._hear(again)
        again.database.dispose()
        self.clock.advance(seconds=30)  # the codes above are used up, and would still be accepted

    def _enrol(self, world: World, account_name: str) -> None:
        account = world.accounts.find(account_name)
        principal = make_principal(account, self.clock, fresh_totp=False)
        totp = make_totp(world)
        self.known.secrets[account_name] = totp.begin(principal).secret
        principal = totp.confirm(principal, make_code(self.known.secrets[account_name], self.clock))
        used, unused, *_ = recovery_codes(world).make_first(principal)
        if account_name == "alice":
            self.known.codes = {"used": used, "unused": unused}
            recovery_codes(world).use(principal, used)  # and with it the device goes
            self.known.secrets[account_name] = totp.begin(principal).secret
            principal = totp.confirm(principal, make_code(self.known.secrets[account_name], self.clock))
        if account_name == "bob":
            self.known.secrets["bob's next"] = totp.begin(principal).secret

    def _fill_tree(self, vault: Vault, name: str) -> None:
        for path in ("/docs", "/locked", "/shared", "/thrown"):
            vault.make_collection(at(path))
        self._put(vault, "/docs/small", b"before " + name.encode())
        self._put(vault, "/docs/small", name.encode())
        self._put(vault, "/docs/large", name.encode() + LARGE)
        self._put(vault, "/locked/file", b"locked")
        self._put(vault, "/goes", b"garbage" + LARGE)
        vault.copy(at("/docs/large"), at("/copy"), overwrite=False)
        gone = vault.delete(at("/goes"))
        assert gone is not None
        vault.purge(gone)
        self._throw_away(vault, name)
        vault.patch(at("/docs"), changes={"{urn:x}a": f"<a>{name}</a>", "b": "<b/>"}, modified_ns=5)
        vault.patch(at("/docs/small"), changes={"b": f"<b>{name}</b>"})
        for path, exclusive, infinite in (
            ("/locked", True, True),
            ("/shared", False, False),
            ("/born", True, False),
        ):
            wanted = Wanted(exclusive, infinite, f"<owner>{name}</owner>", 3600)
            self.known.locks[f"{name}{path}"] = vault.lock(at(path), wanted).shown.lock.token

    def _throw_away(self, vault: Vault, name: str) -> None:
        """A collection and a file into the trash."""
        self._put(vault, "/thrown/file", b"thrown " + name.encode())
        self._put(vault, "/single", b"single " + name.encode())
        for path in ("/thrown", "/single"):
            entry = vault.delete(at(path))
            assert entry is not None
            self.known.kept[f"{name}{path}"] = entry
        self.known.kept[f"{name}/docs/small"] = vault.versions(at("/docs/small"))[0].id

    @staticmethod
    def _put(vault: Vault, path: str, data: bytes, demands: Demands | None = None) -> str:
        with vault.write(at(path), demands=demands or Demands(), keep=frozenset({"SHA1", "MD5"})) as upload:
            upload.write(data)
            return "created" if upload.commit().created else "overwritten"

    def _issue(self, world: World) -> None:
        """App passwords of every kind."""
        passwords, now = make_app_passwords(world), self.clock()
        alice, bob, carol = (
            make_principal(world.accounts.find(name), self.clock) for name in ("alice", "bob", "carol")
        )
        vaults = make_vaults(world)
        docs: NodeId = vaults.open(alice).stat(at("/docs")).id
        vaults.close()
        issued = {
            "alice": passwords.issue(alice, "all of it"),
            "reads": passwords.issue(alice, "reads", scopes=Scope.READ_ONLY),
            "keeps": passwords.issue(alice, "keeps", scopes=Scope.NO_DELETE),
            "folder": passwords.issue(alice, "folder", root_id=docs),
            "office": passwords.issue(alice, "office", networks=[ip_network("192.0.2.0/24")]),
            "over": passwords.issue(alice, "over", expires_at=now + timedelta(seconds=1)),
            "revoked": passwords.issue(alice, "revoked"),
            "bob": passwords.issue(bob, "all of bob's"),
            "carol": passwords.issue(carol, "suspended"),
        }
        self.known.tokens = {name: one.token for name, one in issued.items()}
        passwords.revoke(alice.account, issued["revoked"].app_password.id)

    def _fail(self, world: World) -> None:
        """Failures: bob cannot try one-time codes for a while, nor his password from outside."""
        for _ in range(5):
            for attempt in (self._wrong_code, self._wrong_password):
                try:
                    attempt(world)
                except DavserverError:
                    continue

    @staticmethod
    def _wrong_code(world: World) -> None:
        principal = make_principal(world.accounts.find("carol"), world.clock, fresh_totp=False)
        make_totp(world).verify(principal, "000000")

    @staticmethod
    def _wrong_password(world: World) -> None:
        make_sign_in(world).with_password("bob", "wrong", client=OUTSIDE, method=AuthMethod.TERMINAL)

    def _leave_unfinished(self, world: World) -> None:
        """What a crash leaves: an upload and a copy that were never finished; and notes of devices."""
        vaults = make_vaults(world)
        vault = vaults.open(make_principal(world.accounts.find("alice"), self.clock))
        upload = vault.write(at("/unfinished"))
        upload.write(bytes(1_100_000))
        vaults.close()
        with world.database.write() as tx:
            account_id = world.accounts.find("alice").id
            tx.nodes.hide(account_id, NodeId(b"hidden copy 0001"), now=0)
            for token in self.known.tokens.values():
                tx.credentials.record_use(token.removeprefix("ew1-")[:10], now=1, client=INSIDE)
            self._note_health(world, tx)
            tx.commit()

    def _note_health(self, world: World, tx: Transaction) -> None:
        """What some devices have done and were refused for."""
        for device, name in (("alice", "alice"), ("reads", "alice"), ("bob", "bob")):
            app_id = self.known.tokens[device].removeprefix("ew1-")[:10]
            account_id = world.accounts.find(name).id
            for sign in (Sign.READ, Trouble.WRONG_SECRET):
                tx.signs.note([SignRow(account_id, app_id, sign.value, 10, 20)])

    def _rotate(self, world: World) -> None:
        """Another master key, which takes the pepper over."""
        key_file = self.folder / "keys" / "master.key"
        Rotation(
            key_file, world.database, self.clock, lambda _: world.audit, lambda _done, _total: None
        ).run()

    @staticmethod
    def _record(world: World) -> None:
        """Entries of the audit log with something in every column, and with nothing in some."""
        log = AuditLog(world.database, world.keyring, world.clock, world.audit)
        log.record(AuditEvent.QUOTA_CHANGED, account="alice", actor="bob")
        log.record(AuditEvent.APP_PASSWORD_REFUSED, account="alice", credential="0123456789", client=OUTSIDE)
        log.record(AuditEvent.TOTP_RESET, account="bob", actor="alice", client=INSIDE, reason="lost")
        log.record(AuditEvent.SIGNED_OUT, account="alice")

    def _browse(self, world: World) -> None:
        """Two browsers, links and profiles; what two sessions at the provider have proved, and two ends."""
        sessions, profiles = make_sessions(world), Profiles(world.database, world.keyring, world.audit)
        for name in ("alice", "bob"):
            account = world.accounts.find(name)
            sid = f"session of {name} at the provider"
            made = sessions.sign_in(
                None, make_principal(account, self.clock), admin=name == "bob", provider_session=sid
            )
            made = sessions.remember(made, {"seen": name})
            self.known.browsers[name] = sessions.prove(
                made, make_principal(account, self.clock), made.data
            ).secret
            sessions.end_at_provider(f"session of {name} that was ended")
            profiles.set_admin(account, admin=name == "alice")
            profiles.set_email(account, f"{name}@example.org")
            self.known.links[name] = make_invitations(world).invite(f"friend-of-{name}", quota=5)

    def _hear(self, world: World) -> None:
        """Two people whom a provider knows: one may come in, one has left; and who asks about them."""
        company, now = Company(world, FakeRegistry()), to_seconds(self.clock())
        dave, erin = (world.accounts.create(name, f"sub-{name}") for name in ("dave", "erin"))
        here = News(now, standing=Standing.ENABLED, has_role=True, password_at=1000)
        company.offboarding.learn(dave.id, [here], now=now)
        gone = [here, News(now + 1, standing=Standing.DISABLED), News(now + 1, password_at=2000)]
        company.offboarding.learn(erin.id, gone, now=now + 1)
        company.lease.hold(now)
        company.lease.note("away", now)

    def content(self, blob_id: BlobId) -> bytes:
        """What the blob store holds."""
        with self.blobs.open(blob_id) as reader:
            return reader.read_at(0, reader.size)
