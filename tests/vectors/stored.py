"""A store with everything in it that the second reader should find, and what that is. For test_reader.py."""

from __future__ import annotations

import base64
import hashlib
import shutil
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from davserver.bootstrap import Services, build_services
from davserver.db.engine import Database
from davserver.rotation import Progress, Rotation
from davserver.settings import Settings, load_settings
from davserver.vault.locks import Wanted
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.factories import make_code, make_principal
from tests.fakes import FrozenClock, RecordingAudit
from tests.vectors.reader import Vault as ReadVault
from tests.vectors.reader import open_store

SIZES = (0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 200_000)
"""Around the size of a chunk, and so around what is kept in the database."""

NFC, NFD = "\u00fcber.txt", "u\u0308ber.txt"

PROPERTIES = {
    "{urn:example}colour": '<a:colour xmlns:a="urn:example">green</a:colour>',
    "plain": "<plain/>",
}

OWNER = '<D:owner xmlns:D="DAV:">somebody</D:owner>'

PASSWORD = "a password of a test account"

TRASH = b"\xff" * 16
"""docs/format.md, "Trash and previous versions"."""


@dataclass
class Kept:
    """What an account has.

    Attributes:
        contents: by path as the reader writes it; None for collections.
        metadata: size, times, SHA-1, MD5 and the sender's word by path.
        owners: owners of locks by path and the id of the lock.
        before: contents that files had before, latest first, by the name that the files had.
        trash: what was deleted, by the path where it was.
    """

    contents: dict[str, bytes | None] = field(default_factory=dict)
    metadata: dict[str, tuple[object, ...]] = field(default_factory=dict)
    properties: dict[str, dict[str, bytes]] = field(default_factory=dict)
    owners: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    totp_secrets: list[bytes] = field(default_factory=list)
    before: dict[str, list[list[bytes]]] = field(default_factory=dict)
    trash: dict[str, bytes | None] = field(default_factory=dict)


@dataclass
class StoredStore:
    """A store below a folder."""

    folder: Path
    kept: dict[str, Kept] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        """The database."""
        return self.folder / "data" / "sealdav.db"

    @property
    def blobs(self) -> Path:
        """The blob folder."""
        return self.folder / "data" / "blobs"

    @property
    def key_file(self) -> Path:
        """The master key's file."""
        return self.folder / "keys" / "master.key"

    def read(self) -> dict[str, Kept]:
        """What the second reader finds."""
        return {
            vault.tables["account"][0]["username"]: found_in(vault)
            for vault in open_store(self.database, self.blobs, self.key_file)
        }

    def copy(self, folder: Path) -> StoredStore:
        """The same store elsewhere."""
        return StoredStore(Path(shutil.copytree(self.folder, folder)), self.kept)

    def rotate(self, progress: Progress = lambda _done, _total: None, *, batch_rows: int = 100) -> None:
        """Give the store another master key."""
        database = Database(self.settings.database_url)
        try:
            Rotation(
                self.key_file, database, clock(), lambda _: RecordingAudit(), progress, batch_rows=batch_rows
            ).run()
        finally:
            database.dispose()

    @property
    def settings(self) -> Settings:
        """Where everything is."""
        storage = {"data_dir": self.folder / "data", "durability": "relaxed", "hashes": "always"}
        return load_settings(flags={"storage": storage, "keys": {"master_key_file": self.key_file}})


def found_in(vault: ReadVault) -> Kept:
    """What the second reader finds of one account."""
    kept = Kept(totp_secrets=vault.totp_secrets())
    for path, found in vault.walk():
        kept.contents[path] = found["content"]
        sha1 = found["sha1"] if found["flags"] & 2 else None
        kept.metadata[path] = (
            found["size"],
            found["modified"],
            found["created"],
            sha1,
            found["extras"].get("md5"),
            found["extras"].get("word"),
        )
        if found["properties"]:
            kept.properties[path] = found["properties"]
        if found["owners"]:
            kept.owners[path] = found["owners"]
    _add_history(vault, kept)
    return kept


def _add_history(vault: ReadVault, kept: Kept) -> None:
    """What lies below the id of the trash, and below files."""
    places: dict[str, str] = {}
    for name, found in vault.walk(TRASH):
        top, _, below = name[1:].partition("/")
        if not below:
            places[top] = "/" + "/".join(found["extras"]["kept"]["path"])
        kept.trash[f"{places[top]}/{below}".rstrip("/")] = found["content"]
    for row in vault.rows("node", "kind = 1"):
        before = [found for _, found in vault.walk(row["node_id"])]
        if before:
            before.sort(key=lambda found: -found["extras"]["kept"]["at"])
            name = before[0]["extras"]["kept"]["name"]
            kept.before[name] = sorted([*kept.before.get(name, []), [found["content"] for found in before]])


