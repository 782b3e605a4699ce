"""Requests that are refused, each with the status and words of its answer."""

REALM = 'Bearer realm="meterbeat"'


class Refusal(Exception):  # noqa: N818 - an answer that callers are given, not a fault
    """A request that is not let through; `kind` names the reason for programs, `detail` for people."""

    def __init__(
        self, status: int, kind: str, title: str, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.headers = headers or {}


def unauthenticated(kind: str, detail: str) -> Refusal:
    """Return the refusal of a request that does not prove who asks."""
    return Refusal(401, kind, "Not logged in", detail, {"WWW-Authenticate": REALM})


def forbidden(kind: str, detail: str) -> Refusal:
    """Return the refusal of a request that its role never allows."""
    return Refusal(403, kind, "Not allowed", detail)


def user_unknown(user_id: str) -> Refusal:
    """Return the refusal that a user who does not exist, or is another's, is answered with."""
    return Refusal(404, "user-unknown", "User is unknown", f"user is unknown: {user_id}")
