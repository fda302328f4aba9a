"""Random ids. The only place where they are made."""

import secrets

from b2bua.core.ids import CallSid, LegId, RecordingSid, SipCallId

__all__ = ["RandomIds"]


class RandomIds:
    """See ``flow.context.Ids``."""

    def call_sid(self) -> CallSid:
        """``CA`` and 32 hexadecimal digits."""
        return CallSid(f"CA{secrets.token_hex(16)}")

    def recording_sid(self) -> RecordingSid:
        """``RE`` and 32 hexadecimal digits."""
        return RecordingSid(f"RE{secrets.token_hex(16)}")

    def leg(self) -> LegId:
        """Unique without asking anybody."""
        return LegId(f"out-{secrets.token_hex(6)}")

    def sip_call_id(self) -> SipCallId:
        """No host in it: RFC 3261 §20.8 wants it unique, and nobody's address is anybody's business."""
        return SipCallId(secrets.token_hex(16))
