"""Real softphones without sound cards: each sends a tone, and records what it hears to a file."""
