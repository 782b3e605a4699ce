"""Logging in, out, and who is."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from serving.access.identity import Identity
from serving.access.policy import LOGGED_IN, PUBLIC, Caller, guarded
from serving.access.refusal import forbidden
from serving.access.session import Access, address_of, home, landing
from serving.api import shapes
from serving.api.answers import PREFIX, described, json_answer
from serving.figures.local_days import utc_time
from serving.render.household import Json

Next = Annotated[str | None, Query(max_length=2_048, description="The page that was asked for before.")]


def routes(access: Access) -> APIRouter:
    """Return the routes of the session that the pages' cookie keeps."""
    router = APIRouter(prefix=PREFIX, tags=["session"], responses=described(429, 500))

    @router.post(
        "/session",
        summary="Log in",
        description="Checks a token and leaves it with the browser as a cookie that no script reads.",
        response_model=shapes.Session,
        responses=described(401, 403, 422),
        **guarded(PUBLIC),
    )
    async def log_in(request: Request, login: Annotated[shapes.Login, Body()]) -> Response:
        await access.limits.attempted(address_of(request))
        identity = access.check(login.token)
        if home(identity) is None:
            raise forbidden("role-not-allowed", f"no page is for the role {identity.role}")
        answer = json_answer(_told(identity, login.next))
        access.remember(answer, login.token, identity)
        return answer

    @router.get(
        "/session",
        summary="Who is logged in",
        description="Whom the request's token speaks for, and until when.",
        response_model=shapes.Session,
        responses=described(401, 422),
        **guarded(LOGGED_IN),
    )
    async def session(caller: Caller, next: Next = None) -> Response:  # noqa: A002 - the address names it so
        return json_answer(_told(caller, next))

    @router.delete(
        "/session",
        summary="Log out",
        description="Takes the token from the browser and takes it back: within two seconds no process knows "
        "it any more, and whoever else has it is logged out as well.",
        status_code=204,
        responses=described(403),
        **guarded(PUBLIC),
    )
    async def log_out(request: Request) -> Response:
        await access.end(request)
        answer = Response(status_code=204, headers={"Cache-Control": "no-store"})
        access.forget(answer)
        return answer

    return router


def _told(identity: Identity, asked: str | None) -> Json:
    return {
        "subject": identity.subject,
        "role": identity.role,
        "user_id": identity.user_id,
        "expires_at": utc_time(identity.expires_at * 1000),
        "home": home(identity),
        "go": landing(identity, asked or ""),
    }
