"""Operation: refreshes, segments, backups, keys, the health of the installation."""
