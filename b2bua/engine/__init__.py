"""The pjsua2 workers, the fork server that makes them and the pool that hands them out."""
