"""The webhook client against real web servers: its requests, and how it reads responses."""

import asyncio
import base64
import contextlib
import gzip
import logging
from typing import Any

import pytest
from aiohttp import web

from b2bua import __version__
from b2bua.core.errors import LocalStateError, WebhookError
from b2bua.core.ids import CallSid
from b2bua.web.outbox import MemoryOutbox, RetryPolicy
from b2bua.web.signature import Params
from b2bua.web.webhooks import CallWebhooks, WebhookClient, WebhookRequest
from tests.web.web_application import (
    DOCUMENT,
    PARAMS,
    Application,
    drip,
    error_of,
    get,
    post,
    redirect,
    say,
    serving,
    talking,
    twiml,
)

pytestmark = pytest.mark.process


class TestRequest:
    async def test_post_is_a_signed_form(self, app: Application, call: CallWebhooks) -> None:
        answer = await call.request(post(app.on("/voice", twiml()) + "?t=a%2Fb"))
        (seen,) = app.seen
        assert (seen.method, seen.path, seen.form) == ("POST", "/voice?t=a%2Fb", list(PARAMS))
        assert seen.signed
        assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded; charset=UTF-8"
        assert seen.headers["User-Agent"] == f"b2bua/{__version__}"
        assert "text/xml" in seen.headers["Accept"]
        assert "X-Twilio-Idempotency-Token" not in seen.headers
        assert (answer.url, answer.status) == (app.url + "/voice?t=a%2Fb", 200)
        assert (answer.content_type, answer.charset, answer.body) == ("text/xml", "utf-8", DOCUMENT.encode())
        assert answer.attempts == 1 and 0 < answer.elapsed_s < 5

    async def test_get_has_its_parameters_behind_the_query_of_the_address(
        self, app: Application, call: CallWebhooks
    ) -> None:
        answer = await call.request(get(app.on("/voice", twiml()) + "?t=a%2Fb"))
        (seen,) = app.seen
        assert (seen.method, seen.form) == ("GET", [])
        assert seen.path == "/voice?t=a%2Fb&CallSid=CA1&From=%2B14155550100"
        assert seen.signed
        assert answer.url == app.url + "/voice?t=a%2Fb"

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize(
        "params",
        [
            (),
            (("A", ""), ("B", "")),
            (("T", "b"), ("T", "a"), ("T", "b")),
            (("Name", "Zoë ☎ 京"), ("größe", "5 & 6 = ?+%2B")),
            (("Text", "one\r\ntwo\ttab"),),
        ],
    )
    async def test_any_parameters_arrive_signed_as_they_were(
        self, app: Application, call: CallWebhooks, method: Any, params: Params
    ) -> None:
        url = app.on("/voice", twiml())
        await call.request(WebhookRequest(url=url, method=method, params=params))
        (seen,) = app.seen
        assert (seen.query if method == "GET" else seen.form) == list(params)
        assert seen.signed

    async def test_bytes_that_were_no_utf8_arrive_replaced_and_signed(
        self, app: Application, call: CallWebhooks
    ) -> None:
        await call.request(post(app.on("/voice", twiml()), (("SipHeader_X-A", "a\udcffb"),)))
        assert app.seen[0].form == [("SipHeader_X-A", "a?b")]
        assert app.seen[0].signed

    async def test_the_fragment_is_not_sent_and_its_mistakes_are_found(
        self, app: Application, call: CallWebhooks
    ) -> None:
        answer = await call.request(post(app.on("/voice", twiml()) + "#rc=2&rt=nix"))
        assert app.seen[0].path == "/voice" and app.seen[0].signed
        assert answer.url == app.url + "/voice"
        assert len(answer.findings) == 1 and "rt=nix" in answer.findings[0]

    @pytest.mark.parametrize("url", ["www.example.com/voice", "ftp://127.0.0.1/x", "http://", "/voice"])
    async def test_an_address_that_is_none_is_11100(self, call: CallWebhooks, url: str) -> None:
        assert (await error_of(call.request(post(url)))).number == 11100

    async def test_after_the_client_was_closed_it_is_a_bug(self, client: WebhookClient) -> None:
        call = client.for_call()
        await client.close()
        with pytest.raises(LocalStateError):
            await call.request(post("http://127.0.0.1:1/"))


