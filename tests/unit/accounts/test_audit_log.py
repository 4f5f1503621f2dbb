"""The audit log: an entry and what it tells of are one; the log lets nobody in and keeps nobody out."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from davserver.accounts.audit_flood import MOST_A_MINUTE
from davserver.accounts.audit_log import AuditLog
from davserver.audit import HAPPENS_ANYWAY, OF_STRANGERS, TERMINAL, AuditEvent
from davserver.db.engine import Transaction
from davserver.db.throttle import ThrottleRow
from davserver.errors import StorageFull, StorageUnavailable
from davserver.rotation import Progress, Rotation
from tests.audit import AuditStore
from tests.unit.full_store import KilledError

PROJECT = Path(__file__).parents[3]

WRITER = """
import sys
from pathlib import Path
from davserver.audit import AuditEvent
from tests.audit import AuditStore
store = AuditStore(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    store.log.record(AuditEvent.SIGNED_IN, account=sys.argv[3], reason=str(number))
    print(number, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AuditStore]:
    """A new store with an empty log."""
    made = AuditStore(tmp_path)
    yield made
    made.close()


def change(tx: Transaction) -> None:
    """Write something else."""
    tx.throttle.put(ThrottleRow("test", b"subject", 1, 0, 0))


def change_and_record(store: AuditStore, tx: Transaction, entries: int = 1) -> None:
    """Write something else and its entries."""
    change(tx)
    for _ in range(entries):
        store.log.record(AuditEvent.SIGNED_IN, account="alice", tx=tx)
    tx.commit()


def change_and_record_beside(store: AuditStore, tx: Transaction) -> None:
    """As somebody would who has forgotten to hand the transaction down."""
    change(tx)
    store.log.record(AuditEvent.SIGNED_IN, account="alice")


def is_changed(store: AuditStore) -> bool:
    """Whether it is there."""
    with store.database.read() as tx:
        return tx.throttle.find("test", b"subject") is not None


def reopen(store: AuditStore, pragma: str) -> Callable[[], None]:
    """Let every connection begin with a pragma, until what is returned is called."""

    def prepare(connection: object, _record: object) -> None:
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    def undo() -> None:
        event.remove(store.database.engine, "connect", prepare)
        store.database.dispose()

    event.listen(store.database.engine, "connect", prepare)
    store.database.dispose()
    return undo


def fill_up(store: AuditStore) -> Callable[[], None]:
    """Leave no room for another entry; as long as what is returned is not called."""
    with store.database.read() as tx:
        pages = tx._connection.exec_driver_sql("PRAGMA page_count").scalar_one()  # noqa: SLF001
    undo = reopen(store, f"max_page_count = {pages}")
    with pytest.raises(StorageFull):
        store.fill(10_000)
    return undo


# ── one transaction ─────────────────────────────────────────────────────────────────────────────────────────
def test_an_entry_and_its_change_are_one(store: AuditStore) -> None:
    """Both or neither; and nobody is told before they are durable."""
    with store.database.write() as tx:
        change(tx)
        store.log.record(AuditEvent.SIGNED_IN, account="alice", tx=tx)
    assert (is_changed(store), store.seen(), store.told.of(AuditEvent.SIGNED_IN)) == (False, [], [])
    with store.database.write() as tx:
        change(tx)
        store.log.record(AuditEvent.SIGNED_IN, account="alice", tx=tx)
        tx.commit()
        assert store.told.of(AuditEvent.SIGNED_IN) == []
    assert is_changed(store)
    assert [one.account for one in store.seen()] == ["alice"]
    assert len(store.told.of(AuditEvent.SIGNED_IN)) == 1
    assert store.problems() == []


def test_what_is_recorded_is_read(store: AuditStore) -> None:
    """Every field, and a number that rises by one; what does not fit is cut."""
    store.log.record(
        AuditEvent.TOTP_RESET,
        account="alice",
        actor="admin",
        credential="0123456789",
        client="192.0.2.1",
        reason="lost",
    )
    store.log.record(AuditEvent.SIGNED_OUT, account="x" * 300, client="c" * 300, reason="r" * 300)
    long, reset = store.seen()
    assert (reset.seq, reset.at, reset.event) == (1, store.clock(), "totp-reset")
    assert (reset.account, reset.actor, reset.credential) == ("alice", "admin", "0123456789")
    assert (reset.client, reset.reason) == ("192.0.2.1", "lost")
    assert (long.seq, len(long.account), len(long.client or ""), len(long.reason)) == (2, 255, 64, 200)
    assert store.problems() == []


def test_who_acts_where_nobody_is_named(store: AuditStore) -> None:
    """A command acts as the terminal; a name that is given wins, also that of the account's owner."""
    terminal = AuditLog(store.database, store.keyring, store.clock, store.told, actor=TERMINAL)
    terminal.record(AuditEvent.ACCOUNT_SUSPENDED, account="alice")
    terminal.record(AuditEvent.ACCOUNT_RESUMED, account="alice", actor="admin")
    store.log.record(AuditEvent.SIGNED_OUT, account="alice")
    assert [one.actor for one in store.seen()] == ["", "admin", "(terminal)"]


def test_a_second_transaction_of_the_same_thread_fails_at_once(store: AuditStore) -> None:
    """It would wait for itself for ever. Nothing of the first is kept, and the next one goes through."""
    with pytest.raises(RuntimeError, match="hand that one down"), store.database.write() as tx:
        change_and_record_beside(store, tx)
    assert not is_changed(store)
    store.fill(1)
    assert len(store.seen()) == 1


def test_a_change_waits_for_another_thread_and_not_for_itself(store: AuditStore) -> None:
    """Records of several threads, in transactions and alone, are one chain."""

    def work(number: int) -> None:
        for _ in range(10):
            if number % 2:
                store.log.record(AuditEvent.SIGNED_IN, account=f"user{number}")
            else:
                with store.database.write() as tx:
                    change(tx)
                    store.log.record(AuditEvent.SIGNED_IN, account=f"user{number}", tx=tx)
                    tx.commit()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(store.seen()) == 40
    assert store.problems() == []


# ── no room ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_cannot_be_recorded_does_not_happen(store: AuditStore) -> None:
    """On a full disk the change fails with its entry; with room again both go through, the log is whole."""
    undo = fill_up(store)
    with pytest.raises(StorageFull), store.database.write() as tx:
        change_and_record(store, tx, entries=100)
    assert not is_changed(store)
    with pytest.raises(StorageFull):
        store.fill(100)
    undo()
    store.fill(1)
    assert store.problems() == []


@pytest.mark.parametrize("happens", [one for one in AuditEvent if one in HAPPENS_ANYWAY])
def test_what_is_so_anyway_is_so_on_a_disk_that_takes_nothing(store: AuditStore, happens: AuditEvent) -> None:
    """A refusal stays a refusal: it is logged, counted, and its number recorded when the disk is back."""
    undo = reopen(store, "query_only = ON")
    with capture_logs() as lines:
        store.log.record(happens, client="192.0.2.1")
        store.log.record(happens, client="192.0.2.1")
    assert [line["event"] for line in lines] == ["the audit log cannot be written"] * 2
    assert len(store.told.of(happens)) == 2
    with pytest.raises(StorageUnavailable):
        store.log.record(AuditEvent.SIGNED_IN, account="alice")
    undo()
    store.log.record(AuditEvent.SIGNED_IN, account="alice")
    assert [(one.event, one.reason) for one in store.seen()] == [
        ("signed-in", ""),
        ("audit-skipped", f"2 more {happens.value}"),
    ]
    assert store.problems() == []


# ── strangers ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("stranger", [one for one in AuditEvent if one in OF_STRANGERS])
def test_strangers_cannot_fill_the_log(store: AuditStore, stranger: AuditEvent) -> None:
    """So many a minute and a number for the rest, once the minute is over; other events are not held back."""
    for _ in range(1000):
        store.log.record(stranger, client="192.0.2.1")
    store.log.record(AuditEvent.SIGNED_IN, account="alice")
    assert len(store.seen()) == MOST_A_MINUTE + 1
    assert len(store.told.of(stranger)) == MOST_A_MINUTE
    store.clock.advance(minutes=1)
    store.log.record(stranger, client="192.0.2.1")
    latest, skipped, *_ = store.seen()
    assert (latest.event, skipped.event) == (stranger.value, "audit-skipped")
    assert skipped.reason == f"{1000 - MOST_A_MINUTE} more {stranger.value}"
    assert len(store.seen()) == MOST_A_MINUTE + 3


def test_one_kind_of_event_does_not_hide_another(store: AuditStore) -> None:
    """Whoever floods the log with refused app passwords is seen guessing a password."""
    for _ in range(100):
        store.log.record(AuditEvent.APP_PASSWORD_REFUSED)
    store.log.record(AuditEvent.PASSWORD_REFUSED, account="alice")
    assert store.seen()[0].event == "password-refused"


def test_the_end_and_the_upkeep_tell_the_number(store: AuditStore) -> None:
    """Without waiting for another event; at the end also within the minute, and only once."""
    for _ in range(MOST_A_MINUTE + 5):
        store.log.record(AuditEvent.APP_PASSWORD_REFUSED)
    store.log.settle()
    assert len(store.seen()) == MOST_A_MINUTE
    store.log.settle(at_the_end=True)
    store.log.settle(at_the_end=True)
    assert store.seen()[0].reason == "5 more app-password-refused"
    assert len(store.seen()) == MOST_A_MINUTE + 1


# ── whose log was altered ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "tamper",
    [
        lambda store: store.run("UPDATE audit_head SET mac = zeroblob(32)"),
        lambda store: store.run("UPDATE audit_head SET seq = 2"),
        lambda store: store.run("DELETE FROM audit_head"),
        lambda store: store.copy(3, to=4),
    ],
    ids=["authenticator", "number", "head removed", "entry added"],
)
def test_an_altered_log_keeps_nobody_out(store: AuditStore, tamper: Callable[[AuditStore], object]) -> None:
    """The chain begins anew behind what is there, the first entry says so, and `verify` does from then on."""
    store.fill(3)
    before = store.rows()
    tamper(store)
    store.fill(1)
    store.fill(1)
    assert store.rows()[:3] == before
    events = [one.event for one in store.seen() if not one.is_altered]
    assert events[:3] == ["signed-in", "signed-in", "audit-broken"]
    assert len(store.told.of(AuditEvent.AUDIT_BROKEN)) == 1
    assert any("begins the log anew" in problem for problem in store.problems())
    assert any("before the beginning of the log" in problem for problem in store.problems())


