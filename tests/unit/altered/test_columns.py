"""Every column of every row altered, one at a time, by somebody who can write to the database and has no key.

Whatever is asked then is answered as before or not at all, and `verify` says that something was altered. What
is not authenticated is named in docs/format.md, "Rows", and decides nothing but what is named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from davserver.db.schema import metadata
from davserver.errors import (
    AuthenticationError,
    Conflict,
    DavserverError,
    IntegrityError,
    Locked,
    NotFound,
    NotPermitted,
)
from davserver.identity import local
from tests.unit.altered.alterations import Alteration, Column, Exchange, Target
from tests.unit.altered.questions import Answers, Refused

FORMAT = Path(__file__).parents[3] / "docs" / "format.md"

FEWEST_ALTERATIONS = 900
FEWEST_EXCHANGES = 120

COLUMNS: list[Column] = [
    (table.name, column.name) for table in metadata.sorted_tables for column in table.columns
]

THROTTLED = ("password", "code: ", "used code: ", "same code again: ", "pending code: ", "recovery code: ")

UNAUTHENTICATED: dict[Column, tuple[str, ...]] = {
    ("instance", "created_at"): (),
    ("instance", "issuer"): (),
    ("master_key", "created_at"): (),
    ("master_key", "retired_at"): (),
    ("account", "used"): ("write: too much", "restore"),
    ("account", "kept"): ("write: too much", "restore"),
    ("account", "structure_version"): (),
    ("app_password", "last_used_at"): ("devices: ",),
    ("app_password", "last_used_from"): ("devices: ",),
    ("app_password", "last_used_client"): ("devices: ",),
    ("device_sign", "account_id"): ("health: ",),
    ("device_sign", "device"): ("health: ",),
    ("device_sign", "sign"): ("health: ",),
    ("device_sign", "first_at"): ("health: ",),
    ("device_sign", "last_at"): ("health: ",),
    ("throttle", "purpose"): THROTTLED,
    ("throttle", "subject"): THROTTLED,
    ("throttle", "failures"): THROTTLED,
    ("throttle", "blocked_until"): THROTTLED,
    ("throttle", "updated_at"): THROTTLED,
    ("hidden_tree", "account_id"): (),
    ("hidden_tree", "node_id"): (),
    ("hidden_tree", "heartbeat_at"): (),
    ("blob", "heartbeat_at"): (),
    ("blob", "unreferenced_at"): (),
    ("kept", "bytes"): ("trash: ",),
    ("confirmation", "wanted_at"): (),
    ("lease", "lease_id"): (),
    ("lease", "holder"): (),
    ("lease", "until"): (),
    ("lease", "trouble"): (),
    ("lease", "trouble_at"): (),
}
"""Columns that nothing vouches for, and beginnings of the questions whose answers they may change."""

ON_NAMES = ("write: /", "lock: /")
ON_LOCKS = ("write: /", "lock: /", "delete: under")

HIDING: dict[Column, tuple[str, ...]] = {
    ("node", "account_id"): ON_NAMES,
    ("node", "parent_id"): ON_NAMES,
    ("node", "name_sealed"): ON_NAMES,
    ("node", "node_id"): ON_LOCKS,
    ("kept", "account_id"): (),
    ("kept", "node_id"): (),
    ("kept", "bytes"): ("restore: /thrown", "restored: /thrown"),
    ("lock", "account_id"): ON_LOCKS,
    ("lock", "node_id"): ON_LOCKS,
    ("lock", "expires_at"): ON_LOCKS,
    ("profile", "account_id"): ("profile: ",),
    ("ended_session", "whose"): ("token of an ended session: ",),
    ("confirmation", "account_id"): ("confirmed: ",),
}
"""Columns by which rows are searched for. With another value a row is not found, as if it were deleted: a
name is free that was taken, a lock does not hold. And how much a deleted folder holds: there may seem to be
no room for it. Beginnings of the questions that are answered otherwise."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The store with something in every column."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "TIME_COST", 1)  # a password is asked for thousands of times
        patch.setattr(local, "MEMORY_KIB", 8 * local.LANES)
        with closing(Target(tmp_path_factory.mktemp("altered"))) as made:
            yield made


# Each may come instead of an answer: it is damaged, not there, or not allowed.
REFUSALS = (IntegrityError, NotFound, AuthenticationError, NotPermitted, Conflict, Locked)


