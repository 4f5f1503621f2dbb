"""Laws of the audit log: whatever somebody without the key does to it is found, and nothing else ever is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from davserver.accounts.audit_chain import Mark
from davserver.accounts.audit_log import AuditLog
from davserver.audit import AuditEvent
from davserver.rotation import Rotation
from tests import tamper
from tests.audit import AuditStore, Row

EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NAMES = st.sampled_from(["", "alice", "bob", "(terminal)", "é" * 40])
CLIENTS = st.sampled_from([None, "192.0.2.1", "2001:db8::1"])

State = tuple[list[Row], list[Row]]


@dataclass
class History:
    """A log with what was ever to be seen of it from outside.

    Attributes:
        states: what was stored after each step.
        heads: what somebody may have kept after each step.
    """

    store: AuditStore
    states: list[State] = field(default_factory=list)
    heads: list[Mark] = field(default_factory=list)

    def note(self) -> None:
        """Keep what is stored now."""
        self.states.append((self.store.rows(), self.store.rows("audit_head")))
        self.heads.append(self.store.trail.head())

    def put_back(self, state: State) -> None:
        """Let the tables hold what they held once."""
        for table, rows in zip(("audit_entry", "audit_head"), state, strict=True):
            self.store.run(f"DELETE FROM {table}")  # noqa: S608
            self.store.put(rows, table)


Step = Callable[[AuditStore], None]


def record(event: AuditEvent, account: str, actor: str, client: str | None) -> Step:
    """Something happens."""

    def step(store: AuditStore) -> None:
        store.clock.advance(seconds=1)
        store.log.record(event, account=account, actor=actor, client=client, reason="a reason")

    return step


def together(count: int) -> Step:
    """Several things happen in one transaction."""

    def step(store: AuditStore) -> None:
        with store.database.write() as tx:
            for number in range(count):
                store.log.record(AuditEvent.SIGNED_OUT, account="carol", reason=str(number), tx=tx)
            tx.commit()

    return step


def given_up(store: AuditStore) -> None:
    """A change that fails, with its entry."""
    with store.database.write() as tx:
        store.log.record(AuditEvent.SIGNED_IN, account="dora", tx=tx)


def wait(days: int) -> Step:
    """Time goes by."""

    def step(store: AuditStore) -> None:
        store.clock.advance(days=days)

    return step


def forget(addresses: int, entries: int | None) -> Step:
    """Upkeep, under whatever settings there are."""

    def step(store: AuditStore) -> None:
        keep = None if entries is None else timedelta(days=entries)
        store.retention(timedelta(days=addresses), keep).run()

    return step


def rotate(store: AuditStore) -> None:
    """Another master key."""
    Rotation(
        store.folder / "keys" / "master.key",
        store.database,
        store.clock,
        lambda keyring: AuditLog(store.database, keyring, store.clock, store.told),
        lambda _done, _total: None,
    ).run()
    store.__post_init__()


RECORD = st.builds(
    record, st.sampled_from([AuditEvent.SIGNED_IN, AuditEvent.TOTP_RESET]), NAMES, NAMES, CLIENTS
)
STEPS = st.lists(
    st.one_of(
        RECORD,
        RECORD,
        st.builds(together, st.integers(1, 4)),
        st.just(given_up),
        st.builds(wait, st.integers(1, 200)),
        st.builds(forget, st.integers(0, 120), st.one_of(st.none(), st.integers(0, 400))),
        st.just(rotate),
    ),
    min_size=3,
    max_size=14,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    AuditStore(folder).close()
    return folder


@contextmanager
def history(template: Path, steps: list[Step]) -> Iterator[History]:
    """What comes of these steps on a copy."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        with closing(AuditStore(Path(folder))) as store:
            made = History(store)
            made.note()
            for step in steps:
                step(store)
                made.note()
            yield made


def without_addresses(rows: list[Row]) -> list[Row]:
    """What an entry says but for its address: to put a forgotten one back where it was alters nothing."""
    return [row[:6] + row[8:] for row in rows]


def is_another(one: State, other: State) -> bool:
    """Whether two states differ in more than forgotten addresses."""
    return one[1] != other[1] or without_addresses(one[0]) != without_addresses(other[0])


