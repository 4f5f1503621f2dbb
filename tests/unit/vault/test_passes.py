"""Whether garbage collection does something in an account that it has found something of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from davserver.errors import CorruptRow, DavserverError, NotFound
from davserver.vault.access import Access
from davserver.vault.passes import pass_through
from tests.factories import make_principal
from tests.unit.vault.store import Drive, Store

GONE = "DELETE FROM account WHERE username = 'alice'"
GOING = "UPDATE account SET state = 'deleted' WHERE username = 'alice'"


def run(store: Store, alice: Drive, work: Callable[[Access], object]) -> None:
    """Do it in Alice's account."""
    account = alice.principal.account

    def do(access: Access) -> None:
        work(access)

    pass_through(
        store.database,
        lambda _row: store.vaults.access(make_principal(account, store.clock)),
        account.id,
        do,
    )


def fails(error: type[DavserverError]) -> None:
    """What work meets where rows are going."""
    raise error("gone")


def test_work_is_done_in_the_account(store: Store, alice: Drive) -> None:
    """Once, suspended or not."""
    done: list[bytes] = []
    store.accounts.suspend("alice")
    run(store, alice, lambda access: done.append(access.account_id))
    assert done == [alice.principal.account.id]


@pytest.mark.parametrize("how", [GONE, GOING])
def test_nothing_is_done_in_one_that_is_deleted(store: Store, alice: Drive, how: str) -> None:
    """Its vault is not even opened."""
    store.sql(how)
    run(store, alice, lambda _access: fails(CorruptRow))


@pytest.mark.parametrize("how", [GONE, GOING])
@pytest.mark.parametrize("error", [CorruptRow, NotFound])
def test_what_fails_since_it_is_deleted_is_no_error(
    store: Store, alice: Drive, how: str, error: type[DavserverError]
) -> None:
    """Whatever that looks like."""

    def work(_access: Access) -> None:
        store.sql(how)
        fails(error)

    run(store, alice, work)


def test_what_was_altered_in_one_that_stays_is_told(store: Store, alice: Drive) -> None:
    """Nobody deletes it."""
    with pytest.raises(CorruptRow):
        run(store, alice, lambda _access: fails(CorruptRow))
