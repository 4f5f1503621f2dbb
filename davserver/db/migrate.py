"""Bringing a database to the schema of this version, in one transaction: all revisions or none.

It must run before any fork, and after the master key was checked (`keyring.open_keyring` does both in order).
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from davserver.db.engine import Database
from davserver.errors import ConfigError

_SCRIPTS = Path(__file__).with_name("migrations")


def upgrade(database: Database) -> None:
    """Create or migrate every table; writes nothing if the schema is this version's.

    Raises:
        ConfigError: the database was made by a newer version.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with database.read() as tx:
        current = MigrationContext.configure(tx._connection).get_current_revision()  # noqa: SLF001
    if current == scripts.get_current_head():
        return
    if current is not None and current not in {revision.revision for revision in scripts.walk_revisions()}:
        raise ConfigError("the database was made by a newer version of sealdav: install that one")
    with database.write() as tx:
        config.attributes["connection"] = tx._connection  # noqa: SLF001 - same package
        command.upgrade(config, "head")
        tx.commit()
