"""What may be read of the audit log, and that reading it is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from davserver.accounts import audit_trail
from davserver.accounts.audit_trail import Search
from davserver.audit import AuditEvent
from tests.audit import AuditStore
from tests.factories import make_world
from tests.fakes import START


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AuditStore]:
    """Entries of two people and of nobody."""
    made = AuditStore(tmp_path)
    made.fill(3)
    made.fill(2, account="bob")
    made.log.record(AuditEvent.SERVER_STARTED)
    made.clock.advance(days=1)
    made.log.record(AuditEvent.SIGNED_OUT, account="alice")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Search(), [7, 6, 5, 4, 3, 2, 1]),
        (Search(account="alice"), [7, 3, 2, 1]),
        (Search(account="nobody"), []),
        (Search(event=AuditEvent.SIGNED_OUT), [7]),
        (Search(account="bob", event=AuditEvent.SIGNED_IN), [5, 4]),
        (Search(since=START + timedelta(days=1)), [7]),
        (Search(until=START + timedelta(minutes=2)), [1]),
        (Search(since=START + timedelta(minutes=2), until=START + timedelta(minutes=5)), [4, 3, 2]),
    ],
)
def test_filters(store: AuditStore, wanted: Search, found: list[int]) -> None:
    """By account, by event, by time; the latest first."""
    assert [one.seq for one in store.seen(wanted)] == found


def test_page_by_page(store: AuditStore) -> None:
    """Each continues where the last one ended; what is recorded meanwhile does not shift them."""
    first = store.trail.latest(Search(), limit=3, by="admin")
    second = store.trail.latest(Search(), limit=3, before=first[-1].seq, by="admin")
    assert [one.seq for one in (*first, *second)] == [8, 7, 6, 5, 4, 3]


def test_reading_is_recorded_before_anything_is_shown(store: AuditStore) -> None:
    """Who has read, and whose entries; one's own are nobody else's business."""
    store.trail.latest(Search(account="alice"), limit=1, by="admin")
    store.trail.latest(Search(), limit=1)
    next(store.trail.everything(by="root"))
    read = store.told.of(AuditEvent.AUDIT_READ)
    assert [(one.account, one.actor) for one in read] == [("alice", "admin"), ("", ""), ("", "root")]
    world = make_world(store.folder, clock=store.clock)
    store.trail.own(world.accounts.create("carol"), limit=5)
    assert len(store.told.of(AuditEvent.AUDIT_READ)) == 3
    world.database.dispose()


def test_what_was_altered_is_not_shown(store: AuditStore) -> None:
    """Its number is, and that it was altered; the entries around it are as they were."""
    store.run("UPDATE audit_entry SET account = 'bob' WHERE seq = 2")
    store.run("UPDATE audit_entry SET client = '198.51.100.1' WHERE seq = 4")
    shown = {one.seq: one for one in store.seen()}
    assert [seq for seq, one in sorted(shown.items()) if one.is_altered] == [2, 4]
    assert (shown[2].account, shown[2].event, shown[4].client) == ("", "", None)
    assert shown[3].account == "alice"


def test_everything_comes_in_order_with_its_links(store: AuditStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches; each entry as it is stored and as it is believed."""
    monkeypatch.setattr(audit_trail, "PAGE_ENTRIES", 2)
    found = list(store.trail.everything())
    assert [row.seq for row, _ in found] == list(range(1, 9))
    assert [row.link for row, _ in found] == [row[-1] for row in store.rows()]
    assert [entry.account for _, entry in found][:4] == ["alice"] * 3 + ["bob"]


def test_following(store: AuditStore) -> None:
    """What came after an entry, the earliest first."""
    assert [one.seq for one in store.trail.follow(Search(account="alice"), after=2)] == [3, 7]


def test_a_later_owner_of_a_name_does_not_see_the_earlier_ones_entries(tmp_path: Path) -> None:
    """Own entries begin with the account; what was before it was somebody else's."""
    store = AuditStore(tmp_path)
    world = make_world(tmp_path, clock=store.clock)
    store.log.record(AuditEvent.ACCOUNT_CREATED, account="alice")
    store.fill(2, client="198.51.100.7")
    store.log.record(AuditEvent.ACCOUNT_DELETED, account="alice")
    store.log.record(AuditEvent.PASSWORD_REFUSED, account="alice", client="198.51.100.7")
    alice = world.accounts.create("alice")
    store.log.record(AuditEvent.ACCOUNT_CREATED, account="alice")
    store.fill(1)
    expected = ["signed-in", "account-created"]
    assert [one.event for one in store.trail.own(alice, limit=100)] == expected
    assert [one.event for one in store.trail.all_own(alice)] == expected[::-1]
    assert [one.event for one in store.trail.own(alice, limit=1)] == expected[:1]
    world.database.dispose()
    store.close()
