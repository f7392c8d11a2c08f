"""Values shown as examples: enough to know what kind of thing a column holds, too little to know whose it is."""

from __future__ import annotations

import re

_LONGEST = 30


def mask_value(value: str) -> str:
    """The first character of each word and all punctuation; other letters as •, other digits as 0."""
    short = value if len(value) <= _LONGEST else value[:_LONGEST] + "…"
    return re.sub(r"\w+", lambda word: _mask_word(word.group()), short)


def _mask_word(word: str) -> str:
    return word[0] + "".join("0" if c.isdigit() else "•" for c in word[1:])
