"""Real softphones without sound cards: each says a tone, and keeps what it hears in a file."""
