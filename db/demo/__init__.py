"""Demo data, to explore an empty installation. It is deterministic: loads in the same hour give the same data."""

from db.demo.loading import load

__all__ = ["load"]
