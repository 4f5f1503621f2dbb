"""What a credential may do, and how far it sees: the gate of `Vaults.open`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from davserver.errors import (
    AlreadyExists,
    DavserverError,
    NotFound,
    NotPermitted,
    ParentMissing,
    TargetInsideSource,
)
from davserver.model import AccountState, Scope
from davserver.vault.moment import Demands
from davserver.vault.paths import VaultPath
from tests.unit.vault.store import Drive, Store

Attempt = Callable[[Drive], object]


def locked_by_full(drive: Drive) -> str:
    """The token of a lock that another device of the account has taken."""
    return drive.narrowed(Scope.FULL).lock("/h")


READS: dict[str, Attempt] = {
    "find": lambda drive: drive.find("/c/f"),
    "stat": lambda drive: drive.stat("/c/f"),
    "listing": lambda drive: drive.listing("/c"),
    "read": lambda drive: drive.get("/c/f"),
    "usage": lambda drive: drive.used,
    "locks": lambda drive: drive.vault.locks(VaultPath(("c",)), members=True),
    "properties": lambda drive: drive.properties("/c/f"),
    "listing with properties": lambda drive: list(drive.vault.listing_with_properties(drive.stat("/c"))),
}
WRITES: dict[str, Attempt] = {
    "put": lambda drive: drive.put("/new", b"1"),
    "overwrite": lambda drive: drive.put("/c/f", b"1"),
    "mkdir": lambda drive: drive.mkdir("/new"),
    "times": lambda drive: drive.times("/c", modified_ns=0),
    "move": lambda drive: drive.move("/c/f", "/g"),
    "move collection": lambda drive: drive.move("/c", "/d"),
    "copy": lambda drive: drive.copy("/c", "/d"),
    "set properties": lambda drive: drive.patch("/c", {"{u}a": "<a/>"}),
    "lock": lambda drive: drive.lock("/c/f"),
    "lock a new name": lambda drive: drive.lock("/new"),
    "lock a tree": lambda drive: drive.lock("/", infinite=True),
    "refresh": lambda drive: drive.vault.refresh_lock(
        VaultPath(("h",)), 9, Demands(tokens=frozenset({locked_by_full(drive)}))
    ),
    "unlock": lambda drive: drive.unlock("/h", locked_by_full(drive)),
}
REMOVALS: dict[str, Attempt] = {
    "delete": lambda drive: drive.delete("/c/f"),
    "delete collection": lambda drive: drive.delete("/c"),
    "move over a file": lambda drive: drive.move("/h", "/c/f", overwrite=True),
    "move over a collection": lambda drive: drive.move("/h", "/c", overwrite=True),
    "copy over a file": lambda drive: drive.copy("/h", "/c/f", overwrite=True),
    "copy over a collection": lambda drive: drive.copy("/h", "/c", overwrite=True),
}


@pytest.fixture
def full(alice: Drive) -> Drive:
    """A collection with a file, and a file."""
    alice.mkdir("/c")
    alice.put("/c/f", b"old")
    alice.put("/h", b"h")
    return alice


@pytest.mark.parametrize("attempt", (READS | WRITES | REMOVALS).values(), ids=READS | WRITES | REMOVALS)
def test_full_may_do_everything(full: Drive, attempt: Attempt) -> None:
    """The other tests would prove nothing if these requests were wrong in themselves."""
    attempt(full)


@pytest.mark.parametrize("attempt", READS.values(), ids=READS)
def test_read_only_may_look_and_read(full: Drive, attempt: Attempt) -> None:
    """Everything that changes nothing."""
    attempt(full.narrowed(Scope.READ_ONLY))


@pytest.mark.parametrize("attempt", (WRITES | REMOVALS).values(), ids=WRITES | REMOVALS)
def test_read_only_changes_nothing(full: Drive, attempt: Attempt) -> None:
    """Refused before anything is done."""
    with pytest.raises(NotPermitted):
        attempt(full.narrowed(Scope.READ_ONLY))
    assert full.tree() == {"/c": None, "/c/f": b"old", "/h": b"h"}


@pytest.mark.parametrize("attempt", (READS | WRITES).values(), ids=READS | WRITES)
def test_no_delete_may_work(full: Drive, attempt: Attempt) -> None:
    """PUT over a file and plain MOVE included (docs/adr/0005)."""
    attempt(full.narrowed(Scope.NO_DELETE))


@pytest.mark.parametrize("attempt", REMOVALS.values(), ids=REMOVALS)
def test_no_delete_removes_nothing(full: Drive, attempt: Attempt) -> None:
    """Neither by DELETE nor by replacing, and it is rolled back as a whole."""
    with pytest.raises(NotPermitted):
        attempt(full.narrowed(Scope.NO_DELETE))
    assert full.tree() == {"/c": None, "/c/f": b"old", "/h": b"h"}
    assert full.used == 4


@pytest.mark.parametrize(
    ("missing", "attempt"),
    [
        (Scope.LIST, "find"),
        (Scope.LIST, "stat"),
        (Scope.LIST, "listing"),
        (Scope.LIST, "locks"),
        (Scope.LIST, "properties"),
        (Scope.READ, "read"),
    ],
)
def test_each_way_of_looking_has_its_scope(full: Drive, missing: Scope, attempt: str) -> None:
    """Without LIST nothing is found, without READ nothing is read."""
    with pytest.raises(NotPermitted):
        READS[attempt](Drive(full.store, replace(full.principal, scopes=Scope.FULL & ~missing)))


def test_a_listing_needs_its_scope_at_once(full: Drive) -> None:
    """Not when the first child is asked for."""
    root = full.stat("/")
    without = Drive(full.store, replace(full.principal, scopes=Scope.READ))
    with pytest.raises(NotPermitted):
        without.vault.listing(root)


def test_a_suspended_account_opens_nothing(store: Store, full: Drive) -> None:
    """Whoever holds a principal of it."""
    suspended = replace(full.principal.account, state=AccountState.SUSPENDED)
    with pytest.raises(NotPermitted):
        store.vaults.open(replace(full.principal, account=suspended))


def test_a_vault_knows_its_principal(full: Drive) -> None:
    """Doors ask it who is there."""
    assert full.vault.principal is full.principal


def test_a_folder_is_the_root_of_its_device(full: Drive) -> None:
    """Paths begin there, and everything works as in a vault of its own."""
    device = full.narrowed(root="/c")
    assert device.tree() == {"/f": b"old"}
    device.mkdir("/x")
    device.put("/x/y", b"1")
    device.move("/x/y", "/y")
    device.copy("/x", "/z")
    device.delete("/x")
    device.times("/", modified_ns=3)
    assert device.tree() == {"/f": b"old", "/y": b"1", "/z": None}
    assert full.stat("/c").modified_ns == 3
    assert full.tree() == {"/c": None, "/c/f": b"old", "/c/y": b"1", "/c/z": None, "/h": b"h"}


@pytest.mark.parametrize("path", ["/h", "/c/f", "/c"])
def test_nothing_outside_the_folder_can_be_addressed(full: Drive, path: str) -> None:
    """A path of the account means something inside the folder, or nothing."""
    device = full.narrowed(root="/c")
    assert device.find(path) is None
    for attempt in (device.stat, device.delete, device.get):
        with pytest.raises(NotFound):
            attempt(path)
    with pytest.raises(NotFound):
        device.move(path, "/f", overwrite=True)
    assert "/h" in full.tree()


def test_the_folder_itself_stays(full: Drive) -> None:
    """It is the device's root: neither deleted nor moved nor made again."""
    device = full.narrowed(root="/c")
    for attempt in (
        lambda: device.delete("/"),
        lambda: device.move("/", "/f", overwrite=True),
        lambda: device.put("/", b""),
    ):
        with pytest.raises(NotPermitted):
            attempt()
    with pytest.raises(AlreadyExists):
        device.mkdir("/")
    with pytest.raises(TargetInsideSource):
        device.copy("/", "/inside")
    assert full.tree()["/c/f"] == b"old"


