"""The configured applications: the voice URLs that ``ApplicationSid`` stands for in requests."""

from collections.abc import Iterable

from b2bua.settings import ApplicationSettings
from b2bua.web.api.errors import BadParameter

__all__ = ["ApplicationBook"]


class ApplicationBook:
    """Applications by identifier, in the order of the configuration. Thread: loop."""

    def __init__(self, applications: Iterable[ApplicationSettings] = ()) -> None:
        self._applications: dict[str, ApplicationSettings] = {}
        self.replace(applications)

    def replace(self, applications: Iterable[ApplicationSettings]) -> None:
        """Take the applications of a configuration."""
        self._applications = {each.sid: each for each in applications}

    def all(self) -> list[ApplicationSettings]:
        """Return all applications."""
        return list(self._applications.values())

    def find(self, sid: str) -> ApplicationSettings | None:
        """Return the application with this identifier, or None."""
        return self._applications.get(sid)

    def required(self, sid: str, parameter: str) -> ApplicationSettings:
        """Return the application that a request names.

        Raises:
            BadParameter: there is no such application.
        """
        application = self.find(sid)
        if application is None:
            raise BadParameter(parameter, "there is no such application")
        return application
