"""Deleting an account: after one transaction nothing opens it; stopped anywhere, it is finished later."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from davserver.accounts.administrators import Administrators
from davserver.accounts.audit_trail import Search
from davserver.accounts.deletion import AccountDeletion
from davserver.accounts.throttle import Throttle
from davserver.audit import AuditEvent
from davserver.blobs.local import LocalBlobStore
from davserver.bootstrap import Services
from davserver.db.engine import Database
from davserver.db.recovery_codes import RecoveryCodeRow
from davserver.errors import AlreadyExists, AuthenticationError, DavserverError, NotFound, NotPermitted
from davserver.model import AccountState, AuthMethod, BlobId, Principal
from davserver.vault.access import Limits
from davserver.vault.paths import VaultPath
from davserver.vault.shredding import Shredded, Shredder
from davserver.vault.upload import Upload
from tests import tamper
from tests.factories import make_principal
from tests.unit.full_store import PASSWORD, KilledError, Store

BIG = bytes(200_000)
"""Too large for the database."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that is copied, never used."""
    store = Store(tmp_path_factory.mktemp("filled"))
    store.fill()
    return store


@pytest.fixture
def store(filled: Store, tmp_path: Path) -> Store:
    """A store of its own."""
    return filled.copy(tmp_path / "store")


def delete(services: Services, name: str = "alice") -> Shredded:
    """Delete an account as the command does."""
    return services.shredder.remove(services.deletion.shred(name).id)


def opens_nothing(store: Store, services: Services) -> None:
    """Alice's device and password are refused."""
    with pytest.raises(AuthenticationError):
        services.authenticator.authenticate("alice", store.tokens["alice"], "192.0.2.1")
    with pytest.raises(AuthenticationError):
        services.sign_in.with_password("alice", PASSWORD, client="test", method=AuthMethod.TERMINAL)
    store.clock.advance(days=Limits().upload_days)  # the failure just made is forgotten, too


def rows_of(database: Database, account_id: bytes) -> dict[str, int]:
    """How many rows of each table name an account."""
    with database.engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars()
        tables = [name for name in names if "account_id" in tamper.columns(database, name)]
        counts = {
            name: connection.exec_driver_sql(
                f"SELECT count(*) FROM {name} WHERE account_id = ?",  # noqa: S608
                (account_id,),
            ).scalar_one()
            for name in tables
        }
    return {name: number for name, number in counts.items() if number}


def test_nothing_is_left_of_an_account(store: Store) -> None:
    """No row in any table, no blob, no way in; the others have everything, and the name is free."""
    before = store.blobs()
    with store.services() as services:
        account = services.accounts.find("alice")
        assert len(rows_of(services.database, account.id)) >= 8
        done = delete(services)
        assert (done.nodes, done.blobs, done.left) == (8, 5, 0)
        assert rows_of(services.database, account.id) == {}
        opens_nothing(store, services)
        with pytest.raises(NotFound):
            services.accounts.find("alice")
        services.accounts.create("alice")
    assert len(store.blobs()) == len(before) - 2
    store.require_whole(["bob"])


def test_the_wrapped_key_is_overwritten(store: Store) -> None:
    """Neither the database nor its log holds the bytes any more, though a server is looking on."""
    with store.services() as looking_on, store.services() as services:
        with looking_on.database.read() as tx:
            row = tx.accounts.by_username("alice")
        assert row is not None
        assert row.wrapped_key is not None
        services.deletion.shred("alice")
        assert services.database.empty_log()
        data = store.settings.storage.data_dir
        stored = b"".join(path.read_bytes() for path in data.iterdir() if path.is_file())
        assert bytes(row.account_id) in stored
        assert row.wrapped_key not in stored


