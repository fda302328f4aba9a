"""Decisions without I/O: state machines that take ``(event, now)`` and return commands."""
