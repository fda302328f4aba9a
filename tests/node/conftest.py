"""The web application and the peers of the SIP tests."""

from tests.sip.conftest import ann, app, bob, module_app

__all__ = ["ann", "app", "bob", "module_app"]
