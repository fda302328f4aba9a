"""Audio as numpy arrays and files, without SIP or asyncio."""
