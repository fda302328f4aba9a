"""The relay: the node's public RTP. Forwards, joins and records the audio of legs; knows nothing of SIP.

The way of a packet, and the module of each step:

1. ``loop`` drains the sockets (``ports``) that have something, once a tick, into the one buffer (``packet``).
2. ``ways`` judges where it came from (``source``), as long as the socket hears everybody.
3. ``leg`` knows who hears whom. It counts (``reception``), records (``taps``) and passes the packet on: to
   the worker as it is, or to a partner by the routes of their ``agreement`` (types, ``laws``, ``keys``).
4. Of a leg in a conference room, a packet goes into the jitter buffer of its ``seat``. Every 20 ms ``rooms``
   has all rooms mixed (``mixing``), with their ``room_sounds``, and sends each leg what it hears.
5. ``stream`` makes it the next packet of the one stream that the listener has heard since the leg began.

``machine`` carries out what edge and controller order (``control``): it opens, joins, records and closes
legs. ``rtcp`` translates reports, ``tapping`` knows which leg is recorded into which of the ``raw_files``.
All but ``loop``, ``ports``, ``raw_files``, ``room_loader`` and ``__main__`` are without I/O. Only ``mixing``
needs numpy; ``room_loader`` imports it in a thread when the first room is made.
"""
