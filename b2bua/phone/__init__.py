"""A small SIP phone for ``demo`` and ``doctor``: enough of a peer to call a node and to be called by it."""
