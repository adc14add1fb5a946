"""Metrics in the text format of Prometheus, and their sources."""
