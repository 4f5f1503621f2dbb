"""Rows of locks, sealed and opened: what comes out is what was granted, to this account and this node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from davserver.db.locks import LockRow
from davserver.errors import CorruptRow
from davserver.model import NodeId
from davserver.vault.locks import LockCodec, Wanted, new_lock_id, token_of
from tests.unit.vault.store import Drive

NODE, OTHER_NODE = NodeId(b"n" * 16), NodeId(b"o" * 16)
WANTED = Wanted(exclusive=True, infinite=False, owner="<owner>Ängela & ich</owner>", seconds=60)
NOW = 1_000_000


def codec_of(drive: Drive) -> LockCodec:
    """The codec of an account."""
    access = drive.store.vaults.access(drive.principal)
    return LockCodec(access.key, access.keyring)


@pytest.fixture
def codec(alice: Drive) -> LockCodec:
    """Alice's."""
    return codec_of(alice)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("infinite", [True, False])
@pytest.mark.parametrize("owner", ["", "<a/>", "ü" * 500])
def test_a_lock_is_opened_as_it_was_granted(
    codec: LockCodec, *, exclusive: bool, infinite: bool, owner: str
) -> None:
    """Kind, reach, owner and end; the token is the row's id."""
    row = codec.new_row(NODE, Wanted(exclusive, infinite, owner, 60), now=NOW)
    lock = codec.open_lock(row)
    assert (lock.exclusive, lock.infinite, lock.owner) == (exclusive, infinite, owner)
    assert (lock.node_id, lock.expires_at, row.created_at, row.version) == (NODE, NOW + 60, NOW, 1)
    assert (lock.id, lock.token) == (row.lock_id, token_of(row.lock_id))


def test_tokens_are_random_uuids() -> None:
    """RFC 4918, 6.5: unique for all time, and nothing that can be guessed from another one."""
    tokens = {token_of(new_lock_id()) for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        uuid = UUID(token.removeprefix("urn:uuid:"))
        assert uuid.version == 4
        assert token == f"urn:uuid:{uuid}"


def test_the_owner_is_not_stored_in_clear(codec: LockCodec) -> None:
    """It often is a name or an address; equal ones do not look alike, and short ones are equally long."""
    one, other = (codec.new_row(NODE, WANTED, now=NOW) for _ in range(2))
    assert b"ngela" not in one.owner_sealed
    assert one.owner_sealed != other.owner_sealed
    short = codec.new_row(NODE, replace(WANTED, owner=""), now=NOW)
    assert len(short.owner_sealed) == len(
        codec.new_row(NODE, replace(WANTED, owner="<a/>"), now=NOW).owner_sealed
    )


def test_a_refresh_changes_the_end_and_nothing_else(codec: LockCodec) -> None:
    """RFC 4918, 9.10.2: token, kind, depth and owner stay."""
    row = codec.new_row(NODE, WANTED, now=NOW)
    refreshed = codec.refreshed(row, NOW + 999)
    assert refreshed == replace(row, expires_at=NOW + 999, version=2, mac=refreshed.mac)
    assert codec.open_lock(refreshed) == replace(codec.open_lock(row), expires_at=NOW + 999)


ALTERED: dict[str, Callable[[LockRow], LockRow]] = {
    "id": lambda row: replace(row, lock_id=new_lock_id()),
    "node": lambda row: replace(row, node_id=OTHER_NODE),
    "kind": lambda row: replace(row, exclusive=False),
    "reach": lambda row: replace(row, infinite=True),
    "owner": lambda row: replace(row, owner_sealed=row.owner_sealed[:-1] + b"x"),
    "begin": lambda row: replace(row, created_at=0),
    "end": lambda row: replace(row, expires_at=row.expires_at - 1),
    "version": lambda row: replace(row, version=2),
    "authenticator": lambda row: replace(row, mac=bytes(32)),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_an_altered_row_is_no_lock(codec: LockCodec, alter: Callable[[LockRow], LockRow]) -> None:
    """Nobody who can write to the database shortens, widens or moves a lock unseen."""
    row = codec.new_row(NODE, WANTED, now=NOW)
    with pytest.raises(CorruptRow):
        codec.open_lock(alter(row))


def test_a_row_of_another_account_is_no_lock(codec: LockCodec, bob: Drive) -> None:
    """Even if the server itself vouches for it: the owner is sealed under the account's key."""
    row = codec_of(bob).new_row(NODE, WANTED, now=NOW)
    with pytest.raises(CorruptRow):
        codec.open_lock(row)


def test_an_owner_stays_with_its_lock(alice: Drive, codec: LockCodec) -> None:
    """The owner of one lock cannot be shown for another, not even by who can vouch for rows."""
    one, other = (codec.new_row(NODE, WANTED, now=NOW) for _ in range(2))
    swapped = alice.store.keyring.with_mac(replace(one, owner_sealed=other.owner_sealed))
    with pytest.raises(CorruptRow):
        codec.open_lock(swapped)
