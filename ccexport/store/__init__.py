"""The store: tables, migrations, one small class a noun, run files. The only room that knows SQL.

It knows nothing of HTTP or of screens. Each method is one short transaction; none stays open across a network call.
"""
