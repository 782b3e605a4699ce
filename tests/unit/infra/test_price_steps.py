import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.contracts.price_steps import decode, encode, hour_costs

HOURS = st.lists(st.integers(0, 400), min_size=24, max_size=24)
PRICES = st.integers(0, 10**12)


@st.composite
def price_steps(draw):
    """Steps from 0 up, some of them further than a day's usage goes."""
    begins = [0, *sorted(draw(st.sets(st.integers(1, 12_000), max_size=9)))]
    return tuple((usage_from, draw(PRICES)) for usage_from in begins)


class TestText:
    @given(price_steps())
    def test_is_read_as_it_was_written(self, steps):
        assert decode(encode(steps)) == steps

    def test_is_what_the_contract_says(self):
        assert encode([(0, 13_200), (412, 24_800)]) == "0:13200;412:24800"
        assert decode("") == ()

    @pytest.mark.parametrize(
        "text",
        [
            "0",
            ";",
            "0:",
            "1:5",
            "0:5;",
            "0:5;3:1;3:2",
            "0:5;3:1;2:2",
            "0:-5",
            "0:5:1",
            "0:x",
            "0:1.5",
            " 0:1",
        ],
    )
    def test_that_breaks_the_contract_is_refused_and_named(self, text):
        with pytest.raises(ValueError, match="price steps are malformed") as refused:
            decode(text)

        assert repr(text) in str(refused.value)


class TestHourCosts:
    @given(price_steps(), HOURS)
    def test_sum_to_what_the_day_cost_unit_by_unit(self, steps, hours):
        ends = [*(usage_from for usage_from, _ in steps[1:]), None]
        unit_prices = itertools.chain.from_iterable(
            itertools.repeat(price) if end is None else itertools.repeat(price, end - usage_from)
            for (usage_from, price), end in zip(steps, ends, strict=True)
        )
        by_unit = [sum(itertools.islice(unit_prices, used)) for used in hours]

        assert hour_costs(steps, hours) == by_unit

    def test_are_exact_for_the_largest_business(self):
        costs = hour_costs(((0, 10**12), (2**40, 1)), [2**31 - 1] * 24)

        assert costs == [(2**31 - 1) * 10**12] * 24

    def test_are_unknown_without_steps(self):
        with pytest.raises(ValueError, match="price steps are empty"):
            hour_costs((), [1] * 24)
