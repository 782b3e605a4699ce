"""Who asks, and the proof that a user may be asked about."""

import enum
import re
from typing import NamedTuple

from infra.contracts.heartbeat import USER_ID_MAX, USER_ID_MIN

USER_ID = re.compile("[1-9][0-9]{7}")
_PROOF = object()


class Role(enum.StrEnum):
    """What somebody is to the company."""

    HOUSEHOLD = "household"
    ANALYST = "analyst"
    OPERATOR = "operator"
    DEVICE = "device"


class Identity(NamedTuple):
    """Whom a token speaks for, until `expires_at` (seconds since 1970). Only a household has a user id."""

    subject: str
    role: Role
    user_id: int | None
    token_id: str
    expires_at: int


class OwnedUser:
    """A user whom the one that asks may see. Only `owned_by` and `owned_by_this_machine` make one."""

    __slots__ = ("user_id",)

    def __init__(self, user_id: int, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("an OwnedUser is made by serving.access.identity alone, from who asks")
        self.user_id = user_id

    def __repr__(self) -> str:
        return f"OwnedUser({self.user_id})"


def owned_by(identity: Identity, user_id: str) -> OwnedUser | None:
    """Return the user of a path if `identity` may see it: a household itself, an operator everybody.

    None as well where the text is no user id, so that what is malformed is never looked up.
    """
    if not USER_ID.fullmatch(user_id) or not USER_ID_MIN <= int(user_id) <= USER_ID_MAX:
        return None
    number = int(user_id)
    own = identity.role is Role.HOUSEHOLD and identity.user_id == number
    return OwnedUser(number, _PROOF) if own or identity.role is Role.OPERATOR else None


def owned_by_this_machine(user_id: int) -> OwnedUser:
    """Return a user for a command run on the machine itself, by whom it belongs to; never for a request."""
    return OwnedUser(user_id, _PROOF)
