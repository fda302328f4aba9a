"""Parsing of TwiML text into frozen verbs, with numbered findings."""
