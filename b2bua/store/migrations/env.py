"""What alembic runs: all migrations in the one transaction of the connection it was handed."""

from alembic import context

from b2bua.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
