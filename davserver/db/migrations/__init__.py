"""Alembic's revisions, run in this process by `davserver/db/migrate.py`; there is no alembic.ini."""
