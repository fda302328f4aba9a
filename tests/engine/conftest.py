"""The peers of the SIP tests."""

from tests.sip.conftest import callee, caller

__all__ = ["callee", "caller"]
