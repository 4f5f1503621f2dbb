"""What `verify` of the audit log finds, in which words, and that it finds nothing where nothing was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from davserver.accounts import audit_check
from davserver.accounts.audit_chain import Mark
from davserver.accounts.audit_trail import Search
from davserver.audit import AuditEvent
from davserver.errors import CorruptRow, InvalidValue
from tests import tamper
from tests.audit import AuditStore
from tests.tamper import changed_values


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AuditStore]:
    """A log of ten entries, some without an address."""
    made = AuditStore(tmp_path)
    made.fill(5)
    made.fill(5, account="bob", client=None)
    yield made
    made.close()


def swap(store: AuditStore, one: int, other: int) -> None:
    """Let two entries change places."""
    rows = {row[0]: row for row in store.rows()}
    store.put([(one, *rows[other][1:]), (other, *rows[one][1:])])


TAMPERINGS: dict[str, tuple[Callable[[AuditStore], object], str]] = {
    "altered": (
        lambda store: store.run("UPDATE audit_entry SET account = 'mallory' WHERE seq = 4"),
        "entry 4 was altered, moved or put there, or the one before it was",
    ),
    "link altered": (
        lambda store: store.run("UPDATE audit_entry SET link = zeroblob(32) WHERE seq = 4"),
        "entry 4 was altered, moved or put there, or the one before it was",
    ),
    "one removed": (lambda store: store.run("DELETE FROM audit_entry WHERE seq = 4"), "entry 4 is missing"),
    "some removed": (
        lambda store: store.run("DELETE FROM audit_entry WHERE seq BETWEEN 4 AND 6"),
        "the entries 4 to 6 are missing",
    ),
    "first removed": (
        lambda store: store.run("DELETE FROM audit_entry WHERE seq <= 2"),
        "the entries 1 to 2 are missing",
    ),
    "last removed": (
        lambda store: store.run("DELETE FROM audit_entry WHERE seq = 10"),
        "entry 10 is missing from the end",
    ),
    "last ones removed": (
        lambda store: store.run("DELETE FROM audit_entry WHERE seq > 7"),
        "the entries 8 to 10 are missing from the end",
    ),
    "all removed": (
        lambda store: store.run("DELETE FROM audit_entry"),
        "the entries 1 to 10 are missing from the end",
    ),
    "swapped": (
        lambda store: swap(store, 3, 7),
        "entry 3 was altered, moved or put there, or the one before it was",
    ),
    "neighbours swapped": (
        lambda store: swap(store, 9, 10),
        "entry 9 was altered, moved or put there, or the one before it was",
    ),
    "added behind": (
        lambda store: store.copy(9, to=11),
        "entry 11 was added by somebody else: the head ends at 10",
    ),
    "added before": (
        lambda store: store.copy(9, to=0),
        "entry 0 lies before the beginning of the log, which is 1: it was put there, or the log begun anew",
    ),
    "moved": (
        lambda store: store.run("UPDATE audit_entry SET seq = 50 WHERE seq = 5"),
        "entry 5 is missing",
    ),
    "address altered": (
        lambda store: store.run("UPDATE audit_entry SET client = '192.0.2.2' WHERE seq = 2"),
        "the address of entry 2 was altered",
    ),
    "salt altered": (
        lambda store: store.run("UPDATE audit_entry SET client_salt = zeroblob(16) WHERE seq = 2"),
        "the address of entry 2 was altered",
    ),
    "address half removed": (
        lambda store: store.run("UPDATE audit_entry SET client = NULL WHERE seq = 2"),
        "the address of entry 2 was altered",
    ),
    "address removed": (
        lambda store: store.run("UPDATE audit_entry SET client = NULL, client_salt = NULL WHERE seq = 2"),
        "the address of entry 2 was removed, which is too young for that",
    ),
    "address given": (
        lambda store: store.run("UPDATE audit_entry SET client = '192.0.2.2' WHERE seq = 8"),
        "the address of entry 8 was altered",
    ),
    "head removed": (lambda store: store.run("DELETE FROM audit_head"), audit_check.NO_HEAD),
    "head altered": (lambda store: store.run("UPDATE audit_head SET seq = 9"), audit_check.NO_HEAD),
    "head and last removed": (
        lambda store: (
            store.run("DELETE FROM audit_entry WHERE seq > 8"),
            store.run("DELETE FROM audit_head"),
        ),
        audit_check.NO_HEAD,
    ),
}


def test_a_log_that_nobody_touched_is_whole(store: AuditStore) -> None:
    """Everything is counted, and the head is that of the last entry; an empty log is whole as well."""
    report = store.verify()
    assert (report.problems, report.found, report.entries) == ([], 0, 10)
    assert (report.first, report.last) == (1, 10)
    assert report.head == store.trail.head() == Mark(10, store.rows()[-1][-1])  # type: ignore[arg-type]


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    """Before anything happened; removing its head is found all the same."""
    store = AuditStore(tmp_path)
    assert (store.problems(), store.verify().head) == ([], Mark(0, bytes(32)))
    store.run("DELETE FROM audit_head")
    assert store.problems() == [audit_check.NO_HEAD]
    with pytest.raises(CorruptRow):
        store.trail.head()
    store.close()


@pytest.mark.parametrize(("bend", "words"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_every_tampering_is_found(
    store: AuditStore, bend: Callable[[AuditStore], object], words: str
) -> None:
    """Whatever somebody without the key does; the first finding names the entry in plain words."""
    bend(store)
    assert store.problems()[0] == words


def test_any_value_in_any_column_is_found(store: AuditStore) -> None:
    """Of every type that SQLite takes; and nothing that was altered is shown."""
    names = tamper.columns(store.database, "audit_entry")
    tried = 0
    for seq in (2, 8):
        row = store.rows()[seq - 1]
        for name, value in list(zip(names, row, strict=True))[1:]:
            for other in changed_values(value):
                store.put([row])
                store.run(f"UPDATE OR IGNORE audit_entry SET {name} = ? WHERE seq = ?", (other, seq))  # noqa: S608
                if store.rows()[seq - 1] == row:  # never NULL, or the same
                    continue
                tried += 1
                assert store.problems(), (name, other)
                shown = {one.seq: one.is_altered for one in store.trail.follow(Search(), after=0)}
                assert shown[seq], (name, other)
        store.put([row])
    assert tried > 100
    assert store.problems() == []


def test_the_whole_of_a_flood_of_findings_is_counted(
    store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many are put into words."""
    monkeypatch.setattr(audit_check, "MOST_PROBLEMS", 3)
    store.run("UPDATE audit_entry SET reason = 'x'")
    report = store.verify()
    assert (len(report.problems), report.found) == (3, 10)


