"""Names of the things a call is made of. Ids are made outside the core and handed in."""

from typing import NewType

__all__ = ["CallSid", "HostId", "LegId", "RecordingSid", "SipCallId", "WorkerId"]

LegId = NewType("LegId", str)
"""One of our dialogs with a peer; unique in the life of a node. Never pjsua2's number."""

CallSid = NewType("CallSid", str)
"""``CA`` and 32 hexadecimal digits: what the web application knows a leg by."""

RecordingSid = NewType("RecordingSid", str)
"""``RE`` and 32 hexadecimal digits."""

SipCallId = NewType("SipCallId", str)
"""The Call-ID header of a leg's dialog."""

HostId = NewType("HostId", str)
"""Where legs are and have their media: today always a worker, by its ``WorkerId``."""

WorkerId = NewType("WorkerId", str)
"""``w`` and a number that is never used twice by one node; the user part of our Contact."""
