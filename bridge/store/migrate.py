"""Brings a database to the newest revision; works from an installed package, without alembic.ini.

Called by Store at control's start, on the connection it is given; synchronous. Revisions only add, so that during a
rolling upgrade programs of two versions share one database: one that is older than the database goes on when the
database says that it may (`schema_state.works_from`), and two that begin at once take turns.
"""

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bridge.errors import StoreError
from bridge.store.database import lock
from bridge.store.tables import schema_state

log = structlog.get_logger(__name__)


def upgrade(connection: sa.Connection) -> None:
    """Apply the missing revisions. StoreError when the database is too new for this program."""
    lock(connection, "migrations")
    config = _config(connection)
    current = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(config)
    if current is not None and current == scripts.get_current_head():
        return
    known = {script.revision for script in scripts.walk_revisions()}
    if current is None or current in known:
        command.upgrade(config, "head")
        return
    works_from = _works_from(connection)
    if works_from not in known:
        raise StoreError(
            f"the database is at revision {current}, which this version of sipbridge does not know (it knows up to "
            f"{revisions()[0]}): a newer one wrote it. Install that again, or restore a backup: ops/upgrade.md"
        )
    log.warning("store.newer", revision=current, mine=scripts.get_current_head(), works_from=works_from)


def revisions() -> tuple[str, tuple[str, ...]]:
    """(newest, all) of the revisions that this program knows."""
    scripts = _scripts()
    return str(scripts.get_current_head()), tuple(one.revision for one in scripts.walk_revisions())


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "bridge.store:migrations")
    return ScriptDirectory.from_config(config)


def _works_from(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(schema_state.name):
        return None
    found: str | None = connection.execute(sa.select(schema_state.c.works_from)).scalar_one_or_none()
    return found


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "bridge.store:migrations")
    config.attributes["connection"] = connection
    return config
