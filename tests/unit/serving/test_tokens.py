"""Tokens: what is issued is read back, and nothing else is."""

import base64
import json
import os
import stat
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_builders import TOKEN_KEY, USER_ID

from infra.contracts.heartbeat import USER_ID_MAX, USER_ID_MIN
from serving.access import keys
from serving.access.identity import Identity, OwnedUser, Role, owned_by
from serving.access.refusal import Refusal
from serving.access.tokens import LIFETIME_S_MAX, SIGNATURES, TOKEN_CHARS_MAX, Tokens

NOW_S = 1_780_000_000
TOKENS = Tokens((TOKEN_KEY,), lambda: NOW_S * 1000)
OTHER_KEY = b"another key of the tests, as long as the one that signs"
CLAIMS = {
    "iss": "meterbeat",
    "aud": "meterbeat-api",
    "sub": "user:10000042",
    "role": "household",
    "user_id": USER_ID,
    "jti": "a-token-of-tests",
    "iat": NOW_S,
    "exp": NOW_S + 60,
}
# The published SHA-256 public key of nobody: what an RS256 token would be checked by.
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL\n-----END PUBLIC KEY-----\n"


def signed(claims: dict[str, Any], headers: dict[str, Any] | None = None) -> str:
    return jwt.encode(claims, TOKEN_KEY, "HS256", headers)


def refused(token: str, tokens: Tokens = TOKENS) -> str:
    with pytest.raises(Refusal) as told:
        tokens.check(token)
    assert told.value.status == 401
    assert len(token) < 50 or token not in f"{told.value!r} {told.value.detail}"
    return told.value.kind


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


class TestTokens:
    @given(st.integers(USER_ID_MIN, USER_ID_MAX), st.integers(1, LIFETIME_S_MAX))
    def test_of_a_household_speak_for_its_user_until_their_end(self, user_id: int, lifetime_s: int) -> None:
        token = TOKENS.issue(Role.HOUSEHOLD, user_id, lifetime_s)

        identity = TOKENS.check(token)

        assert (identity.subject, identity.role) == (f"user:{user_id}", Role.HOUSEHOLD)
        assert (identity.user_id, identity.expires_at) == (user_id, NOW_S + lifetime_s)
        assert len(token) <= TOKEN_CHARS_MAX
        last, over = NOW_S + lifetime_s - 1, NOW_S + lifetime_s
        assert Tokens((TOKEN_KEY,), lambda: last * 1000).check(token) == identity
        assert refused(token, Tokens((TOKEN_KEY,), lambda: over * 1000)) == "token-expired"

    @pytest.mark.parametrize("role", [Role.ANALYST, Role.OPERATOR, Role.DEVICE])
    def test_of_the_company_have_no_user(self, role: Role) -> None:
        named, one, other = (
            TOKENS.check(TOKENS.issue(role, name=name)) for name in ("ada@desk-1", None, None)
        )

        assert named.subject == f"{role}:ada@desk-1"
        assert one.subject != other.subject
        assert named.user_id is one.user_id is None

    @pytest.mark.parametrize("name", ["", "a b", "a:b", "a\n", "x" * 65, "ä"])
    def test_have_no_name_that_could_be_taken_for_something_else(self, name: str) -> None:
        with pytest.raises(ValueError, match="name is"):
            TOKENS.issue(Role.ANALYST, name=name)
        with pytest.raises(ValueError, match="name is"):
            TOKENS.issue(Role.HOUSEHOLD, USER_ID, name="ada")

    def test_are_all_different(self) -> None:
        issued = {TOKENS.issue(Role.OPERATOR) for _ in range(100)}

        assert len({TOKENS.check(token).token_id for token in issued}) == 100

    @pytest.mark.parametrize(
        ("role", "user_id", "lifetime_s"),
        [
            (Role.HOUSEHOLD, None, 60),
            (Role.OPERATOR, USER_ID, 60),
            (Role.HOUSEHOLD, USER_ID_MIN - 1, 60),
            (Role.HOUSEHOLD, USER_ID_MAX + 1, 60),
            (Role.ANALYST, None, 0),
            (Role.ANALYST, None, LIFETIME_S_MAX + 1),
        ],
    )
    def test_are_not_issued_for_what_does_not_fit(
        self, role: Role, user_id: int | None, lifetime_s: int
    ) -> None:
        with pytest.raises(ValueError, match=r"user id|lifetime"):
            TOKENS.issue(role, user_id, lifetime_s)

    def test_show_no_key(self) -> None:
        assert TOKEN_KEY.decode() not in repr(TOKENS)

    def test_signed_by_an_older_key_are_read_while_it_is_kept(self) -> None:
        old = Tokens((OTHER_KEY,), TOKENS.now).issue(Role.ANALYST)

        assert refused(old) == "token-invalid"
        assert Tokens((TOKEN_KEY, OTHER_KEY), TOKENS.now).check(old).role is Role.ANALYST


