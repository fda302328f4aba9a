"""What documents for the hosted service may contain and this node does not do.

These names are no spelling mistakes, and a finding says so. The reader asks for them only after it has not
found a name among its own.
Source: the hosted service's TwiML reference (read November 2026).
"""

from typing import Final

__all__ = ["HOSTED_ATTRIBUTES", "HOSTED_ELEMENTS", "NOT_DONE"]

NOT_DONE: Final = "known, but not done here"

HOSTED_ELEMENTS: Final = frozenset(
    (
        *("Connect", "Echo", "Pay", "Prompt", "Sms", "Start", "Stop"),  # verbs
        *("Application", "Sim", "WhatsApp"),  # nouns of Dial
        *("Headers", "Task", "Uri"),
    )
)
"""Names of elements."""

HOSTED_ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "Dial": frozenset(("passports", "recordingConfigurationId")),
    "Gather": frozenset(
        (
            "bargeIn",
            "debug",
            "enhanced",
            "hints",
            "language",
            "maxSpeechTime",
            "partialResultCallback",
            "partialResultCallbackMethod",
            "profanityFilter",
            "speechModel",
            "speechTimeout",
        )
    ),
    "Record": frozenset(("recordingConfigurationId",)),
}
"""Names of attributes by the name of their element."""
