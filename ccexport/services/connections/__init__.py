"""Connections: accounts at Constant Contact, signing in there, and their lists and fields."""