def is_allowed(before: object, after: object) -> bool:
    """Whether nothing but what was answered before is answered, and everything else refused or gone."""
    if isinstance(after, Refused):
        return before == after or issubclass(after.error, REFUSALS)
    if isinstance(before, dict) and isinstance(after, dict):
        return all(key in before and before[key] == value for key, value in after.items())
    return before == after


def wrong_answers(target: Target, alteration: Alteration | Exchange, answers: Answers) -> list[str]:
    """Questions that were answered with something else, save for those that the column may change."""
    excused = tuple(
        beginning
        for column in alteration.columns
        for beginning in UNAUTHENTICATED.get(column, ()) + HIDING.get(column, ())
    )
    return [
        f"{question}: {after} after {before}"
        for question, after in answers.items()
        if question != "verify" and not question.startswith(excused)
        if not is_allowed(before := target.truth.get(question), after)
    ]


@pytest.mark.parametrize("column", COLUMNS, ids=".".join)
def test_an_altered_column(target: Target, column: Column) -> None:
    """No other answer than before; `verify` comes to its end, and tells of it if anything vouches for it."""
    tried = 0
    for alteration in target.alterations(column):
        with target.altered(alteration):
            answers = target.ask()
        tried += 1
        if answers is None:  # the server does not even start
            continue
        assert wrong_answers(target, alteration, answers) == [], alteration
        assert isinstance(answers["verify"], set), alteration
        if column not in UNAUTHENTICATED and not (
            reads_the_same(alteration, target) and answers == target.truth
        ):
            assert answers["verify"], alteration
    assert tried >= 3
    with target.altered(None):
        assert target.ask() == target.truth


@pytest.mark.parametrize("table", list(metadata.tables))
def test_exchanged_rows(target: Target, table: str) -> None:
    """What is authentic in one row is nothing in another one: of another account, node, content or device."""
    for exchange in target.exchanges(table):
        with target.altered(exchange):
            answers = target.ask()
        if answers is None:
            continue
        assert wrong_answers(target, exchange, answers) == [], exchange
        assert isinstance(answers["verify"], set), exchange
        if not set(exchange.columns) <= set(UNAUTHENTICATED):
            assert answers["verify"], exchange


def reads_the_same(alteration: Alteration, target: Target) -> bool:
    """Whether the format says that it means what was there before.

    SQLite has no type for a truth value; what lies behind the length of a blob is not read; nor is what is
    noted of a master key that was replaced.
    """
    table, name = alteration.column
    old = target.read(alteration)
    if metadata.tables[table].c[name].type.python_type is bool:
        return bool(old) == bool(alteration.value)
    if table == "master_key":
        return alteration.key == (("key_id", 1),)
    if alteration.column != ("inline_blob", "data"):
        return False
    return isinstance(old, bytes) and isinstance(alteration.value, bytes) and alteration.value.startswith(old)


def test_how_much_is_altered(target: Target) -> None:
    """Enough."""
    assert sum(1 for column in COLUMNS for _ in target.alterations(column)) >= FEWEST_ALTERATIONS
    assert sum(1 for table in metadata.tables for _ in target.exchanges(table)) >= FEWEST_EXCHANGES


def test_the_list_is_that_of_the_format() -> None:
    """docs/format.md, "Rows" names every column, and says of the same ones that nothing vouches."""
    listed = dict(documented())
    listed |= {(table, "mac"): "itself" for table, name in COLUMNS if name == "mac"}
    assert set(listed) == set(COLUMNS)
    nothing = {column for column, reason in listed.items() if reason.startswith("nothing")}
    assert nothing == set(UNAUTHENTICATED)
    assert not [column for column, reason in listed.items() if reason.startswith("reserved")]


def documented() -> Iterator[tuple[Column, str]]:
    """Columns with what vouches for each, in the order of the table; the last line on a column counts."""
    section = FORMAT.read_text().partition("\n## Rows\n")[2].partition("\n## ")[0]
    table = ""
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and "`" in line:
            table = cells[0].strip("`") or table
            for name in re.findall(r"`(\w+)`", cells[1]):
                yield (table, name), cells[2]


def test_an_error_of_the_storage_is_no_refusal() -> None:
    """What is altered is damaged or gone; "try again later" would be wrong."""
    assert not is_allowed(1, Refused(DavserverError))
    assert not is_allowed(Refused(NotFound), 1)
    assert is_allowed({"a": 1, "b": 2}, {"a": 1})
    assert not is_allowed({"a": 1}, {"a": 2})
    assert not is_allowed({"a": 1}, {"a": 1, "b": 2})
