"""Sends segments of unified customer profiles to Constant Contact lists, and accounts for every profile."""

__version__ = "0.1.0"
