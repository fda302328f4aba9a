"""What a call costs: a load of real calls with real RTP on loopback, timed off the wire."""
