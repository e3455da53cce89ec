"""Alembic environment and revisions; run by bridge/store/migrate.py."""
