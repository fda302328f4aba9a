"""The cost of a call: a load of real calls with real RTP on loopback, timed on the wire."""
