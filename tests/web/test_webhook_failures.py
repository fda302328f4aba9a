"""The webhook client when the web application is not reachable, or does not respond."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from b2bua.web.webhooks import CallWebhooks, WebhookClient
from tests.peer.ladder import PATIENCE_S
from tests.web.web_application import (
    DOCUMENT,
    PARAMS,
    TOKEN,
    WELL,
    Application,
    drip,
    error_of,
    get,
    hang,
    post,
    say,
    serving,
    talking,
    twiml,
)

pytestmark = pytest.mark.process


class TestStatus:
    @pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
    async def test_an_error_status_is_11200_and_not_tried_again(
        self, app: Application, call: CallWebhooks, status: int
    ) -> None:
        url = app.on("/a", web.Response(status=status, text="no"))
        error = await error_of(call.request(post(url)))
        assert (error.number, error.status, error.url) == (11200, status, url)
        assert len(app.seen) == 1

    @pytest.mark.parametrize(
        ("status", "policy", "tries"),
        [
            (500, "rc=2&rp=5xx", 3),
            (404, "rc=1&rp=4xx", 2),
            (404, "rc=1&rp=5xx,ct,rt", 1),
            (503, "rc=5&rp=all&tt=5000", 6),
            (500, "rc=0&rp=all", 1),
            (500, "rp=5xx", 2),
        ],
    )
    async def test_retries_follow_the_policy(
        self, app: Application, call: CallWebhooks, status: int, policy: str, tries: int
    ) -> None:
        url = app.on("/a", web.Response(status=status))
        error = await error_of(call.request(post(f"{url}#{policy}")))
        assert (error.number, error.status, len(app.seen)) == (11200, status, tries)

    async def test_a_retry_carries_the_same_token(self, app: Application, call: CallWebhooks) -> None:
        url = app.on("/a", web.Response(status=500), web.Response(status=502), twiml())
        answer = await call.request(post(url + "#rc=2&rp=5xx", idempotency_token="t-1"))
        assert answer.attempts == 3
        assert [seen.headers["X-Twilio-Idempotency-Token"] for seen in app.seen] == ["t-1"] * 3
        assert [seen.form for seen in app.seen] == [list(PARAMS)] * 3


class TestConnection:
    async def test_a_refused_one_is_11205(self, call: CallWebhooks) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))  # bound and not listening: refuses, and nobody else gets it
            url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
            error = await error_of(call.request(post(url)))
        assert (error.number, error.status, error.url) == (11205, 0, url)

    @pytest.mark.parametrize(
        ("fragment", "connections"), [("", 2), ("#rc=0", 1), ("#rp=5xx", 1), ("#rc=3", 4)]
    )
    async def test_one_that_ends_before_an_answer_is_11205_after_a_retry(
        self, call: CallWebhooks, fragment: str, connections: int
    ) -> None:
        async with talking(say("")) as raw:
            error = await error_of(call.request(post(raw.url + fragment)))
            assert (error.number, len(raw.heads)) == (11205, connections)

    async def test_the_retry_may_succeed_with_the_same_token(self, call: CallWebhooks) -> None:
        async with talking(say(""), WELL) as raw:
            answer = await call.request(post(raw.url, idempotency_token="t-2"))
            assert (answer.attempts, answer.body) == (2, DOCUMENT.encode())
            assert all(b"X-Twilio-Idempotency-Token: t-2\r\n" in head for head in raw.heads)
            assert len(raw.heads) == 2

    async def test_one_that_is_not_made_in_time_is_11205(self, call: CallWebhooks) -> None:
        # A listener whose queue is full drops SYNs: the connection neither comes nor fails.
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            fillers = [socket.socket() for _ in range(3)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/#ct=100"
            start = asyncio.get_running_loop().time()
            error = await error_of(call.request(post(url)))
            for filler in fillers:
                filler.close()
        assert error.number == 11205 and "no connection in time" in error.text
        assert 0.2 < asyncio.get_running_loop().time() - start < 2

    @pytest.mark.parametrize(("fragment", "tries"), [("#rt=100", 1), ("#rt=100&rc=2&rp=rt", 3)])
    async def test_no_answer_in_time_is_11205_and_tried_again_only_if_asked_for(
        self, call: CallWebhooks, fragment: str, tries: int
    ) -> None:
        async with talking(hang) as raw:
            error = await error_of(call.request(post(raw.url + fragment)))
            assert (error.number, len(raw.heads)) == (11205, tries)

    @pytest.mark.parametrize(
        "head",
        ["HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n", "HTTP/1.1 200 OK\r\nX-Slow: "],
    )
    async def test_a_dripping_answer_is_cut_at_the_total(self, call: CallWebhooks, head: str) -> None:
        async with talking(drip(head)) as raw:
            start = asyncio.get_running_loop().time()
            error = await error_of(call.request(post(raw.url + "#tt=400&rc=5&rp=ct")))
            assert asyncio.get_running_loop().time() - start < 2
            assert error.number == 11205 and "0.4 s" in error.text
            await asyncio.wait_for(raw.lost.wait(), PATIENCE_S)

    async def test_an_answer_that_breaks_off_is_11205(self, call: CallWebhooks) -> None:
        cut = say("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 100\r\n\r\n<Resp")
        async with talking(cut) as raw:
            assert (await error_of(call.request(post(raw.url)))).number == 11205
            assert len(raw.heads) == 1

    async def test_what_is_not_http_is_11200(self, call: CallWebhooks) -> None:
        async with talking(say("220 mail.example.com ESMTP\r\n")) as raw:
            error = await error_of(call.request(post(raw.url.replace("//", "//ann:s3cret@"))))
            assert (error.number, error.status) == (11200, 0)
            assert error.__cause__ is None

    async def test_giving_up_closes_it(self, call: CallWebhooks) -> None:
        async with talking(hang) as raw:
            asking = asyncio.create_task(call.request(post(raw.url)))
            await raw.wait_until_asked(1)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await asyncio.wait_for(raw.lost.wait(), PATIENCE_S)

    async def test_it_is_used_again_after_documents_errors_and_callbacks(
        self, app: Application, call: CallWebhooks
    ) -> None:
        url = app.on("/a", twiml())
        await call.request(post(url))
        await call.request(post(url, expects_document=False))
        await call.request(get(url))
        assert len({seen.peer for seen in app.seen}) == 1

    async def test_a_hundred_hanging_requests_delay_no_other_server(
        self, app: Application, client: WebhookClient
    ) -> None:
        url = app.on("/a", twiml())
        async with talking(hang) as raw:
            hanging = [asyncio.create_task(client.for_call().request(post(raw.url))) for _ in range(130)]
            await raw.wait_until_asked(100)
            async with asyncio.timeout(2):
                await asyncio.gather(*(client.for_call().request(post(url)) for _ in range(50)))
            assert len(raw.heads) == 100
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)


class TestNames:
    async def test_an_unknown_one_is_11210(self, call: CallWebhooks, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def look_up(host: str, *args: Any) -> Any:
            asked.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        error = await error_of(call.request(post("http://nobody.invalid/")))
        assert (error.number, asked) == (11210, ["nobody.invalid"] * 2)

    async def test_one_that_cannot_be_is_11210(self, call: CallWebhooks) -> None:
        error = await error_of(call.request(post("http://" + "x" * 64 + ".example/")))
        assert error.number == 11210

    async def test_a_dead_name_server_delays_no_other_name(
        self, app: Application, client: WebhookClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        released = threading.Event()
        real = socket.getaddrinfo

        def look_up(host: str, *args: Any) -> Any:
            if host.startswith("dead"):
                released.wait(30)
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return real("127.0.0.1", *args)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        dead = [
            asyncio.create_task(client.for_call().request(post(f"http://dead{number}.test/")))
            for number in range(20)
        ]
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await client.for_call().request(post(app.on("/a", twiml()).replace("127.0.0.1", "alive.test")))
        given_up = dead.pop()
        given_up.cancel()
        await asyncio.wait([given_up])
        released.set()
        results = await asyncio.gather(*dead, return_exceptions=True)
        assert [getattr(result, "number", result) for result in results] == [11210] * 19


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run([openssl, *make.split(), *names, *files], check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


class TestTls:
    @pytest.fixture
    async def secure(self, certificate: Path) -> AsyncIterator[Application]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        async with serving(context) as application:
            yield application

    async def test_a_certificate_nobody_vouches_for_is_11220(
        self, secure: Application, call: CallWebhooks
    ) -> None:
        error = await error_of(call.request(post(secure.on("/a", twiml()) + "#rc=5&rp=all")))
        assert error.number == 11220 and "certificate" in error.text
        assert secure.seen == []

    async def test_a_trusted_one_will_do_but_not_for_another_name(
        self, secure: Application, certificate: Path
    ) -> None:
        client = WebhookClient(TOKEN, tls=ssl.create_default_context(cafile=str(certificate)))
        url = secure.on("/a", twiml())
        assert (await client.for_call().request(post(url))).status == 200
        assert secure.seen[0].signed
        wrong_name = url.replace("localhost", "127.0.0.1")
        assert (await error_of(client.for_call().request(post(wrong_name)))).number == 11220
        await client.close()

    async def test_plain_http_behind_https_is_11220(self, app: Application, call: CallWebhooks) -> None:
        url = app.on("/a", twiml()).replace("http://", "https://")
        assert (await error_of(call.request(post(url)))).number == 11220
