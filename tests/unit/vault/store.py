"""A whole store on disk for the tests of the vault, with ways to watch it, break it and look behind it.

A `Drive` is one account's vault with paths as text; a `Tripwire` sees every step that touches storage.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from davserver.accounts.service import Accounts, read_account
from davserver.blobs.base import BlobReader, BlobStore, BlobWriter, BytesLike
from davserver.blobs.local import LocalBlobStore
from davserver.db.accounts import AccountRow
from davserver.db.engine import Database, Transaction
from davserver.errors import StorageFull
from davserver.keyring import Keyring
from davserver.model import ROOT_ID, BlobId, Durability, Lock, Node, NodeId, Principal, Scope
from davserver.vault.access import Access, HistoryLimits, Limits
from davserver.vault.directories import Directories
from davserver.vault.download import Download
from davserver.vault.locks import Wanted
from davserver.vault.maintenance import GcReport, Maintenance
from davserver.vault.moment import Demands
from davserver.vault.paths import VaultPath
from davserver.vault.scrub import Problem, VerifyReport
from davserver.vault.service import Vault, Vaults
from davserver.vault.tree import Placed
from davserver.vault.upload import Upload
from tests.factories import make_keyring, make_principal
from tests.fakes import START, FrozenClock, RecordingAudit

Action = Callable[[], object]

DATABASE = "sealdav.db"


class GuardedDatabase(Database):
    """Notices what would hang a server for ever: a write begun inside a write of the same thread."""

    def __init__(self, url: str) -> None:
        super().__init__(url, durability="relaxed")
        self._mine = threading.local()
        self.after_read: Action | None = None
        self.after_write: Action | None = None
        """Run once, when a transaction has ended and before its caller goes on: others come in between."""

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """As `Database.read`, counted."""
        with self._counted("reads"), super().read() as tx:
            yield tx
        action, self.after_read = self.after_read, None
        if action is not None:
            action()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """As `Database.write`, counted."""
        assert not getattr(self._mine, "writes", 0), "a write inside a write waits for itself"
        with self._counted("writes"), super().write() as tx:
            yield tx
        action, self.after_write = self.after_write, None
        if action is not None:
            action()

    @property
    def idle(self) -> bool:
        """Whether this thread has no transaction open."""
        return not getattr(self._mine, "writes", 0) and not getattr(self._mine, "reads", 0)

    @contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        setattr(self._mine, kind, getattr(self._mine, kind, 0) + 1)
        try:
            yield
        finally:
            setattr(self._mine, kind, getattr(self._mine, kind) - 1)


class Tripwire:
    """Sees every step that touches storage, in order, and may act on it: fail, or let somebody else in.

    Steps are "sql" (with the statement), "commit" of a transaction, and what is done to the blob store:
    "create", "append", "publish", "discard", "open", "delete", "ids", "sweep".
    """

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.watch: Callable[[str], None] | None = None

    def __call__(self, step: str) -> None:
        """Note a step that is about to be taken."""
        self.steps.append(step)
        if self.watch is not None:
            self.watch(step)

    @contextmanager
    def armed(self, watch: Callable[[str], None] | None = None) -> Iterator[list[str]]:
        """Start counting anew and call `watch` before each step; yields the steps taken."""
        self.steps, self.watch = [], watch
        try:
            yield self.steps
        finally:
            self.watch = None

    def fail(self, error: Exception, at: int, *, for_good: bool = False) -> Callable[[str], None]:
        """What raises `error` at step number `at`, or from there on."""

        def watch(step: str) -> None:
            reached = len(self.steps) - 1
            if reached == at or (for_good and reached > at):
                raise as_database_error(step, error) if step == "commit" or step.startswith("sql") else error

        return watch

    def once(self, step: str, action: Action) -> Callable[[str], None]:
        """What runs `action` before the first step whose text begins with `step`, unwatched itself."""

        def watch(taken: str) -> None:
            if taken.startswith(step):
                self.watch = None
                action()

        return watch


def as_database_error(step: str, error: Exception) -> sa.exc.OperationalError:
    """What SQLAlchemy raises when SQLite reports a full disk, if `error` is that, or else a broken one."""
    full = isinstance(error, StorageFull)
    reported = sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")
    reported.sqlite_errorcode = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR
    return sa.exc.OperationalError(step, None, reported)


class WatchedBlobs(BlobStore):
    """A blob store that tells a tripwire before it does anything."""

    def __init__(self, blobs: BlobStore, tripwire: Tripwire) -> None:
        self.inner = blobs
        self._tripwire = tripwire

    def create(self, blob_id: BlobId, /) -> BlobWriter:
        """As the inner store."""
        self._tripwire("create")
        return _WatchedWriter(self.inner.create(blob_id), self._tripwire)

    def open(self, blob_id: BlobId, /) -> BlobReader:
        """As the inner store."""
        self._tripwire("open")
        return self.inner.open(blob_id)

    def delete(self, blob_id: BlobId, /) -> None:
        """As the inner store."""
        self._tripwire("delete")
        self.inner.delete(blob_id)

    def ids(self) -> Iterator[BlobId]:
        """As the inner store."""
        self._tripwire("ids")
        return self.inner.ids()

    def sweep(self, before: datetime, /) -> int:
        """As the inner store."""
        self._tripwire("sweep")
        return self.inner.sweep(before)

    def check(self) -> None:
        """As the inner store."""
        self.inner.check()

    def free_bytes(self) -> int | None:
        """As the inner store."""
        return self.inner.free_bytes()


class _WatchedWriter(BlobWriter):
    def __init__(self, writer: BlobWriter, tripwire: Tripwire) -> None:
        self._writer = writer
        self._tripwire = tripwire

    def write(self, data: BytesLike, /) -> None:
        self._step("append")
        self._writer.write(data)

    def commit(self) -> None:
        self._step("publish")
        self._writer.commit()

    def abort(self) -> None:
        try:
            self._tripwire("discard")
        except BaseException:
            self._writer._file.close()  # type: ignore[attr-defined]  # noqa: SLF001 - as the end of the process does
            raise
        self._writer.abort()

    def _step(self, step: str) -> None:
        """A step that fails aborts the writer, as the contract says."""
        try:
            self._tripwire(step)
        except BaseException:
            self._writer.abort()
            raise

    def __enter__(self) -> BlobWriter:  # type: ignore[override]
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


@dataclass(frozen=True, slots=True)
class Store:
    """Everything below the doors, on a folder of its own."""

    folder: Path
    database: GuardedDatabase
    blobs: WatchedBlobs
    keyring: Keyring
    clock: FrozenClock
    accounts: Accounts
    vaults: Vaults
    directories: Directories
    tripwire: Tripwire

    def reset(self, template: Path) -> None:
        """Make everything as it is in `template`; compiled statements and unwrapped keys stay, for speed."""
        tables = [name for (name,) in self.sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
        with closing(sqlite3.connect(self.folder / DATABASE)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("ATTACH ? AS template", (str(template / DATABASE),))
            for table in tables:
                connection.execute(f"DELETE FROM main.{table}")  # noqa: S608
                connection.execute(f"INSERT INTO main.{table} SELECT * FROM template.{table}")  # noqa: S608
        for path in (self.folder / "blobs").rglob("*"):
            if not path.is_dir():
                path.unlink()
        for account in self.accounts.list():
            self.directories.forget(account.id)  # as after a start: the versions of the template are older
        self.clock.now = START
        self.keep()
        self.tripwire.watch = self.database.after_read = self.database.after_write = None

    def close(self) -> None:
        """Let go of threads and connections."""
        self.vaults.close()
        self.database.dispose()

    def keep(self, **history: Any) -> None:  # noqa: ANN401 - as `HistoryLimits`
        """Keep so much of what is deleted and overwritten from now on, as with other settings."""
        limits = replace(self.vaults.limits, history=HistoryLimits(**history))
        self.vaults._limits = limits  # noqa: SLF001 - nothing in a server changes them while it runs

    def drive(self, username: str, *, scopes: Scope = Scope.FULL, root_id: NodeId = ROOT_ID) -> Drive:
        """The vault of an account that exists."""
        account = self.accounts.find(username)
        return Drive(self, make_principal(account, self.clock, scopes=scopes, root_id=root_id))

    @property
    def maintenance(self) -> Maintenance:
        """Garbage collection and verify."""

        def open_access(row: AccountRow) -> Access:
            return self.vaults.access(make_principal(read_account(self.keyring, row), self.clock))

        history = self.vaults.limits.history
        return Maintenance(self.database, self.blobs, self.keyring, self.clock, open_access, history)

    def collect(self, *, grace: timedelta = timedelta(0)) -> GcReport:
        """Collect garbage, by default all of it."""
        return self.maintenance.collect(grace=grace)

    def verify(self) -> VerifyReport:
        """Read everything back."""
        return self.maintenance.verify()

    def problems(self) -> list[Problem]:
        """What `verify` finds."""
        return self.verify().problems

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Do something to the database that the program does not know of, foreign keys ignored."""
        with closing(sqlite3.connect(self.folder / DATABASE)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            return connection.execute(statement, parameters).fetchall()

    def stored(self) -> set[BlobId]:
        """Blobs in the blob store."""
        return set(self.blobs.inner.ids())

    def blob_path(self, blob_id: BlobId) -> Path:
        """The file of a blob."""
        return self.folder / "blobs" / blob_id.hex()[:2] / blob_id.hex()

    def touch_staging(self) -> None:
        """Let the files of unfinished uploads be last written at the time that the clock shows."""
        moment = self.clock().timestamp()
        for path in (self.folder / "blobs" / "staging").iterdir():
            os.utime(path, (moment, moment))

    def assert_tidy(self) -> None:
        """Nothing is left over: once collected, every blob is named by a file, and all of it reads back."""
        self.collect()
        assert self.problems() == []
        named = {blob_id for (blob_id,) in self.sql("SELECT blob_id FROM node WHERE blob_id IS NOT NULL")}
        rows = dict(self.sql("SELECT blob_id, inline FROM blob"))
        assert set(rows) == named
        assert self.sql("SELECT count(*) FROM blob WHERE state != 'live'") == [(0,)]
        assert self.sql("SELECT count(*) FROM hidden_tree") == [(0,)]
        assert self.stored() == {blob_id for blob_id, inline in rows.items() if not inline}
        assert {one for (one,) in self.sql("SELECT blob_id FROM inline_blob")} == named - self.stored()
        assert list((self.folder / "blobs" / "staging").iterdir()) == []


def make_store(folder: Path, limits: Limits | None = None, *, durability: Durability = "relaxed") -> Store:
    """The store in `folder`, or a new one with accounts for "alice" and "bob"."""
    tripwire, clock = Tripwire(), FrozenClock()
    database = GuardedDatabase(f"sqlite:///{folder / DATABASE}")
    keyring = make_keyring(folder, database, clock)
    event.listen(database.engine, "before_cursor_execute", lambda *args: tripwire(f"sql {args[2]}"))
    event.listen(database.engine, "commit", lambda _connection: tripwire("commit"))
    local = LocalBlobStore(folder / "blobs", durability=durability)
    local.prepare()
    blobs = WatchedBlobs(local, tripwire)
    directories = Directories()
    vaults = Vaults(database, blobs, keyring, clock, limits, directories)
    accounts = Accounts(database, keyring, clock, RecordingAudit(), vaults.plant_root)
    if not accounts.list():
        accounts.create("alice")
        accounts.create("bob")
    return Store(folder, database, blobs, keyring, clock, accounts, vaults, directories, tripwire)


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path: the node, its content if it is a file, its dead properties, locks that cover it."""

    node: Node
    content: bytes | None
    properties: dict[str, str]
    locks: set[Lock]


@dataclass(frozen=True, slots=True)
class Drive:
    """One account's vault as a client sees it, with paths as text."""

    store: Store
    principal: Principal

    @property
    def vault(self) -> Vault:
        """A vault as for one request."""
        return self.store.vaults.open(self.principal)

    def narrowed(self, scopes: Scope = Scope.FULL, root: str = "/") -> Drive:
        """The same account through a credential with fewer scopes, or with a folder for its root."""
        return Drive(self.store, replace(self.principal, scopes=scopes, root_id=self.stat(root).id))

    def begin(self, path: str, **options: Any) -> Upload:  # noqa: ANN401 - as `Vault.write`
        """PUT, as far as the head of the request."""
        return self.vault.write(VaultPath.parse(path), **demanding(path, options))

    def put(self, path: str, data: bytes = b"", **options: Any) -> Placed:  # noqa: ANN401
        """PUT."""
        with self.begin(path, **options) as upload:
            upload.write(data)
            return upload.commit()

    def open(self, path: str) -> Download:
        """GET, as far as the status line."""
        return self.vault.read(self.stat(path))

    def get(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        """GET."""
        with self.open(path) as download:
            return b"".join(bytes(block) for block in download.blocks(start, stop))

    def find(self, path: str) -> Node | None:
        """What is there, if anything."""
        return self.vault.find(VaultPath.parse(path))

    def stat(self, path: str) -> Node:
        """What is there."""
        return self.vault.stat(VaultPath.parse(path))

    def listing(self, path: str = "/") -> list[Node]:
        """PROPFIND with Depth 1, without the collection itself."""
        return list(self.vault.listing(self.stat(path)))

    def names(self, path: str = "/") -> list[str]:
        """Names in a collection, sorted."""
        return sorted(node.name for node in self.listing(path))

    def tree(self, path: str = "/") -> dict[str, bytes | None]:
        """Everything below a collection: content by path, None for collections."""
        found: dict[str, bytes | None] = {}
        for node in self.listing(path):
            below = f"{path.rstrip('/')}/{node.name}"
            found[below] = None if node.is_collection else self.get(below)
            if node.is_collection:
                found |= self.tree(below)
        return found

    def everything(self, path: str = "/") -> dict[str, Found]:
        """All that a client can find out, by path."""
        node = self.stat(path)
        content = None if node.is_collection else self.get(path)
        locks = {shown.lock for shown in self.vault.locks(VaultPath.parse(path)).covering}
        found = {path: Found(node, content, self.properties(path), locks)}
        for child in self.listing(path) if node.is_collection else ():
            found |= self.everything(f"{path.rstrip('/')}/{child.name}")
        return found

    def mkdir(self, path: str, **options: Any) -> Node:  # noqa: ANN401
        """MKCOL."""
        return self.vault.make_collection(VaultPath.parse(path), **demanding(path, options))

    def times(self, path: str, **options: Any) -> Node:  # noqa: ANN401
        """PROPPATCH of times."""
        return self.vault.patch(VaultPath.parse(path), **demanding(path, options))

    def move(self, source: str, target: str, *, overwrite: bool = False, **options: Any) -> Placed:  # noqa: ANN401
        """MOVE."""
        return self.vault.move(
            VaultPath.parse(source),
            VaultPath.parse(target),
            overwrite=overwrite,
            **demanding(source, options),
        )

    def copy(self, source: str, target: str, *, overwrite: bool = False, **options: Any) -> Placed:  # noqa: ANN401
        """COPY."""
        return self.vault.copy(
            VaultPath.parse(source),
            VaultPath.parse(target),
            overwrite=overwrite,
            **demanding(source, options),
        )

    def delete(self, path: str, **options: Any) -> None:  # noqa: ANN401
        """DELETE."""
        self.vault.delete(VaultPath.parse(path), **demanding(path, options))

    def lock(
        self,
        path: str,
        *,
        shared: bool = False,
        infinite: bool = False,
        seconds: int = 60,
        owner: str = "",
        **options: Any,  # noqa: ANN401
    ) -> str:
        """LOCK; returns the token."""
        wanted = Wanted(not shared, infinite, owner, seconds)
        return self.vault.lock(VaultPath.parse(path), wanted, **demanding(path, options)).shown.lock.token

    def unlock(self, path: str, token: str) -> None:
        """UNLOCK."""
        self.vault.unlock(VaultPath.parse(path), token)

    def locks(self, path: str) -> set[str]:
        """Tokens of the locks that cover it."""
        return {shown.lock.token for shown in self.vault.locks(VaultPath.parse(path)).covering}

    def patch(self, path: str, changes: Mapping[str, str | None], **options: Any) -> None:  # noqa: ANN401
        """PROPPATCH of dead properties."""
        self.vault.patch(VaultPath.parse(path), changes=changes, **demanding(path, options))

    def properties(self, path: str) -> dict[str, str]:
        """Dead properties."""
        return dict(self.vault.dead_properties(self.stat(path)))

    def plant(self, parent: str, names: Iterable[str]) -> None:
        """Many empty collections in one transaction, for tests that need a lot to be there."""
        codec = self.store.vaults.access(self.principal).tree.codec
        parent_id = self.stat(parent).id
        self._insert([codec.new_node(parent_id, name, None) for name in names])

    def plant_files(self, parent: str, names: Iterable[str], like: Node) -> None:
        """Many copies of a file in one transaction."""
        codec = self.store.vaults.access(self.principal).tree.codec
        parent_id = self.stat(parent).id
        self._insert([codec.new_node(parent_id, name, like.content, size=like.size) for name in names])

    def plant_chain(self, names: Iterable[str]) -> None:
        """One collection inside the other, in one transaction."""
        codec = self.store.vaults.access(self.principal).tree.codec
        parent_id, made = self.stat("/").id, []
        for name in names:
            made.append(codec.new_node(parent_id, name, None))
            parent_id = made[-1].id
        self._insert(made)

    def _insert(self, nodes: list[Node]) -> None:
        codec = self.store.vaults.access(self.principal).tree.codec
        with self.store.database.write() as tx:
            for node in nodes:
                tx.nodes.insert([codec.seal_node(node)])
            tx.quota.add(self.principal.account.id, sum(node.size for node in nodes))
            tx.commit()

    def kept(self) -> dict[str, bytes | None]:
        """What is in the trash, newest last: content by where it was, None for collections."""
        entries = self.vault.trash(limit=1000)[::-1]
        return {"/" + "/".join(one.path): self._content(one.node) for one in entries}

    def undo(self, path: str, target: str | None = None, **options: Any) -> str:  # noqa: ANN401
        """Bring back what was last deleted there; returns where it is now."""
        entries = self.vault.trash(limit=1000)
        entry = next(one for one in entries if "/" + "/".join(one.path) == path)
        to = None if target is None else VaultPath.parse(target)
        return str(self.vault.restore(entry.id, to, **demanding(path, options)).path)

    def before(self, path: str) -> list[bytes]:
        """What a file was before, newest first."""
        found = self.vault.versions(VaultPath.parse(path))
        return [self._content(one.node) or b"" for one in found]

    def revert(self, path: str, number: int = 0, **options: Any) -> Node:  # noqa: ANN401
        """Give a file back what it was before; 0 is the latest."""
        at = VaultPath.parse(path)
        chosen = self.vault.versions(at)[number]
        return self.vault.restore_version(at, chosen.id, **demanding(path, options))

    def _content(self, node: Node) -> bytes | None:
        if node.is_collection:
            return None
        with self.vault.read(node) as download:
            return b"".join(bytes(block) for block in download.blocks()) if node.size else b""

    @property
    def used(self) -> int:
        """Bytes counted in the quota."""
        return self.vault.usage().used

    @property
    def live(self) -> int:
        """Bytes of all that paths lead to."""
        usage = self.vault.usage()
        return usage.used - usage.kept


def demanding(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options of a vault's method; `condition` (on the node at `path`) and `tokens` stand for demands."""
    condition, tokens = options.pop("condition", None), frozenset(options.pop("tokens", ()))
    if condition is None:
        return {**options, "demands": Demands(tokens=tokens)}
    target = VaultPath.parse(path)
    return {**options, "demands": Demands(lambda look: condition(look(target).node), tokens)}
