"""A scriptable SIP and RTP endpoint for tests, and a small web application; knows nothing of b2bua.

    async with Peer.start("alice") as alice, Peer.start("bob") as bob:
        outgoing = await alice.invite("sip:+442079460000@b2bua", to=node_address)
        incoming = await bob.expect_invite()
        await incoming.ring()
        await incoming.answer()
        await outgoing.expect_response(200)
        outgoing.media.play_tone(440)
        await incoming.media.expect_tone(440)
        await outgoing.bye()
        await incoming.expect("BYE")

Every wait has a deadline and fails with the ladder of what was sent and received. At its end a peer fails the
test when it was sent a message that RFC 3261 does not allow, unless it was started with `strict=False`.
"""

from .call import Call
from .ladder import PeerTimeout
from .peer import Peer
from .rtp import Media, MediaOptions
from .webapp import WebApp
from .wire import Message

__all__ = ["Call", "Media", "MediaOptions", "Message", "Peer", "PeerTimeout", "WebApp"]
