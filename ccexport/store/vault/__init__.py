"""What lies encrypted: keys, tokens, run files, backups."""
