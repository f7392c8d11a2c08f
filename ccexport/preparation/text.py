"""Cleaning of a value: control characters, and white space at its edges, written out: engines differ in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir

CONTROLS = r"\x00-\x1f\x7f-\x9f"  # Unicode category Cc; to stand in a class
# Unicode white space other than control characters; to stand in a class
BLANKS = " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_CONTROL, _WHITE = f"[{CONTROLS}]", f"[{BLANKS}]"
_DIRTY = f"^{_WHITE}|{_CONTROL}|{_WHITE}$"
_DIRTY_AMONG_OTHERS = rf"(^|\|){_WHITE}|{_CONTROL}|{_WHITE}(\||$)"


def clean(text: ir.StringValue) -> ir.StringValue:
    """Runs of control characters become one blank, then white space is trimmed off both ends; null where blank."""
    blanked = text.re_replace(f"{_CONTROL}+", " ")
    cleaned = blanked.re_replace(f"^{_WHITE}+|{_WHITE}+$", "")
    # To look costs less than to replace.
    return text.re_search(_DIRTY).ifelse(cleaned, text).nullif("")


def looks_dirty(joined: ir.StringValue) -> ir.BooleanValue:
    """Whether `clean` might change a part of text joined by `|`. May say yes without need, never no wrongly."""
    return joined.re_search(_DIRTY_AMONG_OTHERS)


def clean_constant(text: str, *, is_whole: bool) -> str:
    """A text of the mapping by the same rule; a part of a template keeps its blanks at the edges."""
    blanked = re.sub(f"{_CONTROL}+", " ", text)
    return re.sub(f"^{_WHITE}+|{_WHITE}+$", "", blanked) if is_whole else blanked
