"""What REST asks for, as the targets of a Dial."""

from typing import Any

import pytest

from b2bua.node.control import Control
from b2bua.twiml import verbs
from b2bua.web.api.control import CallRequest, DocumentSource
from b2bua.web.api.errors import ApiError

pytestmark = pytest.mark.unit


class NoRoutes:
    """A node that reaches nobody."""

    dial: verbs.Dial

    def route(self, dial: verbs.Dial, from_: str) -> tuple[None, tuple[()]]:
        self.dial = dial
        return None, ()


async def noun_for(to: str) -> verbs.Noun:
    node: Any = NoRoutes()
    unused: Any = None
    request = CallRequest(to=to, from_="+14155550100", document=DocumentSource(twiml="<Response/>"))
    with pytest.raises(ApiError):
        await Control(node, unused, unused).create(request)
    [noun] = node.dial.children
    return noun  # type: ignore[no-any-return]


async def test_custom_parameters_of_a_client() -> None:
    noun = await noun_for("client:alice?a=b&name=J%C3%BCrgen+M&empty=")
    assert isinstance(noun, verbs.Client)
    assert noun.identity == "alice"
    assert [(each.name, each.value) for each in noun.parameters] == [
        ("a", "b"),
        ("name", "Jürgen M"),
        ("empty", ""),
    ]


async def test_a_client_without_parameters() -> None:
    noun = await noun_for("client:alice")
    assert isinstance(noun, verbs.Client)
    assert (noun.identity, noun.parameters) == ("alice", ())
