"""Which provider the settings choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from davserver.bootstrap import Services, build_services
from davserver.identity.directory import KeycloakDirectory
from davserver.identity.keycloak import KeycloakSignOn
from davserver.settings import load_settings
from tests.fake_keycloak import CLIENT, SECRET, FakeKeycloak


def built(folder: Path, identity: dict[str, object]) -> Services:
    """Services on an empty store."""
    flags: dict[str, dict[str, object]] = {
        "storage": {"data_dir": folder / "data", "durability": "relaxed"},
        "keys": {"master_key_file": folder / "keys" / "master.key"},
        "identity": identity,
    }
    return build_services(load_settings(flags=flags))


def test_built_in_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else is there to sign in at; the accounts are the directory."""
    monkeypatch.chdir(tmp_path)
    services = built(tmp_path, {})
    assert services.single_sign_on is None
    assert services.directory is services.identity
    services.close()


def test_keycloak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeKeycloak) -> None:
    """It is not asked anything at the start: it may be down."""
    monkeypatch.chdir(tmp_path)
    identity: dict[str, object] = {
        "provider": "keycloak",
        "issuer": fake.issuer,
        "client_id": CLIENT,
        "client_secret": SECRET,
    }
    services = built(tmp_path, identity)
    assert isinstance(services.single_sign_on, KeycloakSignOn)
    assert isinstance(services.directory, KeycloakDirectory)
    assert not fake.fetches
    services.close()