def test_the_folder_may_be_renamed_and_moved(full: Drive) -> None:
    """The device does not notice, even in the middle of an upload."""
    device = full.narrowed(root="/c")
    with device.begin("/during") as upload:
        upload.write(b"1")
        full.mkdir("/elsewhere")
        full.move("/c", "/elsewhere/renamed")
        upload.commit()
    assert device.tree() == {"/f": b"old", "/during": b"1"}
    assert full.get("/elsewhere/renamed/during") == b"1"


GONE: dict[str, tuple[Attempt, type[DavserverError]]] = {
    "find": (lambda drive: drive.find("/f"), NotFound),
    "root": (lambda drive: drive.stat("/"), NotFound),
    "mkdir": (lambda drive: drive.mkdir("/x"), NotFound),
    "put": (lambda drive: drive.put("/x", b"1"), NotFound),
    "delete": (lambda drive: drive.delete("/f"), NotFound),
    "move": (lambda drive: drive.move("/f", "/x"), NotFound),
    "copy": (lambda drive: drive.copy("/f", "/x"), NotFound),
}


@pytest.mark.parametrize(("attempt", "error"), GONE.values(), ids=GONE)
def test_a_folder_that_was_deleted_is_gone(
    full: Drive, attempt: Attempt, error: type[DavserverError]
) -> None:
    """Another collection of the same name is not it."""
    device = full.narrowed(root="/c")
    full.delete("/c")
    full.mkdir("/c")
    full.put("/c/f", b"not for the device")
    with pytest.raises(error):
        attempt(device)
    assert full.tree() == {"/c": None, "/c/f": b"not for the device", "/h": b"h"}


def test_an_upload_ends_when_its_folder_is_deleted(full: Drive) -> None:
    """The commit looks for the root again."""
    device = full.narrowed(root="/c")
    with device.begin("/during") as upload:
        full.delete("/c")
        with pytest.raises(NotFound):
            upload.commit()
    full.store.assert_tidy()


def test_a_file_cannot_be_a_folder(full: Drive) -> None:
    """A credential whose root became a file finds nothing in it."""
    device = full.narrowed(root="/h")
    assert device.find("/x") is None
    with pytest.raises(ParentMissing):
        device.mkdir("/x")


def test_a_node_of_another_account_reads_nothing(full: Drive, bob: Drive) -> None:
    """Handing over a node does not hand over its content."""
    node = full.stat("/c/f")
    with pytest.raises(DavserverError):
        bob.vault.read(node)
    assert list(bob.vault.listing(full.stat("/c"))) == []
    assert bob.vault.find(VaultPath(("c",))) is None
