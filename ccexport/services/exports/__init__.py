"""Exports: setting them up, checking drafts, schedules, and exports as YAML files."""
