"""The REST API: the resources of an account, in the hosted service's format (version 2010-04-01)."""
