"""How much the tests try: enough for each run, or more on demand (``B2BUA_TESTS=thorough``)."""

import os

THOROUGH = os.environ.get("B2BUA_TESTS") == "thorough"


def examples(moderate: int) -> int:
    """The number of a property's examples: ``moderate``, or ten times as many."""
    return 10 * moderate if THOROUGH else moderate
