"""SIP without pjsua2: messages as bytes, URIs, and the edge, a record-routing stateless proxy."""