class TestForgeries:
    def test_a_token_made_by_hand_is_read_where_all_fits(self) -> None:
        assert TOKENS.check(signed(CLAIMS)).user_id == USER_ID

    @given(st.data())
    def test_with_any_character_changed_are_refused(self, data: st.DataObject) -> None:
        token = TOKENS.issue(Role.HOUSEHOLD, USER_ID)
        at = data.draw(st.integers(0, len(token) - 1))
        character = data.draw(st.characters(codec="utf-8").filter(lambda one: one != token[at]))
        changed = token[:at] + character + token[at + 1 :]

        # The last character of base64 has bits that mean nothing: the same signature, written otherwise.
        if at == len(token) - 1 and jwt.utils.base64url_decode(token.split(".")[2]) == _decoded(changed):
            return
        assert refused(changed) == "token-invalid"

    @given(st.text(max_size=600))
    def test_of_any_text_are_refused(self, text: str) -> None:
        assert refused(text) == "token-invalid"

    @pytest.mark.parametrize(
        "changed",
        [
            {"iss": "another"},
            {"aud": "another"},
            {"aud": []},
            {"aud": None},
            {"exp": None},
            {"iat": None},
            {"exp": NOW_S + LIFETIME_S_MAX + 1},
            {"exp": 10**30},
            {"exp": float(NOW_S + 60)},
            {"exp": "9"},
            {"exp": True},
            {"iat": NOW_S + 600, "exp": NOW_S + 660},
            {"iat": NOW_S + 60},
            {"iat": str(NOW_S)},
            {"role": "root"},
            {"role": "Household"},
            {"role": ["operator"]},
            {"role": None},
            {"role": "device"},
            {"role": "operator"},
            {"user_id": None},
            {"user_id": str(USER_ID)},
            {"user_id": float(USER_ID)},
            {"user_id": True},
            {"user_id": USER_ID + 1},
            {"user_id": -1},
            {"sub": "user:10000043"},
            {"sub": None},
            {"sub": USER_ID},
            {"jti": None},
            {"jti": 7},
            {"jti": "no id"},
            {"nbf": 2**40},
            {"role": "operator", "user_id": None},
            {"role": "operator", "user_id": None, "sub": "operator"},
            {"role": "operator", "user_id": None, "sub": "operator:"},
            {"role": "operator", "user_id": None, "sub": "operator:a b"},
            {"role": "operator", "user_id": None, "sub": "analyst:ada"},
        ],
    )
    def test_by_the_key_itself_are_refused_where_a_claim_does_not_fit(self, changed: dict[str, Any]) -> None:
        claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}
        # The library checks some types when it signs as well; a forger's does not.
        body = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(claims)}"
        signature = jwt.api_jws.PyJWS().get_algorithm_by_name("HS256").sign(body.encode(), TOKEN_KEY)

        assert (
            refused(f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}") == "token-invalid"
        )

    @pytest.mark.parametrize(
        "algorithm", ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", None]
    )
    def test_naming_another_algorithm_are_refused(self, algorithm: str | None) -> None:
        head = encoded({"alg": algorithm, "typ": "JWT"})
        right = signed(CLAIMS).split(".")[2]

        assert refused(f"{head}.{encoded(CLAIMS)}.") == "token-invalid"
        assert refused(f"{head}.{encoded(CLAIMS)}.{right}") == "token-invalid"

    def test_by_stronger_hashes_of_the_same_key_are_refused(self) -> None:
        for algorithm in ("HS384", "HS512"):
            assert refused(jwt.encode(CLAIMS, TOKEN_KEY * 2, algorithm)) == "token-invalid"

    def test_by_no_key_an_empty_one_or_a_public_one_are_refused(self) -> None:
        hmac = jwt.api_jws.PyJWS().get_algorithm_by_name("HS256")
        for key in (b"", b"\0", PUBLIC_KEY.encode(), b"None", b"null", b"secret"):
            body = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(CLAIMS)}"
            signature = base64.urlsafe_b64encode(hmac.sign(body.encode(), key)).rstrip(b"=").decode()

            assert refused(f"{body}.{signature}") == "token-invalid"

    @pytest.mark.parametrize(
        "headers",
        [
            {"jwk": {"kty": "oct", "k": encoded("own")}},
            {"jku": "https://elsewhere.example/keys"},
            {"x5u": "https://elsewhere.example/cert"},
            {"kid": "../../../../dev/null"},
            {"kid": "' UNION SELECT 'key"},
        ],
    )
    def test_that_bring_their_own_key_are_checked_by_ours(self, headers: dict[str, Any]) -> None:
        assert refused(jwt.encode(CLAIMS, OTHER_KEY, "HS256", headers)) == "token-invalid"

    @pytest.mark.parametrize("crit", [["exp"], ["b64"], ["unheard-of"], []])
    def test_with_critical_extensions_are_refused(self, crit: list[str]) -> None:
        assert refused(signed(CLAIMS, {"crit": crit, "b64": False, "unheard-of": 1})) == "token-invalid"

    @given(st.binary(max_size=12) | st.from_regex(rb"[A-Za-z0-9_+/=-]{0,12}", fullmatch=True))
    def test_have_segments_read_as_the_library_reads_them(self, segment: bytes) -> None:
        def read(by: type[jwt.PyJWS]) -> bytes | str:
            try:
                return by._decode_base64url_segment(segment, "payload")
            except jwt.DecodeError as error:
                return str(error)

        assert read(type(SIGNATURES)) == read(jwt.PyJWS)

    def test_nested_without_end_are_refused(self) -> None:
        deep = base64.urlsafe_b64encode(b"[" * 300).rstrip(b"=").decode()

        assert refused(f"{deep}.{deep}.{deep}"[:TOKEN_CHARS_MAX]) == "token-invalid"
        assert refused("." * TOKEN_CHARS_MAX) == "token-invalid"
        assert refused(signed({**CLAIMS, "more": "x" * TOKEN_CHARS_MAX})) == "token-invalid"


