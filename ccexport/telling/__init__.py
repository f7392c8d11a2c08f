"""Tells other programs what changed: knows the outbox, and nothing of runs."""
