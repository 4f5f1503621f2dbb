"""The second reader of the audit log sees in a real store what ours sees, and takes none that was altered."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from davserver.accounts.audit_log import AuditLog
from davserver.audit import AuditEvent
from davserver.rotation import Rotation
from tests import tamper
from tests.audit import AuditStore
from tests.vectors.audit_reader import read_log

LINES = 6


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first entries were removed, the next ones lost their address, and the key was rotated."""
    folder = tmp_path_factory.mktemp("audit")
    with closing(AuditStore(folder)) as store:
        store.fill(3)
        store.clock.advance(days=100)
        store.fill(2)
        store.clock.advance(days=100)
        store.retention(addresses=timedelta(days=90), entries=timedelta(days=150)).run()
        Rotation(
            folder / "keys" / "master.key",
            store.database,
            store.clock,
            lambda keyring: AuditLog(store.database, keyring, store.clock, store.told),
            lambda _done, _total: None,
        ).run()
    with closing(AuditStore(folder, store.clock)) as store:
        store.log.record(
            AuditEvent.TOTP_RESET, account="é", actor="admin", client="2001:db8::1", reason="lost"
        )
        store.fill(2)
        assert store.problems() == []
    return folder


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Iterator[AuditStore]:
    """Its double, to be altered."""
    folder = Path(shutil.copytree(template, tmp_path / "store"))
    with closing(AuditStore(folder)) as made:
        yield made


def read(store: AuditStore) -> list[dict[str, object]]:
    """What the second reader takes."""
    return list(read_log(store.folder / "sealdav.db", store.folder / "keys" / "master.key"))


def test_it_sees_what_ours_sees(store: AuditStore) -> None:
    """Every entry, after retention and rotation."""
    found = [(one["seq"], one["event"], one["account"], one["client"]) for one in read(store)]
    ours = [(one.seq, one.event, one.account, one.client) for one in reversed(store.seen())]
    assert found == ours
    assert [one[0] for one in found] == [4, 5, 6, 7, 8, 9][:LINES]
    assert {one[3] for one in found[:2]} == {None}


def test_it_takes_nothing_that_was_altered(store: AuditStore) -> None:
    """Nor does ours: every column of both tables, with values of every type."""
    tried = 0
    for table in ("audit_entry", "audit_head"):
        names, rows = tamper.columns(store.database, table), store.rows(table)
        for row in (rows[0], rows[-1]):
            for at, name in enumerate(names[1:], start=1):
                for value in tamper.changed_values(row[at]):
                    statement = f"UPDATE OR IGNORE {table} SET {name} = ? WHERE {names[0]} = ?"  # noqa: S608
                    store.run(statement, (value, row[0]))
                    if store.rows(table) == rows:
                        continue
                    tried += 1
                    with pytest.raises((ValueError, TypeError)):
                        read(store)
                    assert store.problems()
                    store.put([row], table)
    assert tried > 150
    assert len(read(store)) == LINES


@pytest.mark.parametrize("seq", [4, 6, 9])
def test_it_misses_what_was_removed(store: AuditStore, seq: int) -> None:
    """At either end and in the middle."""
    store.run("DELETE FROM audit_entry WHERE seq = ?", (seq,))
    with pytest.raises(ValueError, match="row"):
        read(store)


def test_it_is_a_program(store: AuditStore) -> None:
    """A line an entry."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.vectors.audit_reader"),
            *(store.folder / "sealdav.db", store.folder / "keys" / "master.key"),
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert len(done.stdout.splitlines()) == LINES
