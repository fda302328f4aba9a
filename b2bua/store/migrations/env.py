"""The script that alembic runs: all migrations, within the transaction of the given connection."""

from alembic import context

from b2bua.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
