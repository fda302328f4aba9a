"""Decides whether the media of an outbound leg are encrypted.

Source: RFC 4568 §8.3 (the SDP carries the key: anyone who can read the SDP can decrypt the media).
"""

from typing import Literal

from b2bua.core.commands import Srtp
from b2bua.core.errors import PeerError
from b2bua.sip.uri import parse_uri

__all__ = ["media_encryption"]


def media_encryption(uri: str, general: Srtp, own: Srtp | Literal[""] = "") -> Srtp:
    """Return the SRTP setting for an INVITE to ``uri``.

    SRTP that is generally optional is offered only if the INVITE is encrypted too; a general requirement, or
    a setting of one trunk or user, is the operator's own decision and is applied as it is.

    Args:
        uri: Request-URI of the INVITE.
        general: ``rtp.srtp``.
        own: the setting of the trunk or user; empty: it has none.
    """
    if own or general != "optional":
        return own or general
    try:
        return "optional" if parse_uri(uri).secure else "off"
    except PeerError:
        return "off"
