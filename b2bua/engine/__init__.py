"""The pjsua2 workers, the fork server that forks them and the pool that allocates them."""
