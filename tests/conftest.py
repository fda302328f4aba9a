"""Property tests without time limits: how long an example takes on a busy machine means nothing."""

from hypothesis import settings

settings.register_profile("b2bua", deadline=None)
settings.load_profile("b2bua")
