"""What people do: connections, exports, runs, segments. Pages and commands call these and nothing below them."""
