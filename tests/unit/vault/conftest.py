"""One store for all tests, set back for each: making one runs the migrations and compiles every statement."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.vault.store import Drive, Store, make_store


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new store with the accounts "alice" and "bob"."""
    folder = tmp_path_factory.mktemp("template")
    make_store(folder).close()
    return folder


@pytest.fixture(scope="session")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store that is set back for each test; not to be closed by one."""
    made = make_store(shutil.copytree(template, tmp_path_factory.mktemp("shared") / "store"))
    yield made
    made.close()


@pytest.fixture
def store(template: Path, shared: Store) -> Store:
    """A store with two empty accounts."""
    shared.reset(template)
    return shared


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """The folder of such a store, for a test that opens it itself, with other limits."""
    return shutil.copytree(template, tmp_path / "store")


@pytest.fixture
def alice(store: Store) -> Drive:
    """Alice's whole vault."""
    return store.drive("alice")


@pytest.fixture
def bob(store: Store) -> Drive:
    """Bob's whole vault."""
    return store.drive("bob")
