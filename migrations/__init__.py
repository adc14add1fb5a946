"""The schema's history: dated revisions in versions/, and tables.py, which they share."""
