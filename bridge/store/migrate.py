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
            f"the database is at revision {current}, which this version of sipbridge does not know"
        )
    command.upgrade(config, "head")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "bridge.store:migrations")
    config.attributes["connection"] = connection
    return config
