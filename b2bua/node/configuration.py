"""The configuration in force: the settings of the node's start, as later reloads have changed them.

Thread: the controller's loop.
"""

from b2bua.settings import Settings
from b2bua.web.api.application_book import ApplicationBook
from b2bua.web.api.number_book import NumberBook

__all__ = ["Configuration"]

_RELOADED = ("numbers", "trunks", "users", "security", "dial")
"""Settings that apply without a restart. Applications do too, but only their book is asked for them."""


class Configuration:
    """The settings, and the books in which the API changes some of them.

    Args:
        settings: those at the start.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        """Replaced as a whole by ``reload``: who keeps it keeps the settings of its time."""
        self.numbers = NumberBook(settings.numbers)
        self.applications = ApplicationBook(settings.applications)

    def reload(self, settings: Settings) -> None:
        """Take numbers, applications, trunks, users, security and dial from ``settings``."""
        fresh = {name: getattr(settings, name) for name in _RELOADED}
        self.settings = self.settings.model_copy(update=fresh)
        self.numbers.replace(settings.numbers)
        self.applications.replace(settings.applications)
