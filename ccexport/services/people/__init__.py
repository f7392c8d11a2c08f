"""People: who they are, their roles, what each role may do, and the audit of what they did."""
