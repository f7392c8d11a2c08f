"""Previews: what a run of an export would send and leave out, for a page that is typed into and for commands."""
