"""Knows keys, bytes and time, and nothing of our domain."""
