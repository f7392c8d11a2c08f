"""The database itself: engine, tables, column types, migrations, the audit's rows within a transaction."""
