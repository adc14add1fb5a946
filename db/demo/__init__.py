"""Data to explore before having any of one's own: the same for everybody who starts in the same hour."""

from db.demo.loading import load

__all__ = ["load"]
