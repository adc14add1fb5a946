"""Processes: starting the database, serving, stopping."""
