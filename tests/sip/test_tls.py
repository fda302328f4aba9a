"""SIP over TLS at a real node: calls both ways, certificate checks, renewal, limits."""

import asyncio
import contextlib
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from b2bua.sip.edge_control import EdgeReady, ListenSpec, TlsSpec
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.peer.wire import NameAddr, Uri
from tests.sip.certificates import Authority
from tests.sip.edge_process import run_edge
from tests.sip.node_process import NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

Dial = Callable[..., None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def sections(authority: Authority) -> dict[str, dict[str, Any]]:
    listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0", "tls://127.0.0.1:0"]
    own = authority.issue("node", "127.0.0.1", "localhost")
    return {"sip": {"listen": listen, "tls_ca": str(authority.ca), **own}}


def tls_uri(node: NodeProcess, user: str = "100", scheme: str = "sip") -> str:
    host, port = node.sip["tls"]
    return f"{scheme}:{user}@{host}:{port}" + (";transport=tls" if scheme == "sip" else "")


@contextlib.asynccontextmanager
async def edge_with_tls(authority: Authority, folder: Path, clients: Any = "off") -> AsyncIterator[int]:
    """An edge without a node; yields its TLS port."""
    files = authority.issue("node", "127.0.0.1")
    spec = TlsSpec(
        certificate=files["tls_certificate"], key=files["tls_key"], ca=str(authority.ca), clients=clients
    )
    listen = (ListenSpec("tls", "127.0.0.1", 0),)
    async with run_edge(folder, listen=listen, tls=spec) as edge:
        assert isinstance(edge.ready, EdgeReady)
        yield edge.ready.listening[0].port


async def expect_text(path: Path, text: str) -> None:
    """Wait for output of another process."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if text in await asyncio.to_thread(path.read_text):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"no {text!r} in {path}")


class TestCalls:
    async def test_one_comes_and_one_goes_by_tls(
        self, node: NodeProcess, authority: Authority, app: WebApp, dial: Dial
    ) -> None:
        async with (
            Peer.start("caller", transport="tls", tls=authority.peer("127.0.0.1")) as caller,
            Peer.start("callee", transport="tls", tls=authority.peer("127.0.0.1")) as callee,
        ):
            dial(callee, answerOnBridge="true")
            call = await caller.invite(tls_uri(node))
            incoming = await callee.expect_invite()
            await incoming.answer()
            answer = await call.expect_response(200)
            await incoming.expect("ACK")

            port = node.sip["tls"][1]
            assert incoming.invite.via.transport == "TLS"
            for value in (incoming.invite.contact, answer.contact):
                assert value is not None
                assert Uri.parse(value.uri).address == ("127.0.0.1", port)
                assert "transport=tls" in value.uri
            for message in (incoming.invite, answer):
                route = NameAddr.parse(message.all("Record-Route")[0])
                assert route.uri == f"sip:127.0.0.1:{port};transport=tls;lr"

            call.media.play_tone(440)
            incoming.media.play_tone(660)
            assert await call.media.expect_tone(660) > -25
            assert await incoming.media.expect_tone(440) > -25
            await incoming.bye()
            await call.expect("BYE")
            assert (await app.expect("/after"))["DialCallStatus"] == "completed"

    async def test_a_sips_uri_is_tls_both_ways(
        self, node: NodeProcess, authority: Authority, app: WebApp
    ) -> None:
        async with (
            Peer.start("caller", transport="tls", tls=authority.peer("127.0.0.1")) as caller,
            Peer.start("callee", transport="tls", tls=authority.peer("127.0.0.1")) as callee,
        ):
            target = f"sips:ann@127.0.0.1:{callee.port}"
            app.reply(
                "/voice", f"<Response><Dial answerOnBridge='true'><Sip>{target}</Sip></Dial></Response>"
            )
            call = await caller.invite(tls_uri(node, scheme="sips"))
            incoming = await callee.expect_invite()
            assert incoming.invite.via.transport == "TLS"
            assert incoming.invite.uri == target
            assert incoming.invite.contact is not None
            assert incoming.invite.contact.uri.startswith("sips:")
            incoming.dialog.contact = f"<sips:ann@127.0.0.1:{callee.port}>"
            await incoming.answer()
            answer = await call.expect_response(200)
            assert answer.contact is not None
            assert answer.contact.uri.startswith("sips:")
            ack = await incoming.expect("ACK")
            assert ack.uri == target
            await incoming.bye()
            await call.expect("BYE")

    async def test_a_sips_uri_over_udp_is_refused(self, node: NodeProcess, caller: Peer) -> None:
        host, port = node.udp
        call = await caller.invite(f"sips:100@{host}:{port}", to=node.udp)
        await call.expect_response(416)

    async def test_a_second_call_uses_the_connection_of_the_first(
        self, node: NodeProcess, authority: Authority, caller: Peer, dial: Dial
    ) -> None:
        async with Peer.start("callee", transport="tls", tls=authority.peer("127.0.0.1")) as callee:
            dial(callee, answerOnBridge="true")
            assert callee.streams is not None
            for _ in range(2):
                call = await caller.invite(node.uri("100"))
                incoming = await callee.expect_invite()
                await incoming.reject(486)
                await call.expect_response(486)
                assert len(callee.streams.connections) == 1

    async def test_a_server_with_a_wrong_name_is_not_called(
        self, node: NodeProcess, authority: Authority, caller: Peer, app: WebApp, dial: Dial
    ) -> None:
        async with Peer.start("mallory", transport="tls", tls=authority.peer("mallory.example")) as callee:
            dial(callee)
            call = await caller.invite(node.uri("100"))
            after = await app.expect("/after")
            assert (after["DialCallStatus"], after["DialSipResponseCode"]) == ("failed", "503")
            assert not callee.calls
            line = await node.expect_log("no connection")
            assert "certificate" in line["text"]
            await call.expect("BYE")

    async def test_a_server_of_an_unknown_authority_is_not_called(
        self, node: NodeProcess, caller: Peer, app: WebApp, dial: Dial, tmp_path: Path
    ) -> None:
        other = Authority(tmp_path / "other")
        async with Peer.start("mallory", transport="tls", tls=other.peer("127.0.0.1")) as callee:
            dial(callee)
            await caller.invite(node.uri("100"))
            after = await app.expect("/after")
            assert (after["DialCallStatus"], after["DialSipResponseCode"]) == ("failed", "503")
            assert not callee.calls


class TestCertificates:
    async def test_are_read_again_and_no_connection_is_lost(
        self, node: NodeProcess, authority: Authority, dial: Dial
    ) -> None:
        client = authority.peer("127.0.0.1")[1]

        async def shown() -> bytes:
            _, writer = await asyncio.open_connection(*node.sip["tls"], ssl=client)
            certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.transport.abort()
            assert isinstance(certificate, bytes)
            return certificate

        async with Peer.start("caller", transport="tls", tls=authority.peer("127.0.0.1")) as caller:
            before = await shown()
            await caller.request("OPTIONS", tls_uri(node))
            assert caller.streams is not None
            (connection,) = caller.streams.connections
            authority.issue("node", "127.0.0.1")
            node.process.send_signal(signal.SIGHUP)
            await node.expect_log("certificates read again")
            assert await shown() != before
            await caller.request("OPTIONS", tls_uri(node))
            assert caller.streams.connections == [connection]

            broken = await asyncio.to_thread((authority.folder / "node.pem").write_text, "rubbish")
            assert broken
            node.process.send_signal(signal.SIGHUP)
            await node.expect_log("the new certificates are not used")
            assert await shown() != before

    @pytest.mark.parametrize("clients", ["required", "optional"])
    async def test_of_clients(self, clients: str, authority: Authority, tmp_path: Path) -> None:
        stranger = Authority(tmp_path / "stranger")
        async with edge_with_tls(authority, tmp_path, clients) as port:

            async def answered(whose: Authority, *, shows: bool) -> bool:
                context = whose.peer("client.example", shows=shows)[1]
                context.load_verify_locations(authority.ca)
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                writer.write(b"\r\n\r\n")
                try:
                    return await asyncio.wait_for(reader.read(2), PATIENCE_S) == b"\r\n"
                except (ssl.SSLError, ConnectionError):
                    return False
                finally:
                    writer.transport.abort()
                    with contextlib.suppress(ssl.SSLError, ConnectionError):
                        await writer.wait_closed()

            assert await answered(authority, shows=True)
            assert await answered(authority, shows=False) == (clients == "optional")
            assert not await answered(stranger, shows=True)

    async def test_that_are_no_good_end_the_start(
        self, authority: Authority, sections: dict[str, dict[str, Any]], tmp_path: Path
    ) -> None:
        (authority.folder / "node.key").unlink()
        with pytest.raises(AssertionError, match=r"node\.key cannot be read: No such file"):
            async with run_node(tmp_path, config_text({}, sections=sections)):
                pass


class TestLimits:
    async def test_whoever_never_shakes_hands_is_bounded(self, authority: Authority, tmp_path: Path) -> None:
        async with edge_with_tls(authority, tmp_path) as port:
            with contextlib.ExitStack() as stack:
                for _ in range(80):
                    sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                sock.setblocking(False)
                async with asyncio.timeout(3):
                    assert await asyncio.get_running_loop().sock_recv(sock, 1) == b""

    async def test_old_tls_is_refused(self, authority: Authority, tmp_path: Path) -> None:
        client = authority.peer("127.0.0.1")[1]
        client.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning):
            client.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning):
            client.maximum_version = ssl.TLSVersion.TLSv1_1
        async with edge_with_tls(authority, tmp_path) as port:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", port, ssl=client)
            await expect_text(tmp_path / "edge.log", "unsupported protocol")
