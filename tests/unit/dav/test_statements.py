"""How many statements a whole request costs, with its authentication, from its first byte to its last: exact.

One more is a decision, not an accident. What operations of the vault cost is in tests/unit/vault.
"""

from __future__ import annotations

import io
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from davserver.accounts.last_use import Use
from davserver.bootstrap import Services, build_services
from davserver.crypto.tokens import AppToken, mint
from davserver.dav.app import DavApp, build_app
from davserver.db.engine import Database
from davserver.model import ROOT_ID
from davserver.settings import load_settings
from davserver.vault.paths import VaultPath
from tests.factories import make_app_password, make_authenticator, make_principal, make_vaults, make_world
from tests.unit.dav.door import ALICE, SHA1_ONLY, Door, basic

NAMED = b'<propfind xmlns="DAV:"><prop><displayname/><getetag/></prop></propfind>'
ALL = b'<propfind xmlns="DAV:"><allprop/></propfind>'
LOCKINFO = (
    b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
)
WRITES = "BEGIN IMMEDIATE"
READS = "BEGIN"

Steps = list[str]


class Notes:
    """Uses of app passwords, not written: they are, off the request's path, at most once a minute."""

    def note(self, use: Use) -> None:
        """Forget it."""


@dataclass
class Counter:
    """What is sent to a database, in order."""

    steps: Steps = field(default_factory=list)

    def listen(self, database: Database) -> None:
        """From now on."""
        event.listen(
            database.engine,
            "before_cursor_execute",
            lambda *told: self.steps.append(told[2].split("\n")[0]),
        )

    def cost(self, request: Callable[[], object]) -> tuple[list[str], int]:
        """Transactions that a request begins, and its other statements."""
        self.steps.clear()
        request()
        begun = [step for step in self.steps if step.startswith(READS)]
        return begun, len(self.steps) - len(begun)


@dataclass
class Counted:
    """A door with everything real behind it, and what it sends to the database."""

    door: Door
    counter: Counter

    def cost(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        status: int | None = None,
    ) -> tuple[list[str], int]:
        """What one request costs, which must have been answered with `status`, or any success."""
        answers = []
        cost = self.counter.cost(lambda: answers.append(self.door.call(method, f"/dav{path}", headers, body)))
        (answer,) = answers
        assert answer.status == status if status else answer.status < 300, answer
        return cost


def make_counted(folder: Path) -> Counted:
    """Alice's drive with three collections inside each other and a small file in the innermost."""
    world = make_world(folder)
    account = world.accounts.create(ALICE)
    vaults = make_vaults(world)
    app = DavApp(make_authenticator(world, Notes()), vaults, world.audit, SHA1_ONLY)
    door = Door(app, world, vaults, basic(ALICE, make_app_password(world, account).token))
    for path in ("a", "a/b", "a/b/c"):
        assert door.ask("MKCOL", path).status == 201
    assert door.put("a/b/c/f", bytes(4096)).status == 201
    assert door.get("a/b/c/f").status == 200
    counter = Counter()
    counter.listen(world.database)
    return Counted(door, counter)


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    """As `make_counted`; the process has served a request there."""
    made = make_counted(tmp_path)
    yield made
    made.door.close()


Request = tuple[str, str, dict[str, str], bytes]

