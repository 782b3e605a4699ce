"""Which instants hours may expire until."""

import pytest

from stream.expire import InstantError, instant_ms

NOW = 1_774_900_000_000


class TestInstantMs:
    @pytest.mark.parametrize(
        "text", ["2026-03-30T00:00Z", "2026-03-30 00:00:00Z", "2026-03-30T02:00+02:00", "1774828800000"]
    )
    def test_reads_a_time_with_its_offset_and_milliseconds(self, text):
        assert instant_ms(text, NOW) == 1_774_828_800_000

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "2026-03-30T00:00", "-5", "0", "2026-03-31", "1774900000001"]
    )
    def test_refuses_what_is_no_instant_of_the_past_and_names_it(self, text):
        with pytest.raises(InstantError, match=f"instant is '{text}'"):
            instant_ms(text, NOW)