# ── another master key
def test_a_rotation_that_is_stopped_anywhere_is_recorded_once(store: AuditStore) -> None:
    """In the transaction after which the old key is worth nothing, wherever it was killed before or after."""
    store.fill(2)
    for step in count(1):
        steps = count(1)

        def kill(_done: int, _total: int, step: int = step, steps: Iterator[int] = steps) -> None:
            if next(steps) == step:
                raise KilledError

        try:
            rotate(store, kill)
        except KilledError:
            store.__post_init__()
            assert store.problems() == []
            continue
        break
    store.__post_init__()
    assert step > 3
    rotated = [one.seq for one in store.seen() if one.event == "master-key-rotated"]
    assert len(rotated) == 1
    assert store.problems() == []


def rotate(store: AuditStore, progress: Progress) -> None:
    """Bring another master key into use."""
    Rotation(
        store.folder / "keys" / "master.key",
        store.database,
        store.clock,
        lambda keyring: AuditLog(store.database, keyring, store.clock, store.told),
        progress,
        batch_rows=1,
    ).run()


# ── processes ───────────────────────────────────────────────────────────────────────────────────────────────
def test_two_processes_make_one_chain(store: AuditStore) -> None:
    """Neither overwrites what the other has appended."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.folder), "40", name],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("alice", "bob")
    ]
    said = [writer.communicate(timeout=60)[0].split() for writer in writers]
    assert [len(one) for one in said] == [40, 40]
    assert store.problems() == []
    for name in ("alice", "bob"):
        reasons = [one.reason for one in reversed(store.seen()) if one.account == name]
        assert reasons == [str(number) for number in range(40)]


def test_a_killed_process_leaves_a_whole_chain(store: AuditStore) -> None:
    """By SIGKILL in the middle, several times: what was acknowledged is there, and the chain is whole."""
    acknowledged = 0
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.folder), "100000", "alice"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            for _ in range(25):
                assert writer.stdout.readline()
                acknowledged += 1
            writer.kill()
    assert len(store.seen()) >= acknowledged
    assert store.problems() == []
