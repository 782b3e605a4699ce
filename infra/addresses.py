"""How an address is shown to people."""


def redacted(url: str) -> str:
    """Return an address without the user and password that it may hold."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2]