# ── heads that are kept elsewhere ───────────────────────────────────────────────────────────────────────────
def test_an_older_state_that_was_put_back_is_found_by_a_kept_head(store: AuditStore) -> None:
    """Last entries removed and the head of then put back: the log alone shows nothing, the kept head does."""
    old_head = store.rows("audit_head")
    store.fill(3)
    kept = store.trail.head()
    store.run("DELETE FROM audit_entry WHERE seq > 10")
    store.put(old_head, "audit_head")
    assert store.problems() == []
    report = store.trail.verify([kept])
    assert [one.text for one in report.problems] == [
        "entry 13, which was there when its head was kept, is missing"
    ]


def test_other_entries_after_an_older_state_are_found_by_a_kept_head(store: AuditStore) -> None:
    """The server goes on from there, past the number of the kept head: it is another entry now."""
    old_head, old = store.rows("audit_head"), store.trail.head()
    store.fill(3)
    kept = store.trail.head()
    store.run("DELETE FROM audit_entry WHERE seq > 10")
    store.put(old_head, "audit_head")
    store.fill(5)
    assert store.problems() == []
    assert [one.text for one in store.trail.verify([old, kept]).problems] == [
        "entry 13 is not the one that it was when its head was kept"
    ]


def test_kept_heads_of_a_log_that_nobody_touched(store: AuditStore) -> None:
    """All of them fit, whatever came after; also that of the empty log."""
    kept = [Mark(0, bytes(32)), store.trail.head()]
    store.fill(4)
    kept.append(store.trail.head())
    assert store.trail.verify(kept).problems == []


def test_an_old_master_key_forges_no_log(store: AuditStore) -> None:
    """Who knows the key of the links can link other entries, but no head under the present master key."""
    rows, previous = store.rows(), bytes(32)
    with store.database.read() as tx:
        entries = list(tx.audit.walk(after=0))
    for row, entry in zip(rows, entries, strict=True):
        previous = store.keyring.audit_links.link(previous, replace(entry, account="mallory").linked())
        store.put([(*row[:3], "mallory", *row[4:-1], previous)])
    assert store.problems() == ["entry 10 is not the one that the head names"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "10:",
        ":" + "0" * 64,
        "10:" + "0" * 63,
        "-1:" + "0" * 64,
        "1e3:" + "0" * 64,
        "10:" + "g" * 64,
    ],
)
def test_a_text_that_is_no_head(text: str) -> None:
    """It is refused with words that say what one looks like."""
    with pytest.raises(InvalidValue, match="64 hexadecimal digits"):
        Mark.parse(text)


def test_a_head_is_read_as_it_was_printed(store: AuditStore) -> None:
    """With white space around it."""
    head = store.trail.head()
    assert Mark.parse(f" {head.text()}\n") == head
    assert head.text().startswith("10:")


def test_the_event_that_begins_a_log_anew_is_told_for_as_long_as_it_is_there(store: AuditStore) -> None:
    """And no longer: when it is old enough to be forgotten, the log is whole again."""
    store.run("DELETE FROM audit_head")
    store.fill(2)
    assert any("begins the log anew" in one for one in store.problems())
    assert AuditEvent.AUDIT_BROKEN.value in [one.event for one in store.seen()]
    store.clock.advance(days=401)
    store.retention().run()
    store.fill(1)
    assert store.problems() == []
    assert [one.event for one in store.seen()] == ["signed-in"]
