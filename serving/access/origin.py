"""Whether a request that changes something was sent by our own pages, as far as its browser tells."""

import urllib.parse
from collections.abc import Mapping

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def sent_from_elsewhere(method: str, headers: Mapping[str, str], *, by_cookie: bool) -> bool:
    """Return whether a request changes something and may come from another site's page.

    Browsers add a cookie by themselves, so that one with a cookie has to say where it comes from. What says
    nothing and has no cookie is no browser.
    """
    if method in SAFE_METHODS:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    origin = headers.get("origin")
    if origin is not None:
        # The scheme is left out: a balancer in front may speak another one.
        return urllib.parse.urlsplit(origin).netloc != headers.get("host")
    return by_cookie
