import pytest

from b2bua.web.cookies import MAX_COOKIES, CallCookies

pytestmark = pytest.mark.unit

URL = "http://127.0.0.1:8080/voice/start"


async def test_cookies_come_back_to_an_address_host_as_they_were_set() -> None:
    cookies = CallCookies()
    cookies.take(URL, ["session=a%20b==; Path=/; HttpOnly", 'quoted="x y"; Path=/'])
    assert cookies.header_for("http://127.0.0.1:8080/other") == 'session=a%20b==; quoted="x y"'


async def test_path_and_host_are_minded() -> None:
    cookies = CallCookies()
    cookies.take(URL, ["here=1", "there=2; Path=/other", "foreign=3; Domain=example.com; Path=/"])
    assert cookies.header_for("http://127.0.0.1:8080/voice/next") == "here=1"
    assert cookies.header_for("http://127.0.0.2:8080/voice/next") == ""


async def test_secure_cookies_stay_off_plain_http() -> None:
    cookies = CallCookies()
    cookies.take("https://a.example/", ["s=1; Secure; Path=/"])
    assert cookies.header_for("http://a.example/") == ""
    assert cookies.header_for("https://a.example/") == "s=1"


async def test_an_expired_cookie_is_gone() -> None:
    cookies = CallCookies()
    cookies.take(URL, ["a=1; Path=/"])
    cookies.take(URL, ["a=; Path=/; Max-Age=0"])
    assert cookies.header_for(URL) == ""


async def test_many_cookies_leave_the_newest() -> None:
    cookies = CallCookies()
    for number in range(MAX_COOKIES + 30):
        cookies.take(URL, [f"c{number}=x; Path=/"])
    assert len(cookies) == MAX_COOKIES
    assert f"c{MAX_COOKIES + 29}=x" in cookies.header_for(URL)
    assert "c0=x" not in cookies.header_for(URL)


async def test_an_oversized_cookie_is_not_kept() -> None:
    cookies = CallCookies()
    cookies.take(URL, ["big=" + "x" * 5000, "small=1"])
    assert cookies.header_for(URL) == "small=1"
