"""A web application with nine phone flows, written with nothing but Python's standard library.

    python config/examples/app.py --port 8000

Then, in the node's configuration:

    [[numbers]]
    match = "100"
    voice_url = "http://127.0.0.1:8000/forward?PhoneNumber=client:alice"

Your own application should check the signature of each request first (docs/operating.md).
"""

import argparse
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import application_uri

import call_centre
import conference_line
import find_me
import forward
import screen
import simulring
import voicemail
import waiting
import warm_transfer

MAX_BODY = 64 * 1024
ROUTES: dict[str, Callable[[dict[str, str]], str]] = {
    **forward.ROUTES,
    **simulring.ROUTES,
    **find_me.ROUTES,
    **voicemail.ROUTES,
    **screen.ROUTES,
    **waiting.ROUTES,
    **call_centre.ROUTES,
    **conference_line.ROUTES,
    **warm_transfer.ROUTES,
}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI application: give a flow the query and the form in one dict; the form's values win.

    ``BaseUrl`` is the URL of this application.
    """
    flow = ROUTES.get(environ.get("PATH_INFO", ""))
    if flow is None:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"no such flow"]
    length = min(int(environ.get("CONTENT_LENGTH") or 0), MAX_BODY)
    form = environ["wsgi.input"].read(length).decode()
    query = {"BaseUrl": application_uri(environ).rstrip("/")}
    query |= dict(parse_qsl(environ.get("QUERY_STRING", ""))) | dict(parse_qsl(form))
    document = flow(query)
    if not document:
        start_response("204 No Content", [])
        return []
    start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8")])
    return [document.encode()]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a request's URL may contain a telephone number."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    with make_server("127.0.0.1", port, app, handler_class=_Quiet) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