class TestOwnedUsers:
    def test_are_made_from_who_asks_alone(self) -> None:
        with pytest.raises(TypeError, match="made by"):
            OwnedUser(USER_ID, object())

    @given(st.text(max_size=12) | st.integers(-1, 10**9).map(str))
    def test_of_a_household_are_itself_alone(self, text: str) -> None:
        household = Identity("user:10000042", Role.HOUSEHOLD, USER_ID, "a-token", NOW_S)

        owned = owned_by(household, text)

        assert (owned is not None) == (text == str(USER_ID))

    @pytest.mark.parametrize("role", [Role.ANALYST, Role.DEVICE])
    def test_of_those_who_see_no_household_are_none(self, role: Role) -> None:
        assert owned_by(Identity(role, role, None, "a-token", NOW_S), str(USER_ID)) is None


class TestTheFileOfKeys:
    def test_is_made_once_for_its_owner_alone(self, tmp_path: Any) -> None:
        path = tmp_path / "serving" / "token.keys"

        first, second = keys.load_or_make(path), keys.load_or_make(path)

        assert first == second
        assert len(first) == 1
        assert len(base64.urlsafe_b64decode(first[0] + b"=")) == keys.KEY_BYTES
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [child.name for child in path.parent.iterdir()] == ["token.keys"]

    def test_gives_its_keys_in_their_order(self, tmp_path: Any) -> None:
        path = tmp_path / "token.keys"
        path.touch(0o600)
        path.write_text(f"{'a' * 43}\n\n{'b' * 50}\n")

        assert keys.load_or_make(path) == (b"a" * 43, b"b" * 50)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\n\n",
            "short\n",
            "a" * 42,
            f"{'a' * 43}\nshort\n",
            "a" * 43 + " b",
            PUBLIC_KEY,
            f"{'a' * 43}\n" * 9,
        ],
    )
    def test_with_what_is_no_key_is_refused(self, tmp_path: Any, text: str) -> None:
        path = tmp_path / "token.keys"
        path.touch(0o600)
        path.write_text(text)

        with pytest.raises(keys.KeysUnusable, match="1 to 8 keys"):
            keys.load_or_make(path)

    def test_that_is_no_file_is_refused_and_not_waited_for(self, tmp_path: Any) -> None:
        path = tmp_path / "token.keys"
        os.mkfifo(path, 0o600)

        with pytest.raises(keys.KeysUnusable, match="no file of our own"):
            keys.load_or_make(path)

    def test_of_somebody_else_is_refused(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "token.keys"
        keys.load_or_make(path)
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)

        with pytest.raises(keys.KeysUnusable, match="no file of our own"):
            keys.load_or_make(path)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
    def test_that_others_can_reach_is_refused(self, tmp_path: Any, mode: int) -> None:
        path = tmp_path / "token.keys"
        keys.load_or_make(path)
        path.chmod(mode)

        with pytest.raises(keys.KeysUnusable, match="chmod 600"):
            keys.load_or_make(path)


def _decoded(token: str) -> bytes | None:
    try:
        return jwt.utils.base64url_decode(token.split(".")[2])
    except (ValueError, IndexError):
        return None
