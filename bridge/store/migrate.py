"""Brings a database to the newest revision; works from an installed package, without alembic.ini.

Called by Store at control's start, on the connection it is given; synchronous, inside run_sync.
"""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bridge.errors import StoreError


def upgrade(connection: Connection) -> None:
    """Apply the missing revisions. StoreError when the database is newer than this program."""
    config = _config(connection)
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"the database is at revision {current}, which this version of sipbridge does not know (it knows up to "
            f"{revisions()[0]}): a newer one wrote it. Install that again, or restore a backup: ops/upgrade.md"
        )
    command.upgrade(config, "head")


def revisions() -> tuple[str, tuple[str, ...]]:
    """(this program's newest revision, all that it knows)."""
    scripts = _scripts()
    return str(scripts.get_current_head()), tuple(one.revision for one in scripts.walk_revisions())


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "bridge.store:migrations")
    return ScriptDirectory.from_config(config)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "bridge.store:migrations")
    config.attributes["connection"] = connection
    return config
