"""Bringing a database to the schema of this version, in one transaction: all revisions or none.

It must run before any fork, and after the master key was checked (`keyring.open_keyring` does both in order).
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from davserver.db.engine import Database
from davserver.errors import ConfigError

_SCRIPTS = Path(__file__).with_name("migrations")

_TABLE = "alembic_version"
_CURRENT = text(f"SELECT version_num FROM {_TABLE}")  # noqa: S608 - a constant


def upgrade(database: Database) -> None:
    """Create or migrate every table; writes nothing if the schema is this version's.

    Raises:
        ConfigError: the database was made by a newer version.
    """
    known = revisions()
    with database.read() as tx:
        current = _current(tx._connection)  # noqa: SLF001 - same package
    if current == known[-1]:
        return
    if current is not None and current not in known:
        raise ConfigError("the database was made by a newer version of sealdav: install that one")
    with database.write() as tx:
        _run(tx._connection)  # noqa: SLF001 - same package
        tx.commit()


def revisions() -> list[str]:
    """All that this version knows, the oldest first; files are named after them."""
    return sorted(path.name.partition("_")[0] for path in (_SCRIPTS / "versions").glob("*_*.py"))


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_TABLE):
        return None
    found: str | None = connection.execute(_CURRENT).scalar()
    return found


def _run(connection: Connection) -> None:
    # Loaded for this only: it takes 11 MB, which a server would keep for as long as it runs.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
