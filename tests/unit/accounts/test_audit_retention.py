"""What is forgotten of the audit log with time, and what somebody without the key cannot make it forget."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from davserver.accounts import audit_retention
from davserver.accounts.audit_chain import Mark
from davserver.audit import AuditEvent
from tests.audit import AuditStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AuditStore]:
    """Five entries, 100 days later five more, and again."""
    made = AuditStore(tmp_path)
    for _ in range(3):
        made.fill(5)
        made.clock.advance(days=100)
    yield made
    made.close()


def addresses(store: AuditStore) -> list[int]:
    """Numbers of the entries that have an address."""
    return [row[0] for row in store.rows() if row[6] is not None and row[7] is not None]  # type: ignore[misc]


def numbers(store: AuditStore) -> list[int]:
    """Numbers of the entries."""
    return [row[0] for row in store.rows()]  # type: ignore[misc]


def test_addresses_go_and_entries_stay(store: AuditStore) -> None:
    """The chain covers what stands for an address, so that it is whole without it; young ones are left."""
    store.fill(2)
    store.retention().run()
    assert addresses(store) == [16, 17]
    assert len(numbers(store)) == 17
    assert store.problems() == []
    assert [one.client for one in store.seen()] == ["192.0.2.1"] * 2 + [None] * 15
    assert not any(one.is_altered for one in store.seen())


@pytest.mark.parametrize("days", [91, 401])
def test_what_is_forgotten_is_in_no_page_of_the_database(store: AuditStore, days: int) -> None:
    """Neither in a page that became free nor in the log of changes, once that is emptied."""
    canary = "198.51.100.99" * 4
    with store.database.write() as tx:
        for _ in range(500):
            store.log.record(AuditEvent.SIGNED_IN, client=canary, account="somebody-who-left", tx=tx)
        tx.commit()
    assert store.database.empty_log()
    assert canary.encode() in everything(store)
    store.clock.advance(days=days)
    store.retention().run()
    assert store.database.empty_log()
    assert canary.encode() not in everything(store)
    assert (b"somebody-who-left" in everything(store)) == (days == 91)


def everything(store: AuditStore) -> bytes:
    """Every file of the database."""
    return b"".join(path.read_bytes() for path in store.folder.glob("sealdav.db*"))


def test_an_address_cannot_be_removed_as_if_it_were_old(store: AuditStore) -> None:
    """Not even behind others that were: the head says how far that has gone."""
    store.fill(1)
    store.retention().run()
    store.run("UPDATE audit_entry SET client = NULL, client_salt = NULL WHERE seq = 16")
    assert store.problems() == ["the address of entry 16 was removed, which is too young for that"]
    store.run("UPDATE audit_head SET forgotten_before = forgotten_before + 100000000")
    assert store.problems()


def test_a_shorter_time_and_a_longer_one_again(store: AuditStore) -> None:
    """What was forgotten under an earlier setting is no tampering under a later one."""
    store.fill(2)
    store.retention(addresses=timedelta(0)).run()
    store.clock.advance(seconds=1)
    store.retention(addresses=timedelta(0)).run()
    assert addresses(store) == []
    store.fill(1)
    store.retention().run()
    assert store.problems() == []
    assert addresses(store) == [18]


def test_a_longer_time_takes_nothing_back_of_what_was_forgotten(store: AuditStore) -> None:
    """Not even if an entry with a time of long ago, from a clock that was wrong, is still to be forgotten."""
    store.fill(1)
    store.clock.advance(seconds=1)
    store.retention(addresses=timedelta(0)).run()
    now = store.clock.now
    store.clock.now = now.replace(year=1990)
    store.fill(1)
    store.clock.now = now
    store.retention().run()
    assert addresses(store) == []
    assert store.problems() == []


def test_the_oldest_entries_go_and_the_rest_hangs_on_the_last_of_them(store: AuditStore) -> None:
    """Batch by batch; what is left is whole, goes on, and a kept head of a removed entry is only older."""
    kept = [Mark(row[0], row[-1]) for row in store.rows() if row[0] in {3, 5, 7}]  # type: ignore[arg-type]
    store.clock.advance(days=101)  # 401 days after the first five
    store.retention().run()
    assert numbers(store) == list(range(6, 16))
    store.fill(2)
    report = store.trail.verify(kept)
    assert (report.problems, report.first, report.entries, report.older) == ([], 6, 12, kept[:1])


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_all_of_it_may_go(store: AuditStore, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """In transactions of any size; the next entry hangs on one that is not there any more."""
    monkeypatch.setattr(audit_retention, "BATCH_ENTRIES", batch)
    store.clock.advance(days=1000)
    store.retention().run()
    assert numbers(store) == []
    assert store.problems() == []
    store.fill(1)
    assert (numbers(store), store.problems()) == ([16], [])


def test_nothing_goes_if_entries_are_kept_for_ever(store: AuditStore) -> None:
    """But for the addresses."""
    store.clock.advance(days=10_000)
    store.retention(entries=None).run()
    assert (len(numbers(store)), addresses(store), store.problems()) == (15, [], [])


def test_an_entry_does_not_get_old_by_being_written_to(store: AuditStore) -> None:
    """Who sets the times of the first entries back gets none of them removed, and is found."""
    store.run("UPDATE audit_entry SET at = 0 WHERE seq <= 12")
    store.retention().run()
    assert len(numbers(store)) == 15
    assert store.problems()


def test_old_entries_before_an_altered_one_go_and_it_goes_with_the_next(store: AuditStore) -> None:
    """What an altered entry says of its age does not count; it is told as long as its neighbours are kept."""
    store.run("UPDATE audit_entry SET account = 'x', at = 2000000000000 WHERE seq = 7")
    store.clock.advance(days=101)
    store.retention().run()
    assert numbers(store) == list(range(6, 16))
    assert store.problems() == ["entry 7 was altered, moved or put there, or the one before it was"]
    store.clock.advance(days=100)
    store.retention().run()
    assert numbers(store) == list(range(11, 16))
    assert store.problems() == []


def test_a_removed_entry_is_told_for_as_long_as_the_one_behind_it_is_kept(store: AuditStore) -> None:
    """It does not hold the older ones back."""
    store.run("DELETE FROM audit_entry WHERE seq = 8")
    store.clock.advance(days=101)
    store.retention().run()
    assert store.problems() == ["entry 8 is missing"]
    store.clock.advance(days=100)
    store.retention().run()
    assert store.problems() == []


def test_nothing_is_forgotten_of_a_log_without_a_head(store: AuditStore) -> None:
    """Nobody vouches for what would be left; the next event begins the log anew, and then it goes on."""
    store.run("UPDATE audit_head SET mac = x'00'")
    before = store.rows()
    store.clock.advance(days=1000)
    store.retention().run()
    assert store.rows() == before
    store.fill(1)
    store.clock.advance(days=1000)
    store.retention().run()
    assert numbers(store) == []
    assert store.problems() == []


def test_a_clock_that_was_wrong_for_a_while_removes_nothing_young(store: AuditStore) -> None:
    """Entries of the past and of the future among the others: none of today goes because of them."""
    now = store.clock.now
    store.clock.now = now.replace(year=1990)
    store.fill(1)
    store.clock.now = now.replace(year=2100)
    store.fill(1)
    store.clock.now = now
    store.fill(3)
    store.retention().run()
    assert len(numbers(store)) == 20
    assert addresses(store) == [17, 18, 19, 20]
    assert store.problems() == []
