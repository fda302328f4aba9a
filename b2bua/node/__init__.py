"""One running node: its processes, and the calls that run in it."""
