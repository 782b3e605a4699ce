"""Who may take a route. A route is given its policy where it is declared; one without is never answered."""

import dataclasses
from typing import Annotated, Any, cast

from fastapi import Depends, Path, Request
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.contracts.heartbeat import USER_ID_MAX, USER_ID_MIN
from serving.access.identity import USER_ID, Identity, OwnedUser, Role, owned_by
from serving.access.refusal import Refusal, forbidden, user_unknown
from serving.access.session import Access, login_instead_of

UserId = Annotated[
    str,
    Path(
        pattern=f"^{USER_ID.pattern}$",
        description=f"The user, {USER_ID_MIN} to {USER_ID_MAX}.",
        examples=["10000042"],
    ),
]


@dataclasses.dataclass(frozen=True)
class Policy:
    """Which roles may take a route.

    `scoped`: its path names a user, and a household gets only itself. `page`: a document without data, which
    leads whoever is not logged in to the login instead of refusing.
    """

    name: str
    roles: frozenset[Role] = frozenset()
    public: bool = False
    scoped: bool = False
    page: bool = False


PUBLIC = Policy("public", public=True)
LOGGED_IN = Policy("logged-in", frozenset(Role))
PAGE = Policy("page", frozenset({Role.HOUSEHOLD, Role.ANALYST, Role.OPERATOR}), page=True)
OWN_HOUSEHOLD = Policy("own-household", frozenset({Role.HOUSEHOLD, Role.OPERATOR}), scoped=True)
COUNTRY = Policy("country", frozenset({Role.ANALYST, Role.OPERATOR}))
OPERATIONS = Policy("operations", frozenset({Role.OPERATOR}))


class Declared:
    """An application of files, or the like, that is taken by a policy which asks for nobody."""

    def __init__(self, policy: Policy, app: ASGIApp) -> None:
        assert policy.public, "only a route's guard can ask who it is"
        self.policy = policy
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        scope["endpoint"] = self
        _note(scope, self.policy)
        await self._app(scope, receive, send)


class Guard:
    """The dependency that holds a route to its policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    async def __call__(self, request: Request) -> None:
        """Let a request through and leave `identity` and `owned` in its state.

        :raises Refusal: where it is not let through.
        """
        access = cast(Access, request.app.state.access)
        access.hold_to_our_pages(request)
        _note(request.scope, self.policy)
        if self.policy.public:
            return
        try:
            identity = await access.admit(request)
        except Refusal as refusal:
            if self.policy.page and refusal.status == 401:
                raise login_instead_of(request) from None
            raise
        if identity.role not in self.policy.roles:
            allowed = " or ".join(sorted(self.policy.roles))
            raise forbidden("role-not-allowed", f"this is for the role {allowed}, not {identity.role}")
        request.state.identity = identity
        if self.policy.scoped:
            request.state.owned = _owned(identity, request.path_params["user_id"])


def guarded(policy: Policy) -> dict[str, Any]:
    """Return what a route's decorator is given: `@router.get("/regions", **guarded(COUNTRY))`."""
    roles = [] if policy.public else sorted(policy.roles)
    return {
        "dependencies": [Depends(Guard(policy))],
        "openapi_extra": {
            "x-policy": {"name": policy.name, "roles": roles, "scoped": policy.scoped},
            "security": [] if policy.public else [{"bearer": []}, {"session": []}],
        },
    }


def policy_of(route: object) -> Policy | None:
    """Return the policy that a route was declared with, None where there is none."""
    if isinstance(route, APIRoute):
        for dependency in route.dependencies:
            if isinstance(dependency.dependency, Guard):
                return dependency.dependency.policy
        return None
    app = getattr(route, "app", None)
    return app.policy if isinstance(app, Declared) else None


def policy_taken(scope: Scope) -> Policy | None:
    """Return the policy that a request was let through by, None where it was by none."""
    return cast(Policy | None, scope.get("state", {}).get("policy"))


def identity_of(scope: Scope) -> Identity | None:
    """Return who asks, None where nobody had to say."""
    return cast(Identity | None, scope.get("state", {}).get("identity"))


async def denied_without_policy(request: Request) -> None:
    """Refuse what takes a route without a policy; a dependency of the whole application."""
    if policy_of(request.scope.get("route")) is None:
        raise forbidden("no-policy", "this route has no policy, so nobody may take it")


async def held_to_policy(request: Request) -> None:
    """Hold a request to its route's policy where the guard has not yet: a body is read before it runs.

    :raises Refusal: where it is not let through.
    """
    if policy_taken(request.scope) is None:
        await denied_without_policy(request)
        policy = policy_of(request.scope.get("route"))
        assert policy is not None, "a route without one has been refused"
        await Guard(policy)(request)


def own_household(access: Access, scope: Scope, user_id: str) -> tuple[Identity, OwnedUser] | None:
    """Return who asks and the user, where a household plainly asks for itself, and let that through.

    None where it is anything else, which the route's guard has an answer for.
    """
    identity = access.household(scope) if USER_ID.fullmatch(user_id) else None
    user = owned_by(identity, user_id) if identity else None
    if identity is None or user is None:
        return None
    _note(scope, OWN_HOUSEHOLD)
    scope["state"]["identity"] = identity
    return identity, user


def _owned(identity: Identity, user_id: str) -> OwnedUser | None:
    """Return the user of the path; None where it is malformed, which the route's own check refuses.

    :raises Refusal: where the user is another's: as if there were none.
    """
    owned = owned_by(identity, user_id)
    if owned is None and USER_ID.fullmatch(user_id):
        raise user_unknown(user_id)
    return owned


def _note(scope: Scope, policy: Policy) -> None:
    scope.setdefault("state", {})["policy"] = policy


async def _caller(request: Request) -> Identity:
    return cast(Identity, request.state.identity)


async def _owned_user(request: Request, user_id: UserId) -> OwnedUser:
    del user_id  # Named so that a malformed one is refused here, before there is an owned one.
    owned = request.state.owned
    assert isinstance(owned, OwnedUser), "a scoped route's guard has left the user that its path names"
    return owned


Caller = Annotated[Identity, Depends(_caller)]
Owned = Annotated[OwnedUser, Depends(_owned_user)]
