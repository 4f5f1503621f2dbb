"""A store that is made once and copied for every test: making one runs the migrations."""

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


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A copy of the template."""
    return shutil.copytree(template, tmp_path / "store")


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """A store with two empty accounts."""
    made = make_store(folder)
    yield made
    made.close()


@pytest.fixture
def alice(store: Store) -> Drive:
    """Alice's whole vault."""
    return store.drive("alice")


@pytest.fixture
def bob(store: Store) -> Drive:
    """Bob's whole vault."""
    return store.drive("bob")