class Filler:
    """Puts into an account what there can be, and notes it."""

    def __init__(self, services: Services, name: str) -> None:
        self._services = services
        account = services.accounts.create(name, quota=10**9)
        services.identity.set_password(account.id, PASSWORD)
        principal = make_principal(account, services.clock, fresh_totp=False)
        secret = services.totp.begin(principal).secret
        principal = services.totp.confirm(principal, make_code(secret, services.clock))
        services.recovery_codes.make_first(principal)
        services.app_passwords.issue(principal, "device")
        services.sessions.sign_in(None, principal, provider_session="session at the provider")
        services.profiles.set_email(account, f"{name}@example.org")
        services.invitations.invite(f"friend-of-{name}", quota=10**9)
        self._vault: Vault = services.vaults.open(principal)
        self._name = name
        self.kept = Kept(totp_secrets=[base64.b32decode(secret)])

    def fill(self) -> Kept:
        """Everything."""
        self._make_tree()
        vault, at = self._vault, VaultPath.parse
        vault.copy(at("/docs"), at("/copy"), overwrite=False)
        self._put("/copy/deep/65536", b"not what was copied")
        self._put("/docs/65536", b"overwritten")
        vault.move(at("/docs/deep/moves"), at("/moved"), overwrite=False)
        vault.delete(at("/copy/deep/goes"))
        vault.delete(at("/thrown"))
        self.kept.trash = {"/copy/deep/goes": b"goes", "/thrown": None, "/thrown/away": b"thrown away"}
        was = content(self._name, 65_536)
        self.kept.before = {"65536": sorted([[was], [was[::-1]]])}
        vault.patch(at("/docs"), changes=PROPERTIES)
        vault.patch(at("/"), changes={"plain": PROPERTIES["plain"]})
        vault.patch(at("/moved"), modified_ns=-5, changes={"plain": PROPERTIES["plain"]})
        self._lock("/docs", OWNER)
        self._lock("/made-by-lock", "")
        self._lock("/gone", OWNER, seconds=0)
        self._note("/")
        for path, names in {"/docs": list(PROPERTIES), "/": ["plain"], "/moved": ["plain"]}.items():
            self.kept.properties[path] = {name: PROPERTIES[name].encode() for name in names}
        return self.kept

    def _make_tree(self) -> None:
        for folder in ("/docs", "/docs/deep", "/docs/deep/" + "n" * 60, "/" + "e\u0301" * 80, "/thrown"):
            self._vault.make_collection(VaultPath.parse(folder))
        for size in SIZES:
            self._put(f"/docs/{size}", content(self._name, size))
            self._put(f"/docs/deep/{size}", content(self._name, size)[::-1])
        for name in (NFC, "\u65e5\u672c\u8a9e", "a&b <c> 100%", "goes", "moves"):
            self._put(f"/docs/deep/{name}", name.encode())
        self._put(f"/{NFD}", b"decomposed", word=bytes(range(16)))
        self._put("/thrown/away", b"thrown away")

    def _put(self, path: str, data: bytes, word: bytes = b"") -> None:
        with self._vault.write(VaultPath.parse(path), word=word) as upload:
            upload.write(data)
            upload.commit()

    def _lock(self, path: str, owner: str, seconds: int = 3600) -> None:
        wanted = Wanted(exclusive=True, infinite=False, owner=owner, seconds=seconds)
        token = self._vault.lock(VaultPath.parse(path), wanted).shown.lock.token
        if seconds:
            self.kept.owners[path] = {uuid.UUID(token.removeprefix("urn:uuid:")).bytes: owner.encode()}

    def _note(self, path: str) -> None:
        node = self._vault.stat(VaultPath.parse(path))
        data = None
        if not node.is_collection:
            with self._vault.read(node) as download:
                data = b"".join(map(bytes, download.blocks()))
        self.kept.contents[path] = data
        self.kept.metadata[path] = (
            node.size,
            node.modified_ns,
            node.created_ns,
            node.sha1,
            node.md5,
            node.extras.get("word"),
        )
        for member in self._vault.listing(node) if node.is_collection else ():
            self._note(f"{path.rstrip('/')}/{member.name}")


def content(name: str, size: int) -> bytes:
    """What an account puts into a file of this size."""
    return hashlib.shake_128(f"{name} {size}".encode()).digest(size)


def clock() -> FrozenClock:
    """Stands at the present: the reader looks at the real time to see which locks are live."""
    return FrozenClock(datetime.now(UTC))


def make_stored(folder: Path) -> StoredStore:
    """A new store with two accounts."""
    stored = StoredStore(folder)
    with closing(build_services(stored.settings, clock=clock())) as services:
        for name in ("alice", "bob"):
            stored.kept[name] = Filler(services, name).fill()
    return stored
