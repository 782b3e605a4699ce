"""Where a request carries its token, and where somebody who logs in is led."""

import dataclasses
import re
import urllib.parse

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from serving.access.identity import Identity, Role
from serving.access.limits import Limits
from serving.access.origin import sent_from_elsewhere
from serving.access.refusal import Refusal, forbidden, unauthenticated
from serving.access.revocation import Revocations, Revoked
from serving.access.tokens import Tokens

COOKIE = "meterbeat_session"
LOGIN = "/login"
BEARER = b"Bearer "
COMPANY = frozenset({Role.ANALYST, Role.OPERATOR})
# The pages that one may be led to, and the roles that find something there; a household finds its own page.
PAGES = (
    (re.compile(r"/"), COMPANY),
    (re.compile(r"/region/[A-Za-z0-9-]{1,16}"), COMPANY),
    (re.compile(r"/quality"), COMPANY),
    (re.compile(r"/operations"), frozenset({Role.OPERATOR})),
    (re.compile(r"/household/[1-9][0-9]{7}"), frozenset({Role.OPERATOR})),
)
QUERY = re.compile(r"[A-Za-z0-9_.~=&%:+-]*")


@dataclasses.dataclass(frozen=True)
class Access:
    """Tells who asks, and lets nobody ask too often. `cookie_secure`: pages are reached by https alone."""

    tokens: Tokens
    limits: Limits
    revocations: Revocations
    cookie_secure: bool

    @property
    def cookie(self) -> str:
        """The name of the session's cookie: by https one that no other host of our domain can set."""
        return f"__Host-{COOKIE}" if self.cookie_secure else COOKIE

    async def admit(self, request: Request) -> Identity:
        """Return who asks.

        :raises Refusal: where the request does not prove it, or they asked too often.
        """
        try:
            identity = self.check(_token(request.headers, self.cookie))
        except Refusal:
            await self.limits.attempted(address_of(request))
            raise
        await self.limits.asked(identity)
        return identity

    def check(self, token: str) -> Identity:
        """Return whom a token speaks for.

        :raises Refusal: where it is not one of ours, has ended, or was taken back.
        """
        identity = self.tokens.check(token)
        self.revocations.refuse(identity)
        return identity

    def household(self, scope: Scope) -> Identity | None:
        """Return the household that asks; None where nobody proves to be one: `admit` answers for that."""
        try:
            identity = self.check(_bearer(scope) or _token(Headers(scope=scope), self.cookie))
        except Refusal:
            return None
        return identity if identity.role is Role.HOUSEHOLD else None

    async def end(self, request: Request) -> None:
        """Take back the token of a request, if it has one that is valid.

        It is not counted: nobody must be kept from leaving, and with one token one leaves once.
        """
        try:
            identity = self.check(_token(request.headers, self.cookie))
        except Refusal:
            return
        await self.revocations.revoke(Revoked(identity.token_id, identity.expires_at))

    def hold_to_our_pages(self, request: Request) -> None:
        """Let a request through unless it changes something and another site's page may have sent it.

        :raises Refusal: 403 where it may.
        """
        by_cookie = "authorization" not in request.headers and self.cookie in request.cookies
        if sent_from_elsewhere(request.method, request.headers, by_cookie=by_cookie):
            raise forbidden("cross-site", "this was sent by another site's page, or does not say by which")

    def remember(self, answer: Response, token: str, identity: Identity) -> None:
        """Make an answer leave the token with the browser, for as long as it is valid."""
        answer.set_cookie(
            self.cookie,
            token,
            max_age=max(0, identity.expires_at - self.tokens.now() // 1000),
            path="/",
            secure=self.cookie_secure,
            httponly=True,
            samesite="strict",
        )

    def forget(self, answer: Response) -> None:
        """Make an answer take the token from the browser, and what it kept of others."""
        answer.delete_cookie(
            self.cookie, path="/", secure=self.cookie_secure, httponly=True, samesite="strict"
        )
        answer.headers["Clear-Site-Data"] = '"cache"'


def address_of(request: Request) -> str:
    """Return the address that a request came from."""
    return request.client.host if request.client else ""


def home(identity: Identity) -> str | None:
    """Return the page that somebody sees first; a device has none."""
    if identity.role is Role.HOUSEHOLD:
        return f"/household/{identity.user_id}"
    return "/" if identity.role in COMPANY else None


def landing(identity: Identity, asked: str) -> str | None:
    """Return the page to lead somebody to who asked for one: that, if it is ours and theirs, else home."""
    path, _, query = asked.partition("?")
    roles = next((roles for page, roles in PAGES if page.fullmatch(path)), frozenset())
    theirs = identity.role in roles or path == home(identity)
    return asked if theirs and QUERY.fullmatch(query) else home(identity)


def login_instead_of(request: Request) -> Refusal:
    """Return the answer that leads from a page to the login and back."""
    # Not of request.url, which is put together with the Host that the caller says.
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    asked = f"{path}?{query}" if query and QUERY.fullmatch(query) else path
    known = any(page.fullmatch(path) for page, _ in PAGES)
    place = f"{LOGIN}?next={urllib.parse.quote(asked, safe='/')}" if known else LOGIN
    return Refusal(303, "login-first", "Log in first", "log in to see this page", {"Location": place})


def _bearer(scope: Scope) -> str:
    """Return the token of a request that says in the usual words who asks, and only once; else nothing."""
    told = [value for name, value in scope["headers"] if name == b"authorization"]
    return told[0][len(BEARER) :].decode("latin-1") if len(told) == 1 and told[0].startswith(BEARER) else ""


def _token(headers: Headers, cookie: str) -> str:
    """Return the token of a request, which a header carries before a cookie does.

    :raises Refusal: where there is none.
    """
    header = headers.get("authorization")
    if header is None:
        token = cookie_parser("; ".join(headers.getlist("cookie"))).get(cookie, "")
    else:
        scheme, _, token = header.partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
    if not token:
        raise unauthenticated("token-missing", "send a token, `Authorization: Bearer TOKEN`, or log in")
    return token
