"""Writes, one entity per module. Functions take a connection in a transaction and never commit it."""
