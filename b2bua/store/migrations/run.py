"""Upgrades a database to the tables of this version."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection

from b2bua.core.errors import ConfigError

__all__ = ["upgrade"]

log = logging.getLogger(__name__)


def upgrade(connection: Connection) -> None:
    """Run the migrations that have not been run yet, within the transaction of ``connection``.

    Raises:
        ConfigError: the database belongs to a later version of this program.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    before = _revision(connection)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(f"storage: the database is of another version of b2bua: {error}") from error
    after = _revision(connection)
    if before != after:
        log.info("database upgraded", extra={"from_revision": before, "to_revision": after})


def _revision(connection: Connection) -> str | None:
    """Return the revision of the database's tables; None: it has none."""
    return MigrationContext.configure(connection).get_current_revision()
