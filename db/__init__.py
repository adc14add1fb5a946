"""The PostgreSQL layer: connections, models, queries, writes and maintenance."""
