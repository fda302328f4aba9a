"""A SIP back-to-back user agent that runs TwiML ``<Dial>`` on real telephony.

In the terms of RFC 7092 it is a media-termination B2BUA.
"""

__version__ = "0.1.0"
