"""Who is told when an export's state changes."""
