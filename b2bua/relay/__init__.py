"""The relay: the node's public RTP. Forwards, joins and records the audio of legs; knows nothing of SIP."""
