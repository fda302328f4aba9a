"""What can be decided without I/O: machines that take ``(event, now)`` and return commands."""
