"""What a person agrees to before people's data leave for Constant Contact, and the text's version."""

from __future__ import annotations

CONSENT_VERSION = "1"
CONSENT_TEXT = (
    "By agreeing you instruct ccexport to send the profiles of the segments you choose to Constant Contact, outside "
    "the bounds within which your own systems protect them. They may hold personal data. You answer for having the "
    "right to send them, and for Constant Contact meeting the duties of privacy and security that apply to you. An "
    "administrator can remove the connection, and every export over it, at any time."
)
