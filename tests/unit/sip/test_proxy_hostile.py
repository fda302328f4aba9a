"""For any input, the proxy either acts or raises PeerError, and its state stays bounded."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.errors import PeerError
from b2bua.sip.flow import Flow
from tests.effort import examples
from tests.unit.sip.edge_scene import CALLER, STRANGER, W1, Scene, answer, invite, leases, worker_invite

pytestmark = pytest.mark.unit

_HEADERS = ["Via", "From", "To", "Call_ID", "CSeq", "Contact", "Route", "Record_Route", "Max_Forwards"]
_PIECES = st.sampled_from(
    [
        "<sip:",
        "sip:w1@127.0.0.1",
        ">",
        ";tag=",
        ";branch=z9hG4bK",
        '"',
        "\\",
        ",",
        ";lr",
        " ",
        "[::1]",
        ":99999",
    ]
)
_VALUES = st.lists(st.one_of(_PIECES, st.text(max_size=6)), max_size=8).map("".join)
_CHANGES = st.dictionaries(st.sampled_from(_HEADERS), st.one_of(st.none(), _VALUES), min_size=1, max_size=3)
_METHODS = st.sampled_from(["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "REGISTER", "X"])


def survives(scene: Scene, data: bytes, came_from: Flow) -> None:
    with contextlib.suppress(PeerError):
        scene.give(data, came_from)


class TestAnyBytes:
    @given(data=st.binary(max_size=300), cut=st.integers(0, 500))
    def test_are_survived(self, data: bytes, cut: int) -> None:
        scene = Scene()
        good = invite()
        for came_from in (CALLER, W1):
            survives(scene, data, came_from)
            survives(scene, good[:cut] + data + good[cut:], came_from)

    @settings(max_examples=examples(100))
    @given(changes=_CHANGES, method=_METHODS)
    def test_in_any_header_of_a_request_are_survived(
        self, changes: dict[str, str | None], method: str
    ) -> None:
        scene = Scene()
        survives(scene, invite(method=method, **changes), CALLER)
        survives(scene, invite(method=method, **changes), STRANGER)
        survives(scene, worker_invite(method=method, **changes), W1)

    @given(value=_VALUES, name=st.sampled_from([b"Via", b"Record-Route", b"Contact", b"CSeq"]))
    def test_in_a_response_are_survived(self, value: str, name: bytes) -> None:
        scene = Scene()
        outwards, _ = scene.request(worker_invite(), W1)
        inwards, _ = scene.request(invite())
        for request, came_from in ((outwards, CALLER), (inwards, W1)):
            response = answer(request, 200, contact="<sip:w1@127.0.0.1:10001>")
            head, _, rest = response.partition(name + b": ")
            line, _, after = rest.partition(b"\r\n")
            survives(scene, head + name + b": " + value.encode() + b"\r\n" + after, came_from)
            survives(scene, head + name + b": " + line + value.encode() + b"\r\n" + after, came_from)


class TestWhatStrangersCannotDo:
    def test_a_response_cannot_be_made_up_by_who_knows_only_the_call(self) -> None:
        scene = Scene()
        request, _ = scene.request(worker_invite(), W1)
        for place in range(len("z9hG4bKb2"), len(request.top_via.branch)):
            branch = request.top_via.branch
            other = branch[:place] + ("0" if branch[place] != "0" else "1") + branch[place + 1 :]
            forged = answer(request, 200, contact="<sip:x@y>").replace(branch.encode(), other.encode())
            with pytest.raises(PeerError):
                scene.give(forged, STRANGER)

    def test_no_lease_is_taken_by_a_thousand_invites(self) -> None:
        scene = Scene()
        for n in range(1000):
            assert leases(scene.give(invite(Call_ID=f"x{n}"), STRANGER)) == []
        assert leases(scene.give(invite())) == ["w1"]
