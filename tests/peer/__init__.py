"""A scriptable SIP and RTP endpoint for tests, and a small web application; knows nothing of b2bua."""

from .call import Call
from .ladder import PeerTimeout
from .peer import Peer
from .rtp import Media, MediaOptions
from .webapp import WebApp
from .wire import Message

__all__ = ["Call", "Media", "MediaOptions", "Message", "Peer", "PeerTimeout", "WebApp"]
