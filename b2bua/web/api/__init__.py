"""The REST API: the resources of an account, as the hosted service spells them (version 2010-04-01)."""
