"""Signs requests, so that the web application can verify that they come from this node.

``X-Twilio-Signature`` is base64(HMAC-SHA1(auth_token, URL + names and values of the POST parameters)). The
URL must be, byte for byte, the one that the application sees in the request: with its query, without fragment
and credentials. The parameters are signed before form encoding.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable

__all__ = ["Params", "sign"]

Params = tuple[tuple[str, str], ...]
"""Names and values in the order they are sent; a name may occur more than once."""


def sign(auth_token: str, url: str, params: Iterable[tuple[str, str]] = ()) -> str:
    """Sign a request.

    Parameters are sorted by name, then by value, and each pair counts once: the official validators combine
    the values of a repeated name in this way, whatever the order in the form.

    Args:
        auth_token: the account's secret.
        url: the URL as requested, query included.
        params: parameters of a POST; those of a GET are in the URL, not here.

    Returns:
        The value of ``X-Twilio-Signature``.
    """
    text = url + "".join(name + value for name, value in sorted(set(params)))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")
