"""Screens: what each page draws, a file a page, with pieces of it beside where a page is large."""
