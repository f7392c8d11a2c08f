"""Segments: where profiles come from. It knows nothing of mappings, lists or HTTP."""
