"""What other programs do over the API, and their tokens."""
