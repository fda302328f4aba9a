"""Answers for what this API does not have: resources known from the hosted service, and unknown paths."""

from typing import Final

__all__ = ["ABSENT", "absent_resource"]

ABSENT: Final = frozenset(
    (
        "Addresses",
        "AuthorizedConnectApps",
        "AvailablePhoneNumbers",
        "Balance",
        "ConnectApps",
        "CredentialLists",
        "IpAccessControlLists",
        "Keys",
        "Messages",
        "Payments",
        "SMS",
        "SigningKeys",
        "Siprec",
        "Streams",
        "Tokens",
        "Transcriptions",
        "Usage",
        "UserDefinedMessageSubscriptions",
        "UserDefinedMessages",
    )
)
"""Resources of the hosted service that have no counterpart here."""


def absent_resource(path: str) -> str:
    """Return the name of the absent resource that a path leads to; empty if it leads to none."""
    before, _, below = path.partition("/Accounts/")
    if "/" in before.lstrip("/"):
        return ""
    names = (segment.removesuffix(".json") for segment in below.split("/")[1:])
    return next((name for name in names if name in ABSENT), "")
