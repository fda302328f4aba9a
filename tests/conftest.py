"""Property tests without a clock: how long an example takes on a busy machine says nothing about it."""

from hypothesis import settings

settings.register_profile("b2bua", deadline=None)
settings.load_profile("b2bua")