class TestCredentials:
    async def test_they_go_as_basic_and_are_good_for_the_call(
        self, app: Application, client: WebhookClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        call = client.for_call()
        url = app.on("/voice", twiml())
        answer = await call.request(post(url.replace("http://", "http://ann:s3cret@")))
        assert answer.url == url
        await call.request(post(answer.url))
        await client.for_call().request(post(answer.url))
        basic = "Basic " + base64.b64encode(b"ann:s3cret").decode()
        assert [seen.headers.get("Authorization") for seen in app.seen] == [basic, basic, None]
        assert all(seen.signed for seen in app.seen)
        assert "s3cret" not in caplog.text and basic not in caplog.text

    async def test_they_are_kept_for_a_few_origins_only(self, app: Application, call: CallWebhooks) -> None:
        url = app.on("/a", twiml())
        for number in range(1, 20):
            address = url.replace("http://127.0.0.1", f"http://ann:pw@127.0.0.{number}") + "#rc=0"
            with contextlib.suppress(WebhookError):  # only the first is listened on
                await call.request(post(address))
        await call.request(post(url))
        assert ["Authorization" in seen.headers for seen in app.seen] == [True, False]

    async def test_errors_do_not_show_them(self, app: Application, call: CallWebhooks) -> None:
        request = post(app.url.replace("http://", "http://ann:s3cret@") + "/nothing")
        error = await error_of(call.request(request))
        assert error.url == app.url + "/nothing"
        assert "s3cret" not in str(error) + repr(request)

    async def test_a_redirect_takes_them_to_no_other_origin(
        self, app: Application, call: CallWebhooks
    ) -> None:
        async with serving() as other:
            other.on("/b", redirect(app.on("/c", twiml())))
            url = app.on("/a", redirect(other.url + "/b"))
            await call.request(post(url.replace("http://", "http://ann:s3cret@")))
            assert "Authorization" not in other.seen[0].headers
            assert [("Authorization" in seen.headers) for seen in app.seen] == [True, True]


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirected_post_becomes_a_signed_get_with_the_parameters(
        self, app: Application, call: CallWebhooks, status: int
    ) -> None:
        app.on("/new", twiml())
        answer = await call.request(post(app.on("/old", redirect("new?k=1", status))))
        first, second = app.seen
        assert (first.method, second.method) == ("POST", "GET")
        assert second.path == "/new?k=1&CallSid=CA1&From=%2B14155550100"
        assert first.signed and second.signed
        assert answer.url == app.url + "/new?k=1"
        assert answer.attempts == 1

    async def test_parameters_the_application_passes_on_itself_are_not_doubled(
        self, app: Application, call: CallWebhooks
    ) -> None:
        app.on("/voice/", twiml())
        location = "/voice/?CallSid=CA1&From=%2B14155550100"
        await call.request(get(app.on("/voice", redirect(location))))
        assert app.seen[1].path == location and app.seen[1].signed

    async def test_ten_are_followed_and_an_eleventh_is_11215(
        self, app: Application, call: CallWebhooks
    ) -> None:
        for number in range(11):
            app.on(f"/r{number}", redirect(f"/r{number + 1}"))
        app.on("/r11", twiml())
        assert (await call.request(post(app.url + "/r1"))).status == 200
        assert len(app.seen) == 11
        error = await error_of(call.request(post(app.url + "/r0")))
        assert (error.number, error.url) == (11215, app.url + "/r0")
        assert len(app.seen) == 22

    @pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "http://u:s3cret@", "javascript:alert(1)"])
    async def test_to_an_address_that_is_none_is_11100(
        self, app: Application, call: CallWebhooks, location: str
    ) -> None:
        url = app.on("/a", redirect(location))
        error = await error_of(call.request(post(url)))
        assert (error.number, error.url) == (11100, url)
        assert "s3cret" not in str(error)

    @pytest.mark.parametrize("status", [300, 302, 304])
    async def test_to_nowhere_is_11200(self, app: Application, call: CallWebhooks, status: int) -> None:
        error = await error_of(call.request(post(app.on("/a", web.Response(status=status)))))
        assert (error.number, error.status) == (11200, status)


