"""How the tables came to be what they are; run when the store is opened."""
