"""HTTP: the client for the user's web application, and the node's own server."""