COSTS: dict[str, tuple[Request, list[str], int]] = {
    # credential and account, name, content
    "GET": (("GET", "/a/b/c/f", {}, b""), [READS], 3),
    "GET of a part": (("GET", "/a/b/c/f", {"Range": "bytes=5-9"}, b""), [READS], 3),
    "GET at the top": (("GET", "/top", {}, b""), [READS], 3),
    "HEAD": (("HEAD", "/a/b/c/f", {}, b""), [READS], 2),
    "OPTIONS": (("OPTIONS", "/a/b/c/f", {}, b""), [READS], 1),
    # before the body: credential, name; commit: name, blob, inline bytes, node, quota
    "PUT new": (("PUT", "/a/b/c/new", {}, bytes(4096)), [READS, WRITES], 7),
    # and what was there is kept: node, note
    "PUT over": (("PUT", "/a/b/c/f", {}, bytes(4096)), [READS, WRITES], 9),
    "PUT at the top": (("PUT", "/new", {}, bytes(4096)), [READS, WRITES], 7),
    "PUT on condition": (("PUT", "/a/b/c/new", {"If-None-Match": "*"}, b"1"), [READS, WRITES], 7),
    # the body of a PROPFIND is waited for, with no transaction open: credential | name
    "PROPFIND 0": (("PROPFIND", "/a/b/c/f", {"Depth": "0"}, NAMED), [READS, READS], 2),
    # and the members
    "PROPFIND 1": (("PROPFIND", "/a/b/c", {"Depth": "1"}, NAMED), [READS, READS], 3),
    "PROPFIND of the root": (("PROPFIND", "/", {"Depth": "1"}, NAMED), [READS, READS], 3),
    # its dead properties: how large, and none
    "PROPFIND 0, allprop": (("PROPFIND", "/a/b/c/f", {"Depth": "0"}, ALL), [READS, READS], 3),
    "PROPFIND 0, no body": (("PROPFIND", "/a/b/c/f", {"Depth": "0"}, b""), [READS], 3),
    "PROPFIND 1, no body": (("PROPFIND", "/a/b/c", {"Depth": "1"}, b""), [READS], 5),
    # credential | name, node
    "MKCOL": (("MKCOL", "/a/b/c/new", {}, b""), [READS, WRITES], 3),
    # credential | name, row, note, quota
    "DELETE": (("DELETE", "/a/b/c/f", {}, b""), [READS, WRITES], 5),
    # and its bytes counted
    "DELETE a collection": (("DELETE", "/a/b", {}, b""), [READS, WRITES], 6),
    # credential | two names, row
    "MOVE": (("MOVE", "/a/b/c/f", {"Destination": "/dav/a/b/g"}, b""), [READS, WRITES], 4),
    # credential | name, row
    "LOCK": (("LOCK", "/a/b/c/f", {"Depth": "0"}, LOCKINFO), [READS, WRITES], 3),
    # credential, name: refused before the body is read
    "PUT without a parent": (("PUT", "/a/missing/f", {}, b"1"), [READS], 2),
    "GET of nothing": (("GET", "/a/b/c/missing", {}, b""), [READS], 2),
}


@pytest.mark.parametrize(("request_", "transactions", "statements"), COSTS.values(), ids=COSTS)
def test_what_a_request_costs(
    counted: Counted, request_: Request, transactions: list[str], statements: int
) -> None:
    """With a warm cache, at any depth: authentication and all that is read in one transaction.

    There is another one only to change something, and after a body that had to be waited for.
    """
    counted.door.put("top", bytes(4096))
    method, path, headers, body = request_
    missing = 404 if method == "GET" else 409
    status = missing if "missing" in path else None
    assert counted.cost(method, path, headers, body, status) == (transactions, statements)


def test_what_a_process_costs_that_knows_nothing_yet(tmp_path: Path) -> None:
    """One statement more for each collection on the way, once."""
    first = make_counted(tmp_path)
    vaults = make_vaults(first.door.world)
    app = DavApp(make_authenticator(first.door.world, Notes()), vaults, first.door.world.audit, SHA1_ONLY)
    door = Door(app, first.door.world, vaults, first.door.authorization)
    second = Counted(door, first.counter)
    assert second.cost("GET", "/a/b/c/f") == ([READS], 3 + 3)
    assert second.cost("GET", "/a/b/c/f") == ([READS], 3)
    vaults.close()
    first.door.close()


