"""Memory that processes share without a lock: what is found there is what was kept, or nothing is found."""

from __future__ import annotations

import mmap
import random
import time
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from davserver.crypto.primitives import sha256
from davserver.vault.shared_memory import BYTES_A_SLOT, SharedMemory
from tests.unit.vault.forking import forked

MEBIBYTE = 1 << 20
SMALL = 4 * BYTES_A_SLOT
LARGEST = SMALL - 1000
"""A piece that has the ring for itself: the rest is for the table."""

KEYS = [bytes([number]) for number in range(12)]


def small() -> SharedMemory:
    """With room for a few pieces, and four slots."""
    return SharedMemory(mmap.mmap(-1, SMALL))


def told(key: bytes, length: int) -> bytes:
    """Data that says of itself whose and how long it is."""
    return (sha256(key + length.to_bytes(8, "big")) * (length // 32 + 1))[:length]


def is_told(key: bytes, data: bytes) -> bool:
    """Whether it is data of this key, from one keeping, and whole."""
    return data == told(key, len(data))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(KEYS), st.integers(0, LARGEST)), max_size=40))
def test_what_is_found_is_what_was_kept_last(steps: list[tuple[bool, bytes, int]]) -> None:
    """Whatever is kept and asked for, however large, and however often the ring has come around."""
    memory, kept = small(), dict[bytes, bytes]()
    for keeps, key, length in steps:
        if keeps:
            kept[key] = told(key, length)
            memory.keep(key, kept[key])
            assert memory.find(key) == kept[key]
        else:
            assert memory.find(key) in {None, kept.get(key)}


def test_the_oldest_goes_first_and_what_is_asked_for_stays() -> None:
    """However many are kept meanwhile, as long as it is asked for from time to time; memory does not grow."""
    memory = SharedMemory(mmap.mmap(-1, 10 * MEBIBYTE))
    names = [b"%d" % number for number in range(100)]
    for name in (b"wanted", b"unwanted"):
        memory.keep(name, told(name, MEBIBYTE))
    for number, name in enumerate(names):
        memory.keep(name, told(name, MEBIBYTE))
        assert number % 3 or memory.find(b"wanted")
    assert memory.find(b"unwanted") is None
    left = [name for name in reversed(names) if memory.find(name)]
    assert left == names[: -len(left) - 1 : -1]
    assert 4 < len(left) < 10


def test_what_is_too_large_is_not_kept() -> None:
    """It pushes out nothing either."""
    memory = small()
    memory.keep(b"a", b"data")
    memory.keep(b"large", bytes(SMALL))
    assert (memory.find(b"large"), memory.find(b"a")) == (None, b"data")


def test_torn_writes_are_not_there() -> None:
    """A write broken off at each byte, from either end: what was there, what was to be there, or nothing."""
    ring = mmap.mmap(-1, SMALL)
    memory, (key, other) = SharedMemory(ring), KEYS[:2]
    memory.keep(key, told(key, 3000))
    memory.keep(other, told(other, 3000))
    before = ring[:]
    memory.keep(key, told(key, 2000))  # there is no room behind: over the first one
    after = ring[:]
    changed = [at for at in range(SMALL) if before[at] != after[at]]
    assert len(changed) > 1000
    seen: dict[bytes, set[int | None]] = {key: set(), other: set()}
    for cut in changed:
        for torn in (after[:cut] + before[cut:], before[:cut] + after[cut:]):
            for one, lengths in seen.items():
                ring[:] = torn
                found = memory.find(one)
                assert found is None or is_told(one, found)
                lengths.add(None if found is None else len(found))
    assert seen == {key: {3000, None, 2000}, other: {3000}}


def test_of_any_bytes_nothing_is_found() -> None:
    """And they keep nobody from keeping something."""
    ring = mmap.mmap(-1, SMALL)
    memory = SharedMemory(ring)
    for number in range(100):
        ring[:] = random.Random(number).randbytes(SMALL)
        assert [memory.find(key) for key in KEYS] == [None] * len(KEYS)
    memory.keep(KEYS[0], b"data")
    assert memory.find(KEYS[0]) == b"data"


# ── several processes
def keep_on(memory: SharedMemory, seed: int) -> None:
    """Keep data under all keys, for ever."""
    chance = random.Random(seed)
    while True:
        key = chance.choice(KEYS)
        memory.keep(key, told(key, chance.randrange(SMALL // 3)))


def test_writers_at_once_are_never_mixed_up() -> None:
    """While they write over each other all the time: each piece that is found is one that was kept."""
    memory = small()
    with forked(partial(keep_on, memory, 1)), forked(partial(keep_on, memory, 2)):
        found = 0
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            for key in KEYS:
                data = memory.find(key)
                assert data is None or is_told(key, data)
                found += data is not None
    assert found


def test_a_writer_that_is_killed_leaves_nothing_wrong() -> None:
    """Whenever it is; who comes after it keeps and finds as ever."""
    memory = small()
    for number in range(20):
        with forked(partial(keep_on, memory, number)):
            time.sleep(0.01 + number / 2000)
        assert all((data := memory.find(key)) is None or is_told(key, data) for key in KEYS)
        memory.keep(b"after", told(b"after", number))
        assert memory.find(b"after") == told(b"after", number)
