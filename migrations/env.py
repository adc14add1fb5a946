"""Alembic's environment: runs migrations on the connection that db/migrate.py passes."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes.get("connection"),
    target_metadata=attributes.get("metadata"),
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
