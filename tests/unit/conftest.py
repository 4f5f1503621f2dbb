"""Fixtures that every package's unit tests may use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A new store with its clock standing still."""
    made = make_world(tmp_path)
    yield made
    made.database.dispose()


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where everything temporary would go; whoever makes a temporary file is found out at once."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was asked for")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    yield folder
    assert list(folder.rglob("*")) == []
