"""Where somebody who logs in is led: to a page of ours and theirs, whatever was asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_builders import USER_ID, instant

from serving.access.identity import Identity, Role
from serving.access.session import home, landing

NOW = instant("2026-06-04T20:30:05")
OWN = Identity(f"user:{USER_ID}", Role.HOUSEHOLD, USER_ID, "a-token", NOW)
OPERATOR = Identity("operator", Role.OPERATOR, None, "a-token", NOW)
ANALYST = Identity("analyst", Role.ANALYST, None, "a-token", NOW)
DEVICE = Identity("device", Role.DEVICE, None, "a-token", NOW)


class TestLanding:
    @pytest.mark.parametrize(
        ("identity", "asked", "led_to"),
        [
            (OWN, "", f"/household/{USER_ID}"),
            (OWN, "/", f"/household/{USER_ID}"),
            (OWN, f"/household/{USER_ID}?units=us", f"/household/{USER_ID}?units=us"),
            (OWN, f"/household/{USER_ID + 1}", f"/household/{USER_ID}"),
            (ANALYST, "/region/US-NY", "/region/US-NY"),
            (ANALYST, "/operations", "/"),
            (ANALYST, f"/household/{USER_ID}", "/"),
            (OPERATOR, "/operations", "/operations"),
            (OPERATOR, f"/household/{USER_ID}", f"/household/{USER_ID}"),
            (DEVICE, "/", None),
        ],
    )
    def test_is_the_page_asked_for_where_it_is_theirs(
        self, identity: Identity, asked: str, led_to: str | None
    ) -> None:
        assert landing(identity, asked) == led_to

    @pytest.mark.parametrize(
        "asked",
        [
            "//elsewhere.example",
            "https://elsewhere.example",
            "/\\elsewhere.example",
            "\\\\elsewhere.example",
            "javascript:alert(1)",
            "/\t/elsewhere.example",
            "/%2f/elsewhere.example",
            "/quality/../..//elsewhere",
            "/quality#//elsewhere.example",
            "/quality?x=//elsewhere.example",
            "/login",
            "/quality\n",
            "/quality\r\nX:",
            " /quality",
            "data:text/html,x",
            "/api/v1/session",
            "///",
            "/.",
            "/region/../../x",
        ],
    )
    def test_is_never_elsewhere(self, asked: str) -> None:
        assert landing(OPERATOR, asked) == "/"

    @given(st.text(max_size=40) | st.from_regex(r"[/\\]{1,3}[a-z./\\?#@:]{0,20}", fullmatch=True))
    def test_is_a_page_of_ours_whatever_is_asked(self, asked: str) -> None:
        for identity in (OWN, OPERATOR, ANALYST):
            led_to = landing(identity, asked)
            assert led_to is not None
            assert led_to[0] == "/"
            assert led_to[1:2] not in ("/", "\\")
            assert led_to == home(identity) or led_to == asked
