"""What an account at the stand-in holds and does: lists, contacts, imports and exports, sign-ins, limits."""
