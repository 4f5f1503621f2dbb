"""Alembic's revisions lead to exactly the schema of `schema.py`, all at once or not at all."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from davserver.db import migrate
from davserver.db.engine import Database
from davserver.db.migrate import revisions, upgrade
from davserver.db.schema import metadata
from davserver.errors import ConfigError, StorageUnavailable

MIGRATIONS = Path(migrate.__file__).with_name("migrations")

SCHEMA = sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    made = Database(f"sqlite:///{tmp_path / 'new.db'}", durability="relaxed")
    yield made
    made.dispose()


def definitions(engine: sa.Engine) -> dict[str, list[str]]:
    """What SQLite remembers of every table and index; parts are sorted, since their order is free."""
    with engine.connect() as connection:
        return {
            name: sorted(part.strip() for part in re.sub(r"\s+", " ", sql).split(", "))
            for name, sql in connection.execute(SCHEMA)
        }


def test_revisions_lead_to_the_schema(database: Database) -> None:
    """Tables, columns, keys, indexes and table options of a migrated database are those of `schema.py`."""
    upgrade(database)
    declared = sa.create_engine("sqlite://")
    metadata.create_all(declared)
    assert definitions(database.engine) == definitions(declared)
    declared.dispose()


def test_alembic_sees_no_difference(database: Database) -> None:
    """Alembic's own comparison agrees, so the next revision starts from nothing."""
    upgrade(database)
    with database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_the_revisions_are_those_of_alembic() -> None:
    """Their order is that of the files' names, so that a current database is known without Alembic."""
    walked = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    assert revisions() == [one.revision for one in walked][::-1]


def test_a_server_that_starts_again_does_without_alembic(tmp_path: Path) -> None:
    """It would keep the memory of what it needs once in its life."""
    program = """if True:
        import sys
        from davserver.cli.processes import application
        from davserver.db.engine import Database
        from davserver.db.migrate import upgrade
        upgrade(Database(sys.argv[1], durability="relaxed"))
        print("alembic" in sys.modules)
    """
    url = f"sqlite:///{tmp_path / 'new.db'}"
    said = [subprocess.check_output([sys.executable, "-c", program, url], text=True) for _ in range(2)]
    assert said == ["True\n", "False\n"]


def test_a_current_database_is_not_written(database: Database, tmp_path: Path) -> None:
    """Upgrading twice changes nothing: a start on a full disk or a read-only folder gets this far."""
    upgrade(database)
    database.dispose()
    before = (tmp_path / "new.db").read_bytes()
    upgrade(database)
    database.dispose()
    assert (tmp_path / "new.db").read_bytes() == before


def as_of(database: Database, revision: str) -> None:
    """Make the tables as they were in an older version."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as tx:
        config.attributes["connection"] = tx._connection  # noqa: SLF001
        command.upgrade(config, revision)
        tx.commit()


ALICES: dict[str, dict[str, object]] = {
    "master_key": {"key_id": 1, "key_check": b"c", "created_at": 1},
    "account": {
        **dict.fromkeys(["account_id", "subject", "username", "state", "key_commitment", "mac"], b"alice"),
        **dict.fromkeys(["used", "sealed", "key_version", "structure_version", "created_at", "version"], 3),
        "master_key_id": 1,
    },
    "node": {
        **dict.fromkeys(["account_id", "parent_id", "name_sealed", "node_id", "blob_id"], b"alice"),
        **dict.fromkeys(["kind", "version"], 1),
        "metadata_sealed": b"m",
    },
    "property": dict.fromkeys(["account_id", "node_id", "name_sealed", "value_sealed"], b"alice"),
}
"""A row of each table."""


def test_a_store_with_data_gets_trash_and_versions(database: Database) -> None:
    """Accounts, nodes and what hangs on them stay as they are; nothing is kept yet, and can be."""
    as_of(database, "0008")
    before = {}
    with database.engine.begin() as connection:
        for table, row in ALICES.items():
            marks = ", ".join("?" * len(row))
            insert = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
            connection.exec_driver_sql(insert, tuple(row.values()))
            before[table] = connection.exec_driver_sql(f"SELECT * FROM {table}").one()._asdict()  # noqa: S608
        connection.exec_driver_sql(
            "INSERT INTO node_version SELECT account_id, x'00', 1, x'00', x'00', 1 FROM account"
        )
    upgrade(database)
    with database.engine.begin() as connection:
        for table, row in before.items():
            found = connection.exec_driver_sql(f"SELECT * FROM {table}").one()._asdict()  # noqa: S608
            assert found == row | ({"kept": 0} if table == "account" else {})
        connection.exec_driver_sql("INSERT INTO kept VALUES (?, ?, 1, 5, 7)", (b"alice", b"alice"))
        connection.exec_driver_sql("DELETE FROM node")
        for table in ("kept", "property"):
            assert connection.exec_driver_sql(f"SELECT * FROM {table}").all() == []  # noqa: S608
    assert "node_version" not in definitions(database.engine)


def test_a_newer_database_is_refused(database: Database) -> None:
    """A database of a later version is left alone, with words that say what to do."""
    upgrade(database)
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="newer version"):
        upgrade(database)


def test_an_upgrade_that_fails_leaves_nothing(database: Database) -> None:
    """A revision that breaks half-way is rolled back as a whole."""
    with database.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE inline_blob (in_the_way INTEGER)"))
    with pytest.raises(StorageUnavailable):
        upgrade(database)
    assert set(definitions(database.engine)) == {"inline_blob"}
