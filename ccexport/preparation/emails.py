"""The address of a contact: what is trimmed off its edges, what is a valid one, how long it may be.

The rule is checked before anything is lower-cased, and lower-casing touches A to Z alone: an address that is sent has
no other letters, so that no other letter (a Kelvin sign) can become one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccexport.preparation.text import BLANKS, clean

if TYPE_CHECKING:
    import ibis.expr.types as ir

MAX_EMAIL = 80  # characters (V3 contact contract)
MAX_PLAIN_EMAIL = (
    50  # characters; the import contract says so: longer ones go in files of their own
)
HIDDEN = "\u200b-\u200d\u2060\ufeff"  # letters without a width; at the edges they are nobody's wish

_LABEL = "[{0}]([{0}-]*[{0}])?"
_ATEXT = "[{0}!#$%&'*+/=?^_`{{|}}~-]+"
# The WHATWG rule, at least one dot in the domain, no leading, trailing or double dot in the local part. The rule's
# 63 characters a label are asked apart: counting makes every address slow for the sake of the rare long one.
_ADDRESS = rf"{_ATEXT}(\.{_ATEXT})*@{_LABEL}(\.{_LABEL})+"
LOWER_CASE_ADDRESS = _ADDRESS.format("a-z0-9")  # to be asked within a longer expression
_VALID = f"^{_ADDRESS.format('A-Za-z0-9')}$"
_LONG_LABEL = r"@(.*\.)?[A-Za-z0-9-]{64}"
SHORTEST_WITH_LONG_LABEL = 68  # a@ + 64 + .b

AT_EDGES = "".join(map(chr, range(0x21))) + "".join(map(chr, range(0x7F, 0xA1)))
AT_EDGES += (
    "\u1680"
    + "".join(map(chr, range(0x2000, 0x200E)))
    + "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
_EDGES = f"[{BLANKS}{HIDDEN}]+"
_A_TO_Z = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def clean_address(text: ir.StringValue) -> ir.StringValue:
    """A value trimmed as an address is; null where nothing is left."""
    return clean(text).re_replace(f"^{_EDGES}|{_EDGES}$", "").nullif("")


def is_valid(address: ir.StringValue) -> ir.BooleanValue:
    """The rule, on a trimmed address of at most `MAX_EMAIL` characters, in the letters that it came in."""
    short = address.length() < SHORTEST_WITH_LONG_LABEL
    return address.re_search(_VALID) & (short | ~address.re_search(_LONG_LABEL))


def as_sent(text: str) -> str:
    """An address as it would be sent, of one that somebody types or that stands in a cell."""
    return text.strip(AT_EDGES).translate(_A_TO_Z)
