"""Any range of any file, around every edge of chunks and runs, from the database and from the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.crypto.layout import CHUNK_BYTES
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from davserver.vault.upload import RUN_BYTES
from tests.factories import make_principal, make_vaults, make_world

SIZES = [
    0,
    1,
    CHUNK_BYTES - 1,
    CHUNK_BYTES,
    CHUNK_BYTES + 1,
    3 * CHUNK_BYTES,
    RUN_BYTES - 1,
    RUN_BYTES,
    RUN_BYTES + 1,
    2 * RUN_BYTES + 3 * CHUNK_BYTES + 5,
]
CONTENT = b"".join(number.to_bytes(4, "big") for number in range(SIZES[-1] // 4 + 1))[: SIZES[-1]]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """A vault with one file of each size, named by it."""
    folder: Path = tmp_path_factory.mktemp("ranges")
    world = make_world(folder)
    vaults = make_vaults(world)
    made = vaults.open(make_principal(world.accounts.create("alice"), world.clock))
    for size in SIZES:
        with made.write(VaultPath((str(size),))) as upload:
            upload.write(CONTENT[:size])
            upload.commit()
    yield made
    vaults.close()
    world.database.dispose()


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    """A size, and a range that is not empty; most of its ends lie near an edge."""
    size = draw(st.sampled_from(SIZES[1:]))
    edges = [edge for edge in range(0, size + 1, CHUNK_BYTES) if edge < size] + [size]
    near = st.builds(lambda edge, offset: edge + offset, st.sampled_from(edges), st.integers(-2, 2))
    point = st.one_of(near, st.integers(0, size)).filter(lambda value: 0 <= value <= size)
    start = draw(point.filter(lambda value: value < size))
    return size, start, draw(point.filter(lambda value: value > start))


@given(ranges())
def test_any_range_is_that_part_of_the_content(vault: Vault, wanted: tuple[int, int, int]) -> None:
    """Byte for byte, in blocks of at most one run."""
    size, start, stop = wanted
    with vault.read(vault.stat(VaultPath((str(size),)))) as download:
        blocks = [bytes(block) for block in download.blocks(start, stop)]
    assert b"".join(blocks) == CONTENT[start:stop]
    assert all(0 < len(block) <= RUN_BYTES for block in blocks)


@pytest.mark.parametrize("size", SIZES)
def test_the_whole_file(vault: Vault, size: int) -> None:
    """Without a range, everything; an empty file too."""
    with vault.read(vault.stat(VaultPath((str(size),)))) as download:
        assert download.size == size
        assert b"".join(bytes(block) for block in download.blocks()) == CONTENT[:size]


@given(st.sampled_from(SIZES), st.integers(-5, SIZES[-1] + 5), st.integers(-5, SIZES[-1] + 5))
def test_a_range_outside_the_file_is_refused(vault: Vault, size: int, start: int, stop: int) -> None:
    """Also an empty or a reversed one: nothing is guessed."""
    if 0 <= start < stop <= size or start == stop == size == 0:
        return
    with (
        vault.read(vault.stat(VaultPath((str(size),)))) as download,
        pytest.raises(ValueError, match="range"),
    ):
        download.blocks(start, stop)
