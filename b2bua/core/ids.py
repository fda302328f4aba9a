"""Identifiers of the parts of a call. They are generated outside the core and passed in."""

from typing import NewType

__all__ = ["CallSid", "HostId", "LegId", "RecordingSid", "SipCallId", "WorkerId"]

LegId = NewType("LegId", str)
"""One of our dialogs with a peer; unique in the lifetime of a node. It is never pjsua2's call number."""

CallSid = NewType("CallSid", str)
"""``CA`` and 32 hexadecimal digits: the name of a leg towards the web application."""

RecordingSid = NewType("RecordingSid", str)
"""``RE`` and 32 hexadecimal digits."""

SipCallId = NewType("SipCallId", str)
"""The Call-ID header of a leg's dialog."""

HostId = NewType("HostId", str)
"""The host of legs and their media: today always a worker, named by its ``WorkerId``."""

WorkerId = NewType("WorkerId", str)
"""``w`` and a number that a node never uses twice; the user part of our Contact."""
