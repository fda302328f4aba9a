"""A log to which the steps of a session can be appended."""

from typing import Any

from b2bua.calls.input_log import LogHeader, encode_header
from b2bua.core.ids import HostId


def header(**fields: Any) -> LogHeader:
    """The header of a log."""
    known: dict[str, Any] = {
        "code": "code",
        "boot": "boot",
        "settings": "settings",
        "began_at": 0.0,
        "seed": b"0" * 16,
        "script": None,
        "account_sid": "AC1",
        "most_targets": 3,
        "public_url": "",
        "raw_recordings": "/raw",
        "host": HostId("w1"),
        "capacity": 4,
        "host_session": 1,
        "relay_records": True,
    }
    return LogHeader(**{**known, **fields})


HEADER = encode_header(header())
