"""Run migrations on the connection that the caller hands over (db/migrate.py, through candlegraph db)."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes.get("connection"),
    target_metadata=attributes.get("metadata"),
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
