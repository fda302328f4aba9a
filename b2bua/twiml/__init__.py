"""TwiML text to frozen verbs, with numbered findings."""
