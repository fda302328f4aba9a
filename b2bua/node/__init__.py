"""One running node: the processes it is made of, and the calls that run in it."""