def test_what_lay_on_pages_that_become_free_is_overwritten(store: Store) -> None:
    """Of so many verifiers that their pages are given back whole, not one is left in the file."""
    verifiers = [hashlib.sha256(b"%d" % number).digest() for number in range(2000)]
    with store.services() as services:
        account = services.accounts.find("alice")
        with services.database.write() as tx:
            tx.recovery_codes.insert([RecoveryCodeRow(account.id, verifier, 0) for verifier in verifiers])
            tx.commit()
        services.deletion.shred("alice")
        assert services.database.empty_log()
        stored = Path(store.settings.database_url.removeprefix("sqlite:///")).read_bytes()
    assert not [verifier for verifier in verifiers if verifier in stored]


def test_a_reader_keeps_the_log(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is told, instead of claiming that the key is gone."""
    monkeypatch.setattr("davserver.db.engine.BUSY_TIMEOUT_MS", 10)
    with store.services() as services, services.database.read() as tx:
        tx.accounts.all()
        services.deletion.shred("bob")
        assert not services.database.empty_log()


def test_a_server_with_the_key_in_memory_refuses_from_the_next_request_on(store: Store) -> None:
    """What was unwrapped before does not keep a deleted account open."""
    with store.services() as serving, store.services() as services:
        principal = serving.authenticator.authenticate("alice", store.tokens["alice"], "192.0.2.1")
        serving.vaults.open(principal)
        services.deletion.shred("alice")
        assert not serving.authenticator.still_open(principal)
        opens_nothing(store, serving)


# ── the last administrator ──────────────────────────────────────────────────────────────────────────────────
def test_the_only_administrator_stays(store: Store) -> None:
    """Until somebody else is one who can sign in, or the right was taken away; the message says both."""
    with store.services() as services:
        bob = services.accounts.suspend("bob")
        with pytest.raises(NotPermitted, match=r"make somebody else one.*admin alice --revoke"):
            services.deletion.shred("alice")
        services.authenticator.authenticate("alice", store.tokens["alice"], "192.0.2.1")
        services.accounts.resume("bob")
        services.deletion.shred("alice")
        with pytest.raises(NotPermitted, match="bob is the only administrator"):
            services.deletion.shred("bob")
        services.profiles.set_admin(bob, admin=False)
        services.deletion.shred("bob")


def test_of_two_administrators_who_go_at_once_one_stays(store: Store) -> None:
    """Each in a process of its own, which sees the other one there until the last moment."""
    with store.services() as here, store.services() as there:
        together = threading.Barrier(2)

        def go(services: Services, name: str) -> bool:
            together.wait()
            try:
                services.deletion.shred(name)
            except NotPermitted:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            gone = list(pool.map(go, (here, there), ("alice", "bob")))
        assert sorted(gone) == [False, True]


def test_an_altered_profile_makes_no_administrator_and_keeps_nobody(store: Store) -> None:
    """Whoever writes to the database can neither hold a deletion up nor let the last administrator go."""
    with store.services() as services:
        services.profiles.set_admin(services.accounts.find("bob"), admin=False)
        tamper.write_column(services.database, "profile", "admin", 1)
        with pytest.raises(NotPermitted):
            services.deletion.shred("alice")
        services.deletion.shred("bob")


def test_roles_elsewhere_are_not_counted_here(store: Store) -> None:
    """With an identity provider the role there decides: a right from earlier days keeps nobody."""
    with store.services() as services:
        services.profiles.set_admin(services.accounts.find("bob"), admin=False)
        deletion = AccountDeletion(
            services.database,
            services.keyring,
            Throttle(services.keyring, store.clock),
            services.audit,
            Administrators(services.keyring, here=False),
        )
        assert deletion.shred("alice").state is AccountState.DELETED


# ── stopped on the way ──────────────────────────────────────────────────────────────────────────────────────
def test_stopped_after_any_step_it_is_finished_later(filled: Store, tmp_path: Path) -> None:
    """After each: nothing opens, `verify` reports nothing false, `gc` runs, and the next run ends it."""
    for step in count(1):
        store = filled.copy(tmp_path / str(step))
        with store.services() as services:
            if not delete_until(services, step):
                break
        store.require_whole(["bob"])
        with store.services() as services:
            opens_nothing(store, services)
            services.maintenance.collect(grace=timedelta(0))
            delete(services)
            assert services.maintenance.verify().problems == []
        assert len(store.blobs()) == len(filled.blobs()) - 3  # the other one's upload is idle by now
    assert step > 5


def delete_until(services: Services, step: int) -> bool:
    """Delete and be killed as soon as that many steps are done; False if the row was gone before."""
    steps = count(1)

    def kill() -> None:
        if next(steps) == step:
            raise KilledError

    account = services.deletion.shred("alice")
    parts = services.database, services.blobs, services.keyring, services.clock
    try:
        kill()
        Shredder(*parts, batch_nodes=1, batch_blobs=1).remove(account.id, kill)
    except KilledError:
        with services.database.read() as tx:
            return tx.accounts.by_id(account.id) is not None
    return False


class DyingBlobs(LocalBlobStore):
    """A blob folder whose process ends when it deletes: before the bytes are gone, or after."""

    def __init__(self, root: Path, *, after: bool) -> None:
        super().__init__(root, durability="relaxed")
        self._after = after

    def delete(self, blob_id: BlobId, /) -> None:
        """Die."""
        if self._after:
            super().delete(blob_id)
        raise KilledError


@pytest.mark.parametrize("after", [False, True])
def test_stopped_in_the_middle_of_a_content(store: Store, *, after: bool) -> None:
    """Before and after the bytes of a blob are gone: its row says what is to be done."""
    with store.services() as services:
        account = services.deletion.shred("alice")
        blobs = DyingBlobs(store.settings.storage.data_dir / "blobs", after=after)
        with pytest.raises(KilledError):
            Shredder(services.database, blobs, services.keyring, store.clock).remove(account.id)
        assert services.maintenance.verify().problems == []
        services.shredder.remove(account.id)
    store.require_whole(["bob"])


def test_an_unfinished_deletion_is_only_to_be_finished(store: Store) -> None:
    """The account is listed as deleted; nothing brings it back, nothing makes another of its name."""
    with store.services() as services:
        deleted = services.deletion.shred("alice")
        assert deleted.state is AccountState.DELETED
        assert [account.state.value for account in services.accounts.list()] == ["deleted", "active"]
        accounts = services.accounts
        for attempt in (accounts.find, accounts.resume, accounts.suspend):
            with pytest.raises(NotFound, match="`sealdav user delete` again"):
                attempt("alice")
        with pytest.raises(NotFound, match="`sealdav user delete` again"):
            accounts.set_quota("alice", None)
        with pytest.raises(AlreadyExists):
            services.accounts.create("alice")
        assert services.deletion.find("ALICE") == deleted


def test_a_rotation_carries_an_unfinished_deletion_over(store: Store) -> None:
    """There is no key to be wrapped anew; afterwards it is finished as if nothing had been."""
    with store.services() as services:
        services.deletion.shred("alice")
    assert store.rotate().altered == ()
    store.require_whole(["bob"])
    with store.services() as services:
        delete(services)
    store.require_whole(["bob"])


# ── beside a server ─────────────────────────────────────────────────────────────────────────────────────────
def begin_upload(services: Services, principal: Principal) -> Upload:
    """A large upload that has stored bytes."""
    upload = services.vaults.open(principal).write(VaultPath.parse("late.bin"))
    upload.write(BIG * 10)
    return upload


def test_an_upload_that_was_running_leaves_nothing(store: Store) -> None:
    """Whether it ends before the last row is gone or after."""
    for finish_first in (True, False):
        with store.services() as serving, store.services() as services:
            name = "alice" if finish_first else "bob"
            services.profiles.set_admin(services.accounts.find(name), admin=False)
            principal = make_principal(serving.accounts.find(name), store.clock)
            with begin_upload(serving, principal) as upload:
                account = services.deletion.shred(name)
                if finish_first:
                    upload.commit()
                    services.shredder.remove(account.id)
                else:
                    services.shredder.remove(account.id)
                    with pytest.raises(DavserverError):
                        upload.commit()
            assert services.maintenance.verify().problems == []
    assert store.blobs() == {}


def test_what_comes_in_between_is_removed_too(store: Store) -> None:
    """What a running upload stores after the contents were looked through is found when the row is to go."""
    with store.services() as serving, store.services() as services:
        principal = make_principal(serving.accounts.find("alice"), store.clock)
        with serving.vaults.open(principal).write(VaultPath.parse("late.bin")) as upload:
            account = services.deletion.shred("alice")
            steps = count(1)

            def store_more() -> None:
                if next(steps) == len(("nodes", "contents")):
                    upload.write(BIG * 10)

            assert services.shredder.remove(account.id, store_more).blobs == 6
            with pytest.raises(DavserverError):
                upload.commit()
    store.require_whole(["bob"])
    assert len(store.blobs()) == 2


def test_verify_beside_a_deletion_reports_nothing(store: Store) -> None:
    """Whatever it has read of the account before."""
    with store.services() as services:
        steps = iter(["shred", "remove"])

        def meanwhile(_done: int, _total: int) -> None:
            step = next(steps, None)
            if step == "shred":
                services.deletion.shred("alice")
            elif step == "remove":
                services.shredder.remove(services.deletion.find("alice").id)

        assert services.maintenance.verify(meanwhile).problems == []


# ── a database in somebody else's hands ─────────────────────────────────────────────────────────────────────
def test_a_content_whose_row_was_altered_stays(store: Store) -> None:
    """Else whoever writes to the database could have another account's files deleted with this one."""
    with store.services() as services:
        alice = services.accounts.find("alice").id
        tamper.write_column(services.database, "blob", "account_id", alice)
        done = delete(services)
        assert (done.blobs, done.left) == (5, 5)
    assert len(store.blobs()) == 2


def test_a_content_that_another_account_names_stays(store: Store) -> None:
    """The same in the other direction: the deletion ends nevertheless."""
    with store.services() as services:
        alice = services.accounts.find("alice").id
        with services.database.read() as tx:
            (first, *_) = tx.deletion.blobs(alice, after=None, limit=10)
        with services.database.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE node SET blob_id = ? WHERE account_id != ? AND blob_id IS NOT NULL",
                (first.blob_id, alice),
            )
        assert delete(services).left == 1
        assert rows_of(services.database, alice) == {}


def test_a_state_set_by_hand_hides_nothing(store: Store) -> None:
    """An account that somebody marks as deleted in the database is reported, not skipped."""
    with store.services() as services:
        tamper.write_column(services.database, "account", "state", "deleted")
        findings = {problem.finding.name for problem in services.maintenance.verify().problems}
    assert "ACCOUNT_ALTERED" in findings


def test_a_deletion_is_on_record(store: Store) -> None:
    """With the account's name, as soon as nothing opens it."""
    with store.services() as services:
        services.deletion.shred("alice")
        found = services.audit_trail.latest(Search("alice", AuditEvent.ACCOUNT_DELETED), limit=2)
    assert [entry.account for entry in found] == ["alice"]
    with store.services() as services, pytest.raises(NotFound):
        services.deletion.shred("nobody")


def test_shredding_waits_for_nobody(store: Store) -> None:
    """An account of which nothing is left is gone at once."""
    with store.services() as services:
        empty = services.accounts.create("carol")
        shredder = Shredder(services.database, services.blobs, services.keyring, store.clock)
        services.deletion.shred("carol")
        assert shredder.remove(empty.id) == Shredded(nodes=1, blobs=0, bytes=0, left=0)
