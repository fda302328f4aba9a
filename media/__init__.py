"""Audio as numpy arrays and files: no SIP, no asyncio."""
