"""The signature that proves to the web application that a request is ours.

``X-Twilio-Signature`` is base64(HMAC-SHA1(auth_token, URL + names and values of the POST parameters)). The
URL must be, byte for byte, the one the application sees itself asked for: with its query, without fragment
and credentials. The parameters are signed before form encoding.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable

__all__ = ["Params", "sign"]

Params = tuple[tuple[str, str], ...]
"""Names and values in the order they are sent; a name may come more than once."""


def sign(auth_token: str, url: str, params: Iterable[tuple[str, str]] = ()) -> str:
    """Sign a request.

    Parameters count sorted by name, then by value, each pair once: that is how the official validators put a
    repeated name together, whatever order the form had.

    Args:
        auth_token: the account's secret.
        url: as it is requested, query included.
        params: of a POST; a GET has its parameters in the URL and none here.

    Returns:
        The value of ``X-Twilio-Signature``.
    """
    text = url + "".join(name + value for name, value in sorted(set(params)))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")
