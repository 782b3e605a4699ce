"""The heartbeat on the wire: what is encoded is decoded, and what is malformed is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.contracts import heartbeat
from infra.contracts.heartbeat import MalformedHeartbeatError, decode, encode
from infra.contracts.utility import UTILITIES, Utility
from tests.support.malformed import KEY, MALFORMED, SENT_AT


class TestDecode:
    @given(
        st.sampled_from(UTILITIES),
        st.integers(heartbeat.USER_ID_MIN, heartbeat.USER_ID_MAX),
        st.integers(0, 2**43),
        st.integers(0, heartbeat.REGISTER_MAX),
        st.integers(0, heartbeat.RATE_MAX),
        st.sampled_from(["US-CA", "GB-ENG", "CH-ZH", "FR-2A"]),
    )
    def test_gives_back_what_was_encoded(self, utility, user_id, sent_at, register, rate, region):
        value = encode(utility, user_id=user_id, sent_at=sent_at, register=register, rate=rate, region=region)

        found = decode(utility.value, str(user_id).encode(), value, sent_at)

        assert found == {
            "user_id": user_id,
            "sent_at": sent_at,
            "register": register,
            "rate": rate,
            "region": region,
        }

    @pytest.mark.parametrize(
        ("key", "value", "reason"), [pytest.param(*case, id=case[2]) for case in MALFORMED]
    )
    def test_names_the_reason(self, key, value, reason):
        with pytest.raises(MalformedHeartbeatError, match="^" + reason):
            decode("gas", key, value, SENT_AT)

    @given(st.binary(max_size=40))
    def test_never_fails_in_another_way(self, value):
        try:
            decode("gas", KEY, value, SENT_AT)
        except MalformedHeartbeatError:
            return
        assert Utility.GAS.code == value[1]
