"""The accounts of one realm's people are never those of another's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from davserver.accounts.issuer import require_issuer
from davserver.bootstrap import build_services
from davserver.errors import ConfigError
from davserver.settings import load_settings
from tests.factories import World

OURS = "https://id.example.org/realms/ours"
OTHER = "https://id.example.org/realms/other"
SUBJECT = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


def known(world: World) -> str | None:
    """What the store remembers."""
    with world.database.read() as tx:
        return tx.instance.issuer()


def test_another_realm_gets_nobodys_account(world: World) -> None:
    """The message names the realm whose people they are; with it everything goes on."""
    require_issuer(world.database, OURS)
    world.accounts.create("alice", SUBJECT)
    with pytest.raises(ConfigError, match=f"belong to people of {OURS}"):
        require_issuer(world.database, OTHER)
    assert known(world) == OURS
    require_issuer(world.database, OURS)


def test_a_realm_that_has_moved_is_told_once(world: World) -> None:
    """With its former name; from then on the new one counts, and the former one alone does not."""
    require_issuer(world.database, OURS)
    world.accounts.create("alice", SUBJECT)
    require_issuer(world.database, OTHER, OURS)
    assert known(world) == OTHER
    require_issuer(world.database, OTHER)
    with pytest.raises(ConfigError):
        require_issuer(world.database, OURS)


def test_a_slip_can_be_put_right_while_nobody_has_come(world: World) -> None:
    """Accounts of this server itself belong to no realm."""
    require_issuer(world.database, OTHER)
    world.accounts.create("bob")
    require_issuer(world.database, OURS)
    assert known(world) == OURS


def test_a_store_of_before_belongs_to_the_realm_that_is_set(world: World) -> None:
    """It was made when nothing was remembered yet."""
    world.accounts.create("alice", SUBJECT)
    require_issuer(world.database, OURS)
    assert known(world) == OURS


def test_the_server_does_not_start_with_another_realm(tmp_path: Path) -> None:
    """Nor does any command; with built-in accounts nothing is asked."""
    places: dict[str, Mapping[str, object]] = {
        "storage": {"data_dir": str(tmp_path / "data"), "durability": "relaxed"},
        "keys": {"master_key_file": str(tmp_path / "keys" / "master.key")},
    }

    def identity(issuer: str, former: str = "") -> dict[str, Mapping[str, object]]:
        client = {"provider": "keycloak", "client_id": "dav", "client_secret": "public knowledge"}
        return {"identity": {**client, "issuer": issuer, "former_issuer": former}}

    with closing(build_services(load_settings(flags={**places, **identity(OURS)}))) as services:
        services.accounts.create("alice", SUBJECT)
    with pytest.raises(ConfigError, match=r"identity\.former_issuer"):
        build_services(load_settings(flags={**places, **identity(OTHER)}))
    build_services(load_settings(flags=places)).close()
    build_services(load_settings(flags={**places, **identity(OTHER, OURS)})).close()
