"""Whether the media of a leg that we make are encrypted.

Source: RFC 4568 §8.3 (the key is in the SDP: whoever reads that, hears).
"""

from typing import Literal

from b2bua.core.commands import Srtp
from b2bua.core.errors import PeerError
from b2bua.sip.uri import parse_uri

__all__ = ["media_encryption"]


def media_encryption(uri: str, general: Srtp, own: Srtp | Literal[""] = "") -> Srtp:
    """What is offered to ``uri``.

    What is optional for all is only offered where the INVITE is encrypted too; what is required, or set for
    one trunk or user, is its operator's to judge.

    Args:
        uri: Request-URI of the INVITE.
        general: ``rtp.srtp``.
        own: of the trunk or user; empty: nothing of its own.
    """
    if own or general != "optional":
        return own or general
    try:
        return "optional" if parse_uri(uri).secure else "off"
    except PeerError:
        return "off"
