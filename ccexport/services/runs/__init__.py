"""Runs as people see them: documents, progress, retries, and what became of a person."""
