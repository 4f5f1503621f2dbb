"""How Alembic reaches the database: over the connection and inside the transaction of `migrate.upgrade`.

It must never open a connection of its own. Alembic runs this file; nothing imports it.
"""

from __future__ import annotations

from alembic import context

from davserver.db.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
