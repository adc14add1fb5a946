"""Caches by key, bytes and time, in this process and in Redis; the package depends on no other of the product."""
