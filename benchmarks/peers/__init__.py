"""Servers that Candlegraph is compared with, each in a process of its own."""
