"""What may be shown of a text: no address in it keeps its user name and password (RFC 3986 §3.2.1).

Everything goes through it that is written down for people to read: ledger, notifications, the API, logs,
findings. What is to be requested keeps them.
"""

import re
from typing import Final

__all__ = ["without_userinfo"]

# Greedy: of several @ the last one counts. In a document the @ may be a character reference. A blank is part
# of a password where it is known how the address ends, by a quote or a tag. Each try ends at the next slash,
# so that a text costs no more than its length.
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
    """Return ``text``, an address or anything in which addresses may stand, without their credentials."""
    return _USERINFO.sub(lambda found: found[found.lastgroup or 0], text)