def test_a_device_with_a_folder_costs_no_more(counted: Counted) -> None:
    """Its folder is a collection that is known, like those below."""
    world, door = counted.door.world, counted.door
    account = world.accounts.find(ALICE)
    folder = door.vaults.open(make_principal(account, world.clock)).stat(VaultPath(("a", "b"))).id
    door.authorization = basic(ALICE, make_app_password(world, account, root_id=folder).token)
    assert counted.cost("GET", "/c/f") == ([READS], 3 + 2)
    assert counted.cost("GET", "/c/f") == ([READS], 3)
    assert counted.cost("PUT", "/c/f", body=b"1") == ([READS, WRITES], 9)
    assert counted.cost("DELETE", "/c/f") == ([READS, WRITES], 5 + 1)  # where its folder lies


class Waiting(io.RawIOBase):
    """A body that looks, when it is waited for, whether a transaction is open meanwhile."""

    def __init__(self, body: bytes, look: Callable[[], bool]) -> None:
        self._body = io.BytesIO(body)
        self._look = look
        self.quiet: list[bool] = []

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever can be written into
        """Some of it."""
        self.quiet.append(self._look())
        return self._body.readinto(buffer[:1024])


def is_quiet(folder: Path) -> bool:
    """Whether no connection holds a snapshot or the write lock, as another process sees it."""
    with closing(sqlite3.connect(folder / "sealdav.db", timeout=0, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE account SET used = used")  # something to checkpoint, behind every snapshot
        connection.execute("COMMIT")
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return not busy


@pytest.mark.parametrize(
    "request_",
    [
        ("PUT", "/a/b/c/f", {}, bytes(5000)),
        ("PUT", "/a/b/c/new", {}, bytes(3_000_000)),
        ("PUT", "/a/b/c/f", {"If-Match": "*"}, bytes(5000)),
        ("PROPFIND", "/a/b/c/f", {"Depth": "0"}, ALL + b" " * 5000),
        ("LOCK", "/a/b/c/f", {"Depth": "0"}, LOCKINFO + b" " * 5000),
        (
            "PROPPATCH",
            "/a/b/c/f",
            {},
            b'<propertyupdate xmlns="DAV:"><set><prop><x xmlns="">1</x></prop></set></propertyupdate>',
        ),
    ],
)
def test_nothing_is_open_while_a_body_is_waited_for(
    tmp_path: Path, counted: Counted, request_: Request
) -> None:
    """However slowly it comes, nobody else waits and the log can be emptied."""
    method, path, headers, body = request_
    waiting = Waiting(body, lambda: is_quiet(tmp_path))
    environ = {"wsgi.input": waiting, "CONTENT_LENGTH": str(len(body))}
    answer = counted.door.call(method, f"/dav{path}", headers, environ=environ)
    assert answer.status < 300
    assert len(waiting.quiet) >= 1
    assert all(waiting.quiet)


def test_nothing_is_open_while_an_answer_is_sent(tmp_path: Path, counted: Counted) -> None:
    """A client that takes its time with a listing or a file pins nothing: pages are read in between."""
    world, door = counted.door.world, counted.door
    access = door.vaults.access(make_principal(world.accounts.find(ALICE), world.clock))
    with world.database.write() as tx:
        new = [access.tree.codec.new_node(ROOT_ID, f"n{number}", None) for number in range(2500)]
        tx.nodes.insert(map(access.tree.codec.seal_node, new))
        tx.commit()
    door.put("large", bytes(3_000_000))
    for method, path, depth in (("PROPFIND", "/dav/", "1"), ("GET", "/dav/large", "0")):
        environ = {
            "REQUEST_METHOD": method,
            "REQUEST_URI": path,
            "HTTP_AUTHORIZATION": door.authorization,
            "HTTP_DEPTH": depth,
            "wsgi.input": io.BytesIO(),
        }
        blocks = door.app(environ, lambda _status, _headers: None)
        quiet = [is_quiet(tmp_path) for _ in blocks]
        assert len(quiet) >= 3
        assert all(quiet)
        getattr(blocks, "close", lambda: None)()


def test_a_refused_credential_costs_what_a_right_one_does(counted: Counted) -> None:
    """Its one statement; nothing behind it is asked."""
    token = AppToken(mint().id, bytes(20)).text()
    counted.door.authorization = basic(ALICE, token)
    assert counted.cost("GET", "/a/b/c/f", status=401) == ([READS], 1)
    counted.door.authorization = basic(ALICE, "no app password at all")
    assert counted.cost("PUT", "/a/b/c/f", body=b"1", status=401) == ([], 0)


# ── with everything that `sealdav serve` has
@dataclass
class Heard:
    """Statements by the thread that sends them."""

    by_thread: dict[int, Steps] = field(default_factory=dict)

    def listen(self, services: Services) -> None:
        """From now on."""
        event.listen(services.database.engine, "before_cursor_execute", self._note)

    def _note(self, *told: Any) -> None:  # noqa: ANN401 - as SQLAlchemy calls it
        self.by_thread.setdefault(threading.get_ident(), []).append(told[2].split("\n")[0])

    def of_request(self) -> tuple[list[str], int]:
        """Transactions and other statements of this thread."""
        steps = self.by_thread.pop(threading.get_ident(), [])
        begun = [step for step in steps if step.startswith(READS)]
        return begun, len(steps) - len(begun)


def test_what_a_request_costs_a_server(tmp_path: Path) -> None:
    """The audit log, notices, the gate, quota and the note of the last use are on no request's path.

    The use is noted once, in a thread of its own. A live lock anywhere in the account costs two looks for it.
    """
    storage = {"data_dir": tmp_path / "data", "durability": "relaxed"}
    settings = load_settings(
        flags={"storage": storage, "keys": {"master_key_file": tmp_path / "keys" / "master.key"}}
    )
    heard = Heard()
    with closing(build_services(settings)) as services:
        account = services.accounts.create(ALICE, quota=10**9)
        token = services.app_passwords.issue(make_principal(account, services.clock), "device").token
        app = build_app(services)

        def ask(method: str, path: str, body: bytes = b"", **fields: str) -> tuple[list[str], int]:
            environ: dict[str, Any] = {
                "REQUEST_METHOD": method,
                "REQUEST_URI": f"/dav{path}",
                "REMOTE_ADDR": "192.0.2.1",
                "HTTP_AUTHORIZATION": basic(ALICE, token),
                "CONTENT_LENGTH": str(len(body)),
                "wsgi.input": io.BytesIO(body),
                **{f"HTTP_{name.upper()}": value for name, value in fields.items()},
            }
            statuses: list[str] = []
            heard.of_request()
            blocks = app(environ, lambda status, _fields: statuses.append(status))
            list(blocks)
            getattr(blocks, "close", lambda: None)()
            assert statuses[0].startswith("2"), statuses
            return heard.of_request()

        heard.listen(services)
        for path in ("/a", "/a/b", "/a/b/c"):
            ask("MKCOL", path)
        ask("PUT", "/a/b/c/f", bytes(4096))
        ask("GET", "/a/b/c/f")
        assert ask("GET", "/a/b/c/f") == ([READS], 3)
        assert ask("PUT", "/a/b/c/new", bytes(4096)) == ([READS, WRITES], 7)
        assert ask("PUT", "/a/b/c/new", bytes(4096)) == ([READS, WRITES], 9)
        ask("LOCK", "/a", LOCKINFO, depth="0")
        assert ask("GET", "/a/b/c/f") == ([READS], 3)
        assert ask("PUT", "/a/b/c/new", bytes(4096)) == ([READS, WRITES], 11)
        here = threading.get_ident()
        services.uses.close()
        services.health_notes.close()
        others = [steps for thread, steps in heard.by_thread.items() if thread != here]
        elsewhere = [step for steps in others for step in steps]
        assert sum(step.startswith("UPDATE app_password") for step in elsewhere) == 1
        assert sum(step.startswith("INSERT INTO device_sign") for step in elsewhere) <= 3
