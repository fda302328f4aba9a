"""The migrations of the tables; they run when the store is opened."""
