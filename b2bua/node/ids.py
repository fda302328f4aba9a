"""Generates random identifiers. No other module generates any."""

import secrets

from b2bua.core.ids import CallSid, LegId, RecordingSid, SipCallId

__all__ = ["RandomIds"]


class RandomIds:
    """Random identifiers for calls, recordings, legs and dialogs (``calls.context.Ids``)."""

    def call_sid(self) -> CallSid:
        """Return ``CA`` and 32 hexadecimal digits."""
        return CallSid(f"CA{secrets.token_hex(16)}")

    def recording_sid(self) -> RecordingSid:
        """Return ``RE`` and 32 hexadecimal digits."""
        return RecordingSid(f"RE{secrets.token_hex(16)}")

    def leg(self) -> LegId:
        """Return a leg id that is unique without coordination."""
        return LegId(f"out-{secrets.token_hex(6)}")

    def sip_call_id(self) -> SipCallId:
        """Return a unique Call-ID (RFC 3261 §20.8); it has no host part, so that it discloses no address."""
        return SipCallId(secrets.token_hex(16))