class TestCookies:
    async def test_they_are_kept_within_a_call_and_not_beyond(
        self, app: Application, client: WebhookClient
    ) -> None:
        one, two = client.for_call(), client.for_call()
        app.on("/first", twiml(Set_Cookie="session=a%20b==; Path=/"))
        url = app.on("/next", twiml())
        await one.request(post(app.url + "/first"))
        await one.request(post(url))
        await two.request(post(url))
        assert [seen.headers.get("Cookie") for seen in app.seen] == [None, "session=a%20b==", None]

    async def test_a_redirect_may_set_one(self, app: Application, call: CallWebhooks) -> None:
        answer = redirect("/b")
        answer.headers["Set-Cookie"] = "seen=1; Path=/"
        app.on("/b", twiml())
        await call.request(post(app.on("/a", answer)))
        assert app.seen[1].headers["Cookie"] == "seen=1"


class TestAnswer:
    @pytest.mark.parametrize("length", [64 * 1024, 64 * 1024 + 1])
    @pytest.mark.parametrize("announced", [True, False])
    async def test_64_kib_are_the_limit(
        self, app: Application, call: CallWebhooks, length: int, announced: bool
    ) -> None:
        async def send(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/xml"})
            if announced:
                response.content_length = length
            await response.prepare(request)
            await response.write(b"x" * length)
            return response

        asked = call.request(post(app.on("/a", send)))
        if length == 64 * 1024:
            assert len((await asked).body) == length
        else:
            error = await error_of(asked)
            assert (error.number, error.url) == (11750, app.url + "/a")

    @pytest.mark.parametrize("expects_document", [True, False])
    async def test_ten_gigabytes_are_not_read(self, call: CallWebhooks, expects_document: bool) -> None:
        sent = 0

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n")
            while sent < 10 << 30:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536

        async with talking(flood) as raw:
            asked = call.request(post(raw.url, expects_document=expects_document))
            async with asyncio.timeout(5):
                if expects_document:
                    assert (await error_of(asked)).number == 11750
                else:
                    assert (await asked).body == b""
                await raw.lost.wait()
        # What the kernel's buffers of both ends take in before the client closes.
        assert sent < 32 << 20

    async def test_a_packed_bomb_is_11750(self, app: Application, call: CallWebhooks) -> None:
        bomb = gzip.compress(bytes(50 << 20))
        assert len(bomb) < 64 * 1024
        url = app.on(
            "/a", web.Response(body=bomb, headers={"Content-Encoding": "gzip"}, content_type="text/xml")
        )
        assert (await error_of(call.request(post(url)))).number == 11750

    async def test_a_packed_document_is_unpacked(self, app: Application, call: CallWebhooks) -> None:
        packed = gzip.compress(DOCUMENT.encode())
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/xml"}
        answer = await call.request(post(app.on("/a", web.Response(body=packed, headers=headers))))
        assert answer.body == DOCUMENT.encode()

    @pytest.mark.parametrize(
        ("content_type", "number"),
        [("", 12300), ("application/json", 12300), ("image/png", 12300), ("text/css; charset=utf-8", 12300)],
    )
    async def test_no_type_or_another_is_12300(
        self, call: CallWebhooks, content_type: str, number: int
    ) -> None:
        head = f"Content-Type: {content_type}\r\n" if content_type else ""
        async with talking(say(f"HTTP/1.1 200 OK\r\n{head}Content-Length: 11\r\n\r\n<Response/>")) as raw:
            error = await error_of(call.request(post(raw.url)))
        assert (error.number, error.status) == (number, 200)

    @pytest.mark.parametrize(
        "answer", [web.Response(status=204), web.Response(text="", content_type="text/xml")]
    )
    async def test_an_empty_one_is_11770_only_where_a_document_is_expected(
        self, app: Application, call: CallWebhooks, answer: web.Response
    ) -> None:
        url = app.on("/a", answer)
        assert (await error_of(call.request(post(url)))).number == 11770
        status = (await call.request(post(url, expects_document=False))).status
        assert status == answer.status

    async def test_a_callback_may_be_answered_with_anything(
        self, app: Application, call: CallWebhooks
    ) -> None:
        url = app.on("/a", web.Response(text="{}", content_type="application/json"))
        assert (await call.request(post(url, expects_document=False))).status == 200

    async def test_a_callback_is_delivered_once_its_status_has_come(self, call: CallWebhooks) -> None:
        dripping = drip("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        async with talking(dripping) as raw:
            answer = await call.request(post(raw.url, expects_document=False))
            assert (answer.status, answer.elapsed_s < 3) == (200, True)

    async def test_audio_is_left_to_be_played(self, app: Application, call: CallWebhooks) -> None:
        url = app.on("/a", web.Response(body=bytes(200_000), content_type="audio/mpeg"))
        answer = await call.request(post(url))
        assert (answer.url, answer.content_type, answer.body) == (url, "audio/mpeg", b"")

    @pytest.mark.parametrize(
        ("value", "charset"),
        [
            ("text/plain", "utf-8"),
            ("Text/Plain; format=flowed; Charset=ISO-8859-1", "iso-8859-1"),
            ('text/plain; charset="UTF-8"', "utf-8"),
            ("text/plain; charset=", "utf-8"),
        ],
    )
    async def test_the_charset_is_told(
        self, app: Application, call: CallWebhooks, value: str, charset: str
    ) -> None:
        url = app.on("/a", web.Response(body=b"Hello", headers={"Content-Type": value}))
        answer = await call.request(post(url))
        assert (answer.content_type, answer.charset) == ("text/plain", charset)


class TestRevalidation:
    @pytest.mark.parametrize(
        ("name", "value", "condition"),
        [
            ("ETag", 'W/"7"', "If-None-Match"),
            ("Last-Modified", "Mon, 23 Nov 2026 00:00:00 GMT", "If-Modified-Since"),
        ],
    )
    async def test_an_answer_that_still_holds_is_not_sent_again(
        self, app: Application, client: WebhookClient, name: str, value: str, condition: str
    ) -> None:
        first = web.Response(text=DOCUMENT, headers={"Content-Type": "text/xml", name: value})
        url = app.on("/a", first, web.Response(status=304))
        answers = [await client.for_call().request(get(url)) for _ in range(2)]
        assert [seen.headers.get(condition) for seen in app.seen] == [None, value]
        assert [(a.status, a.content_type, a.body) for a in answers] == [
            (200, "text/xml", DOCUMENT.encode())
        ] * 2

    async def test_a_new_answer_takes_the_place_of_the_old(
        self, app: Application, call: CallWebhooks
    ) -> None:
        new = "<Response/>"
        url = app.on("/a", twiml(ETag='"1"'), twiml(new, ETag='"2"'), web.Response(status=304))
        bodies = [(await call.request(get(url))).body.decode() for _ in range(3)]
        assert bodies == [DOCUMENT, new, new]
        assert [seen.headers.get("If-None-Match") for seen in app.seen] == [None, '"1"', '"2"']

    async def test_another_callers_parameters_are_another_address(
        self, app: Application, call: CallWebhooks
    ) -> None:
        url = app.on("/a", twiml(ETag='"1"'))
        await call.request(get(url, (("From", "+1"),)))
        await call.request(get(url, (("From", "+2"),)))
        assert "If-None-Match" not in app.seen[1].headers

    async def test_post_and_no_store_are_never_kept(self, app: Application, call: CallWebhooks) -> None:
        posted = app.on("/a", twiml(ETag='"1"'))
        private = app.on("/b", twiml(ETag='"1"', Cache_Control="private, No-Store"))
        for _ in range(2):
            await call.request(post(posted))
            await call.request(get(private))
        await call.request(get(posted))
        assert not any("If-None-Match" in seen.headers for seen in app.seen)


class TestOutbox:
    async def test_callbacks_reach_the_application_in_order_through_its_bad_moments(
        self, app: Application, client: WebhookClient
    ) -> None:
        settled: list[Any] = []
        policy = RetryPolicy(first_delay_s=0.01)
        outbox = MemoryOutbox(
            client.for_call, policy=policy, report=lambda call, request, error: settled.append(error)
        )
        bad = [web.Response(status=503), web.Response(status=500)]
        url = app.on("/status", *bad, web.Response(status=204))
        for number in range(3):
            params = (("SequenceNumber", str(number)),)
            token = f"t-{number}"
            outbox.post(
                CallSid("CA1"),
                WebhookRequest(url=url, params=params, idempotency_token=token, expects_document=False),
            )
        assert await outbox.drain(10) == 0
        assert [seen.form[0][1] for seen in app.seen] == ["0", "0", "0", "1", "2"]
        tokens = [seen.headers["X-Twilio-Idempotency-Token"] for seen in app.seen]
        assert tokens == ["t-0", "t-0", "t-0", "t-1", "t-2"]
        assert all(seen.signed for seen in app.seen)
        assert settled == [None] * 3
