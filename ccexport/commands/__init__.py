"""The commands, one file a noun, over the services. `cli.py` puts them together."""
