"""Removal of user names and passwords from the addresses in a text (RFC 3986 §3.2.1).

Every text written for people passes through it: ledger, notifications, the API, logs, findings. URLs to
request keep their credentials.
"""

import re
from typing import Final

__all__ = ["without_userinfo"]

# The match is greedy: of several @ the last one counts. In a document the @ may be a character reference. A
# blank is part of a password where a quote or a tag ends the address. Each attempt ends at the next slash, so
# that the cost is linear in the length of the text.
_USERINFO: Final = re.compile(
    r"""
    (?: (?:^|(?<=[">])) (?P<first>\s*(?:https?:)?//) [^/?\#<>"]*
      | (?<=')          (?P<quoted>(?:https?:)?//)   [^/?\#<>']*
      |                 (?P<amid>//)                 [^\s/?\#<>"]*
    ) (?:@|&\#0*64;|&\#x0*40;)
    """,
    re.IGNORECASE | re.VERBOSE,
)


def without_userinfo(text: str) -> str:
    """Return ``text``, an address or a text with addresses in it, without their credentials."""
    if "//" not in text:  # most lines of the log
        return text
    return _USERINFO.sub(lambda found: found[found.lastgroup or 0], text)
