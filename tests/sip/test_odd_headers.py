"""Headers that the workers' library cannot read, on the wire: calls go on, with the peer's own values."""

from collections.abc import Callable

import pytest

from tests.peer.call import SDP_TYPE, Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip

Dial = Callable[..., None]


async def answered(call: Call, incoming: Call, caller: Peer, callee: Peer) -> None:
    """The bridge works, and the caller ends it."""
    await call.expect_response(200)
    call.media.play_tone(440)
    incoming.media.play_tone(660)
    await call.media.expect_tone(660)
    await incoming.media.expect_tone(440)
    await call.bye()


@pytest.mark.parametrize(
    ("contact", "uri"),
    [
        ("<sip:{here};HostName=cmFkaGE=;x=0>", "sip:{here};HostName=cmFkaGE=;x=0"),
        ('"unknown" sip:x@{here}', "sip:x@{here}"),
        ('sip:x@{here};+sip.instance="<urn:gsma:imei:1>";audio', "sip:x@{here}"),
        ("<sip:x@{here};>;;q=high", "sip:x@{here};"),
    ],
)
async def test_a_callees_contact_gets_ack_and_bye(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial, contact: str, uri: str
) -> None:
    here = f"127.0.0.1:{callee.port}"
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    incoming.dialog.contact = contact.format(here=here)
    await incoming.ring()
    await incoming.answer()
    ack = await incoming.expect("ACK")
    await answered(call, incoming, caller, callee)
    bye = await incoming.expect("BYE")
    assert {ack.uri, bye.uri} == {uri.format(here=here)}


async def test_a_callees_record_route_and_tag_come_back(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    assert incoming.server is not None
    request = incoming.server.request
    routes = [f"<sip:127.0.0.1:{callee.port};lr;vsf=AA=>", *request.all("Record-Route")]
    incoming.dialog.contact = "<sip:bob@192.0.2.1;x=AA=>"
    headers = [*(("Record-Route", route) for route in routes), ("Contact", incoming.dialog.contact)]
    callee.respond(
        request,
        200,
        headers=[*headers, SDP_TYPE],
        body=await incoming.media.answer(request.text),
        tag=f"{incoming.dialog.local_tag};",
    )
    ack = await incoming.expect("ACK")
    await answered(call, incoming, caller, callee)
    bye = await incoming.expect("BYE")
    for each in (ack, bye):
        assert (each.uri, each.all("Route")) == ("sip:bob@192.0.2.1;x=AA=", routes[:1])
        assert each.to.tag == incoming.dialog.local_tag


async def test_a_302_to_a_contact_without_brackets_is_followed(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    first = await callee.expect_invite()
    await first.reject(302, headers=[("Contact", f'"unknown" sip:x@127.0.0.1:{callee.port}')])
    second = await callee.expect_invite(user="x")
    await second.reject(302, headers=[("Contact", f"<sip:y@127.0.0.1:{callee.port};a=b=>;q=high")])
    third = await callee.expect_invite(user="y")
    await third.answer()
    await answered(call, third, caller, callee)


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        (486, [("Contact", "<sip:;=>"), ("Record-Route", "nonsense")]),
        (503, [("Retry-After", "soon"), ("Warning", "?"), ("Allow", ",,")]),
        (480, [("Session-Expires", "abc"), ("Content-Type", "application")]),
    ],
)
async def test_a_failure_has_its_true_code(
    node: NodeProcess,
    app: WebApp,
    caller: Peer,
    callee: Peer,
    dial: Dial,
    code: int,
    headers: list[tuple[str, str]],
) -> None:
    dial(callee)
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.reject(code, headers=headers)
    after = await app.expect("/after")
    assert after["DialSipResponseCode"] == str(code)
    await call.expect_end()


async def test_a_callers_headers_come_back(node: NodeProcess, app: WebApp, caller: Peer) -> None:
    app.reply("/voice", '<Response><Gather timeout="1"/></Response>')
    here = f"127.0.0.1:{caller.port}"
    route = ("Record-Route", f"<sip:{here};lr;vsf=AA=>")
    call = await caller.invite(node.uri("100"), headers=[route], auto_ack=False)
    response = await call.expect_response(200)
    call.dialog.routes = call.dialog.routes[1:]  # we are that proxy ourselves
    await call.ack(response)
    assert response.all("Record-Route")[-1] == f"<sip:{here};lr;vsf=AA=>"
    bye = await call.expect("BYE")
    assert bye.all("Route") == [f"<sip:{here};lr;vsf=AA=>"]


class OddPeer(Peer):
    """Its user part is of a kind that strict parsers reject."""

    def uri(self, user: str = "") -> str:
        return f"sip:{user or self.name}@127.0.0.1:{self.port};HostName=cmFkaGE=;x=0"


async def test_a_caller_whose_from_and_contact_cannot_be_read(node: NodeProcess, app: WebApp) -> None:
    app.reply("/voice", '<Response><Gather timeout="1"/></Response>')
    async with OddPeer.start("ann") as ann:
        call = await ann.invite(node.uri("100"), display="Ann")
        response = await call.expect_response(200)
        assert response.from_.uri == ann.uri()
        bye = await call.expect("BYE")
        assert (bye.uri, bye.to.uri) == (ann.uri(), ann.uri())
        asked = await app.expect("/voice")
        assert (asked["From"], asked["CallerName"]) == (f"sip:ann@127.0.0.1:{ann.port}", "Ann")