@EXAMPLES
@given(steps=STEPS)
def test_nothing_is_found_where_nothing_was_done(template: Path, steps: list[Step]) -> None:
    """After each step; and every head that was ever kept fits, or is older than what is left."""
    with history(template, steps) as made:
        report = made.store.trail.verify(made.heads)
        assert report.problems == []
        assert report.entries == len(made.store.rows())
        assert not any(one.is_altered for one in made.store.seen())


@EXAMPLES
@given(steps=STEPS, data=st.data())
def test_whatever_is_altered_is_found(template: Path, steps: list[Step], data: st.DataObject) -> None:
    """Any value in any column, of an entry or of the head."""
    with history(template, steps) as made:
        store = made.store
        table = data.draw(st.sampled_from(["audit_entry", "audit_entry", "audit_head"]))
        names, rows = tamper.columns(store.database, table), store.rows(table)
        assume(rows)
        row, at = data.draw(st.sampled_from(rows)), data.draw(st.integers(1, len(names) - 1))
        value = data.draw(st.sampled_from(list(tamper.changed_values(row[at]))))
        statement = f"UPDATE OR IGNORE {table} SET {names[at]} = ? WHERE {names[0]} = ?"  # noqa: S608
        store.run(statement, (value, row[0]))
        assume(store.rows(table) != rows)
        assert store.problems()


@EXAMPLES
@given(steps=STEPS, data=st.data())
def test_whatever_is_removed_moved_or_added_is_found(
    template: Path, steps: list[Step], data: st.DataObject
) -> None:
    """Some entries removed, in the middle or at an end; two exchanged; any that was ever there put in."""
    with history(template, steps) as made:
        store = made.store
        before = store.rows()
        assume(before)
        numbers = st.sampled_from([row[0] for row in before])
        match data.draw(st.sampled_from(["remove", "cut", "swap", "copy", "put in", "no head"])):
            case "remove":
                for seq in data.draw(st.sets(numbers, min_size=1)):
                    store.run("DELETE FROM audit_entry WHERE seq = ?", (seq,))
            case "cut":
                store.run("DELETE FROM audit_entry WHERE seq >= ?", (data.draw(numbers),))
            case "swap":
                rows = {row[0]: row for row in before}
                one, other = data.draw(numbers), data.draw(numbers)
                store.put([(one, *rows[other][1:]), (other, *rows[one][1:])])
            case "copy":
                seq = data.draw(st.integers(-3, 2**62))
                store.put([(seq, *data.draw(st.sampled_from(before))[1:])])
            case "put in":
                ever = [row for rows, _ in made.states for row in rows]
                store.put([data.draw(st.sampled_from(ever))])
            case _:
                store.run("DELETE FROM audit_head")
        assume(without_addresses(store.rows()) != without_addresses(before) or not store.rows("audit_head"))
        assert store.problems()


@EXAMPLES
@given(steps=STEPS, data=st.data())
def test_an_older_head_alone_or_older_entries_alone_are_found(
    template: Path, steps: list[Step], data: st.DataObject
) -> None:
    """One table put back to any earlier moment, and not the other."""
    with history(template, steps) as made:
        entries, head = made.states[-1]
        old_entries, old_head = data.draw(st.sampled_from(made.states))
        mixed = data.draw(st.sampled_from([(entries, old_head), (old_entries, head)]))
        assume(all(is_another(mixed, state) for state in made.states))
        made.put_back(mixed)
        assert made.store.problems()


@EXAMPLES
@given(steps=STEPS, later=st.lists(RECORD, max_size=4), data=st.data())
def test_an_older_state_is_found_against_a_kept_head(
    template: Path, steps: list[Step], later: list[Step], data: st.DataObject
) -> None:
    """Both tables put back together, whatever is recorded afterwards: the head that was kept tells."""
    with history(template, steps) as made:
        kept, old = made.heads[-1], data.draw(st.integers(0, len(made.states) - 1))
        assume(made.heads[old].seq < kept.seq)
        made.put_back(made.states[old])
        for step in later:
            step(made.store)
        assert made.store.trail.verify([kept]).problems
