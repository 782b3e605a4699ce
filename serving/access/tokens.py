"""Tokens: who somebody is, signed. HMAC-SHA256 alone, always with an end, from a file of keys."""

import base64
import dataclasses
import hmac
import re
import secrets
import string
from collections.abc import Callable
from typing import Any

import jwt
import orjson
from jwt.algorithms import HMACAlgorithm

from infra.contracts.durations import HOUR_S
from infra.contracts.heartbeat import USER_ID_MAX, USER_ID_MIN
from serving.access.identity import Identity, Role
from serving.access.refusal import unauthenticated

ALGORITHM = "HS256"
ISSUER = "meterbeat"
AUDIENCE = "meterbeat-api"
REQUIRED = {"exp", "iat", "iss", "aud", "sub", "role", "jti"}
BASE64URL = string.ascii_letters.encode() + string.digits.encode() + b"-_"
LIFETIME_S = 24 * HOUR_S
LIFETIME_S_MAX = 31 * 24 * HOUR_S
TOKEN_CHARS_MAX = 512  # ours have about 300
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
TOKEN_ID = re.compile(r"[A-Za-z0-9_-]{16}")
ROLES = {role.value: role for role in Role}
LEEWAY_S = 30  # clocks of machines that issue and check differ by less


class _LoadedKeys(HMACAlgorithm):
    """HS256 by keys that keys.py holds to their form: the library searches them for a PEM at each token.

    It measures the key each time as well, and makes an object for each signature; here that is one call in C.
    """

    def prepare_key(self, key: str | bytes) -> bytes:
        """Return the key."""
        return key if isinstance(key, bytes) else super().prepare_key(key)

    def check_key_length(self, key: bytes) -> str | None:
        """Return no warning: a key that is too short is not loaded."""
        del key
        return None

    def sign(self, msg: bytes, key: bytes) -> bytes:
        """Return the signature of a message."""
        return hmac.digest(key, msg, self.hash_alg)


class _Signatures(jwt.PyJWS):
    """The library's check of signatures, with its segments read in C instead of letter by letter."""

    @staticmethod
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        # What is not plainly a segment is left to the library, which finds the words for it.
        if len(segment) % 4 != 1 and not segment.translate(None, BASE64URL):
            decoded = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
            if base64.urlsafe_b64encode(decoded).rstrip(b"=") == segment:
                return decoded
        return jwt.PyJWS._decode_base64url_segment(segment, name)


SIGNATURES = _Signatures([ALGORITHM])
SIGNATURES.unregister_algorithm(ALGORITHM)
SIGNATURES.register_algorithm(ALGORITHM, _LoadedKeys(HMACAlgorithm.SHA256))


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Issues tokens by the first of `keys` and checks them by all; `now` tells ms since 1970."""

    keys: tuple[bytes, ...] = dataclasses.field(repr=False)
    now: Callable[[], int]

    def issue(
        self, role: Role, user_id: int | None = None, lifetime_s: int = LIFETIME_S, name: str | None = None
    ) -> str:
        """Return a new token of a role, for a household's user or for somebody by a name, else by chance.

        What somebody may do at once is counted by that name.

        :raises ValueError: where role, user, name and lifetime do not go together.
        """
        if (role is Role.HOUSEHOLD) != (user_id is not None):
            raise ValueError(f"a user id belongs to the role household alone, not {role} with {user_id}")
        if user_id is not None and not USER_ID_MIN <= user_id <= USER_ID_MAX:
            raise ValueError(f"user id is {user_id}, not in {USER_ID_MIN}..{USER_ID_MAX}")
        if name is not None and (user_id is not None or not NAME.fullmatch(name)):
            raise ValueError(f"name is {name!r}: 1 to 64 of A-Za-z0-9._@-, and none for a household")
        if not 0 < lifetime_s <= LIFETIME_S_MAX:
            raise ValueError(f"a token's lifetime is {lifetime_s} s, not in 1..{LIFETIME_S_MAX}")
        issued_at = self.now() // 1000
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": f"{role}:{name or secrets.token_hex(6)}" if user_id is None else f"user:{user_id}",
            "role": role.value,
            "jti": secrets.token_urlsafe(12),
            "iat": issued_at,
            "exp": issued_at + lifetime_s,
        }
        if user_id is not None:
            claims["user_id"] = user_id
        return jwt.encode(claims, self.keys[0], ALGORITHM)

    def check(self, token: str) -> Identity:
        """Return whom a token speaks for.

        :raises Refusal: where it is not one of ours, or has ended.
        """
        claims = self._signed(token)
        identity = _identity(claims)
        issued_at, now_s = claims["iat"], self.now() // 1000
        # A signature proves the key, not that this program made the token: its bounds hold as well.
        if not 0 < identity.expires_at - issued_at <= LIFETIME_S_MAX or issued_at > now_s + LEEWAY_S:
            raise _invalid()
        if identity.expires_at <= now_s:
            raise unauthenticated("token-expired", "the token has expired; log in anew")
        return identity

    def _signed(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that one of the keys signed for us.

        :raises Refusal: where none did.
        """
        if len(token) > TOKEN_CHARS_MAX:
            raise _invalid()
        for key in self.keys:
            try:
                claims = orjson.loads(SIGNATURES.decode(token, key, [ALGORITHM]))
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, RecursionError):
                break
            if isinstance(claims, dict) and _for_us(claims):
                return claims
            break
        raise _invalid()


def _for_us(claims: dict[str, Any]) -> bool:
    """Return whether claims are all there, ours, and of no form that we never issue: none begins later."""
    whole = claims.keys() >= REQUIRED and "nbf" not in claims
    return whole and claims["iss"] == ISSUER and claims["aud"] == AUDIENCE


def _identity(claims: dict[str, Any]) -> Identity:
    """Return what claims say, held to their types and to each other."""
    subject, role, token_id = claims["sub"], claims["role"], claims["jti"]
    user_id, expires_at = claims.get("user_id"), claims["exp"]
    if not (type(subject) is type(role) is type(token_id) is str) or role not in ROLES:
        raise _invalid()
    if not TOKEN_ID.fullmatch(token_id) or not (type(expires_at) is type(claims["iat"]) is int):
        raise _invalid()
    if role == Role.HOUSEHOLD:
        known = type(user_id) is int and USER_ID_MIN <= user_id <= USER_ID_MAX
        if not known or subject != f"user:{user_id}":
            raise _invalid()
    else:
        kind, _, name = subject.partition(":")
        if user_id is not None or kind != role or not NAME.fullmatch(name):
            raise _invalid()
    return Identity(subject, ROLES[role], user_id, token_id, expires_at)


def _invalid() -> Exception:
    return unauthenticated("token-invalid", "the token is not valid here; log in anew")
