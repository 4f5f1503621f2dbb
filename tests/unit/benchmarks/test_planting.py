"""Files that the benchmark plants are files like any other."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from benchmarks import store
from benchmarks.planting import BATCH, CONTENT, plant
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.logs import restored_logging

NAMES = [str(number) for number in range(BATCH + 1)]


def test_planted_files_are_whole(tmp_path: Path) -> None:
    """They are listed, read back, counted against the quota, and `verify` has nothing to say against them."""
    with restored_logging(), store.services(tmp_path) as built:
        store.enrol(built)
        access = store.access(built)
        plant(access, VaultPath(("folder",)), NAMES)
        vault = Vault(access)
        nodes = list(vault.listing(vault.stat(VaultPath(("folder",)))))
        assert {node.name for node in nodes} == set(NAMES)
        with closing(vault.read(nodes[0])) as download:
            assert b"".join(bytes(block) for block in download.blocks(0, len(CONTENT))) == CONTENT
        assert vault.usage().used == len(NAMES) * len(CONTENT)
        assert built.maintenance.verify().problems == []
