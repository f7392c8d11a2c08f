"""What a person agrees to before people's data leave for Constant Contact, and the text's version.

Another text is another version, and an administrator has to agree again for each connection: nothing new is read or
sent over it before. The texts of before stay here, so that a consent of then can be read.
"""

from __future__ import annotations

CONSENT_TEXTS = {
    "1": (
        "By agreeing you instruct ccexport to send the profiles of the segments you choose to Constant Contact, "
        "outside the bounds within which your own systems protect them. They may hold personal data. You answer for "
        "having the right to send them, and for Constant Contact meeting the duties of privacy and security that "
        "apply to you. An administrator can remove the connection, and every export over it, at any time."
    ),
}
CONSENT_VERSION = list(CONSENT_TEXTS)[-1]  # the last one counts
CONSENT_TEXT = CONSENT_TEXTS[CONSENT_VERSION]
