"""Running TwiML documents on legs, sans I/O: what to fetch, dial, answer and report, and when."""
