"""The quota: bytes of plaintext, counted in the transaction that stores them, never exceeded."""

from __future__ import annotations

import threading

import pytest

from davserver.errors import DavserverError, QuotaExceeded
from davserver.model import Usage
from tests.unit.vault.store import Drive, Store

QUOTA = 100_000
BIG = 70_000  # more than one chunk: lives in the blob store


@pytest.fixture
def limited(store: Store, alice: Drive) -> Drive:
    """Alice's vault with a quota."""
    store.accounts.set_quota("alice", QUOTA)
    return alice


def test_usage_without_a_quota(store: Store, alice: Drive) -> None:
    """What the storage has left; the store itself is asked."""
    alice.put("/a", b"123")
    free = store.blobs.free_bytes()
    assert free is not None
    usage = alice.vault.usage()
    assert usage.used == 3
    assert usage.available is not None
    assert abs(usage.available - free) < 1 << 30


def test_usage_with_a_quota(store: Store, limited: Drive) -> None:
    """What the quota has left, never less than nothing."""
    limited.put("/a", b"123")
    assert limited.vault.usage() == Usage(3, QUOTA - 3)
    store.accounts.set_quota("alice", 2)
    assert limited.vault.usage() == Usage(3, 0)


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("size", [QUOTA, BIG, 10])
def test_the_exact_boundary(store: Store, limited: Drive, size: int, *, announced: bool) -> None:
    """What fits exactly is stored, one byte more is not; announced or not."""
    limited.put("/fill", bytes(QUOTA - size))
    for path, length in (("/more", size + 1), ("/exact", size)):
        options = {"expected_size": length} if announced else {}
        if length > size:
            with pytest.raises(QuotaExceeded):
                limited.put(path, bytes(length), **options)
        else:
            limited.put(path, bytes(length), **options)
    assert limited.vault.usage() == Usage(QUOTA, 0)
    with pytest.raises(QuotaExceeded):
        limited.put("/one", b"1")
    limited.put("/empty")
    store.assert_tidy()


def test_an_announced_length_is_refused_before_the_body(limited: Drive) -> None:
    """The client need not send what cannot be stored."""
    with pytest.raises(QuotaExceeded):
        limited.begin("/a", expected_size=QUOTA + 1)


def test_a_body_is_refused_when_it_passes_the_quota(limited: Drive) -> None:
    """Not only after all of it arrived."""
    with limited.begin("/a") as upload:
        upload.write(bytes(QUOTA))
        with pytest.raises(QuotaExceeded):
            upload.write(b"1")


@pytest.mark.parametrize("days", [0, 30])
def test_overwriting_counts_the_difference(store: Store, limited: Drive, days: int) -> None:
    """A larger file fits if the old one makes room; a smaller one frees bytes, or keeps those it replaces."""
    store.keep(keep_days=days)
    limited.put("/a", bytes(BIG))
    limited.put("/a", bytes(QUOTA))
    assert limited.used == QUOTA
    with pytest.raises(QuotaExceeded):
        limited.put("/a", bytes(QUOTA + 1))
    assert len(limited.get("/a")) == QUOTA
    limited.put("/a", bytes(3))
    assert limited.used == 3, "there was no room for both"
    limited.put("/a")
    assert (limited.live, limited.used) == (0, 3 if days else 0)
    store.assert_tidy()


def test_copies_count_in_full(store: Store, limited: Drive) -> None:
    """Although no byte is stored twice; and one too many is refused as a whole."""
    limited.mkdir("/c")
    limited.put("/c/a", bytes(30_000))
    limited.put("/c/b", bytes(10_000))
    limited.copy("/c", "/c2")
    assert limited.used == 80_000
    with pytest.raises(QuotaExceeded):
        limited.copy("/c", "/c3")
    assert limited.names() == ["c", "c2"]
    limited.copy("/c/b", "/b2")
    limited.copy("/c/b", "/b3")
    assert limited.used == QUOTA
    with pytest.raises(QuotaExceeded):
        limited.copy("/c/b", "/b4")
    store.assert_tidy()


def test_a_copy_over_something_counts_what_it_replaces(limited: Drive) -> None:
    """Both in one transaction: a full account may replace like by like."""
    limited.put("/a", bytes(50_000))
    limited.put("/b", bytes(50_000))
    limited.copy("/a", "/b", overwrite=True)
    assert limited.used == QUOTA


@pytest.mark.parametrize("days", [0, 30])
def test_delete_and_move_with_overwrite_free_bytes(store: Store, limited: Drive, days: int) -> None:
    """Or let them give way to what is written, as long as they are kept; a plain move changes nothing."""
    store.keep(keep_days=days)
    limited.mkdir("/c")
    limited.put("/c/a", bytes(10))
    limited.put("/c/b", bytes(200))
    limited.put("/d", bytes(3_000))
    limited.move("/d", "/e")
    assert limited.used == 3_210
    limited.move("/c/a", "/c/b", overwrite=True)
    assert limited.live == 3_010
    limited.move("/e", "/c", overwrite=True)
    assert limited.live == 3_000
    limited.delete("/c")
    assert (limited.live, limited.used) == (0, 3_210 if days else 0)
    assert limited.vault.usage().available == QUOTA


def test_an_account_over_its_quota_may_still_shrink(store: Store, limited: Drive) -> None:
    """When the quota was lowered below what is there: no more comes in, everything may go out."""
    limited.put("/a", bytes(BIG))
    limited.put("/b", bytes(10))
    store.accounts.set_quota("alice", 5)
    with pytest.raises(QuotaExceeded):
        limited.put("/c", b"1")
    limited.put("/empty")
    limited.put("/a", bytes(BIG - 1))
    assert limited.used == BIG - 1 + 10, "what is over the quota is not kept beside what replaces it"
    limited.move("/b", "/a", overwrite=True)
    limited.delete("/a")
    assert limited.live == 0
    store.clock.advance(days=1)
    store.collect()
    assert limited.used <= 5


def test_quotas_are_apart(limited: Drive, bob: Drive) -> None:
    """One account's bytes are not counted in another's."""
    bob.put("/a", bytes(QUOTA + 1))
    limited.put("/a", bytes(QUOTA))
    assert (limited.used, bob.used) == (QUOTA, QUOTA + 1)


def test_quota_filled_while_a_body_arrives(store: Store, limited: Drive) -> None:
    """What was free at the beginning may be taken at the end: the commit decides."""
    with limited.begin("/late", expected_size=BIG) as upload:
        upload.write(bytes(BIG))
        limited.put("/first", bytes(BIG))
        with pytest.raises(QuotaExceeded):
            upload.commit()
    assert limited.names() == ["first"]
    store.assert_tidy()


def test_uploads_at_once_never_exceed_it(store: Store, limited: Drive) -> None:
    """All of them see room when they begin; exactly as many are stored as fit."""
    uploads = [limited.begin(f"/{number}", expected_size=30_000) for number in range(6)]
    refused: list[DavserverError] = []

    def send(number: int) -> None:
        try:
            uploads[number].write(bytes(30_000))
            uploads[number].commit()
        except QuotaExceeded as error:
            refused.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert limited.used == 90_000
    assert len(limited.listing()) == 3
    store.assert_tidy()
