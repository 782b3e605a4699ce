"""No region of few users is shown, nor can one be had as a difference: of two answers, or of two moments."""

import itertools
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from infra.contracts.live_state import RegionUse
from infra.contracts.utility import UTILITIES, Utility
from serving.figures.disclosure import OTHER, REGIONS_MIN, USERS_MIN, disclosed
from serving.figures.regions import STALE_MS, Judged, country_use, folded, judged, parts

NOW = 1_780_000_000_000
Counts = dict[str, dict[Utility, int]]
CODES = st.text("ABCDEF", min_size=1, max_size=2)
COUNTS = st.dictionaries(st.sampled_from(UTILITIES), st.integers(0, 60), max_size=3)
COUNTRIES = st.dictionaries(CODES, COUNTS, max_size=12)


def of_one(users: Mapping[str, int]) -> Counts:
    return {code: {Utility.GAS: count} for code, count in users.items()}


def uses_of(users: Counts, ages_ms: Mapping[str, int] | None = None) -> dict[str, dict[Utility, RegionUse]]:
    """Regions' uses now; a user of the n-th region uses 1000 to the power of n: sums tell whose they are."""
    return {
        code: {
            utility: RegionUse(NOW - (ages_ms or {}).get(code, 0), count * 1_000**place, count, 1, count)
            for utility, count in counts.items()
            if count
        }
        for place, (code, counts) in enumerate(sorted(users.items()))
    }


def told(uses: Mapping[str, Mapping[Utility, RegionUse]], found: Judged) -> dict[str, dict[Utility, int]]:
    """Every rate that an answer tells, the country's included."""
    made_of = {utility: parts(uses, found, utility) for utility in UTILITIES}
    shown = folded(uses, found.disclosure, made_of, NOW)
    rates = {code: {utility: use.rate for utility, use in of.items()} for code, of in shown.items()}
    country = country_use(shown, NOW)
    rates["country"] = {utility: use.rate for utility, use in country.items() if use.rate is not None}
    return rates


def users_in(rate: int) -> int:
    """How many users a sum of rates is of."""
    count = 0
    while rate:
        rate, some = divmod(rate, 1_000)
        count += some
    return count


class TestDisclosed:
    @given(COUNTRIES)
    def test_shows_no_region_of_few_users_and_leaves_none_to_subtract(self, users: Counts) -> None:
        shown, hidden, untold = disclosed(users)

        assert shown | hidden == {code for code, counts in users.items() if any(counts.values())}
        assert not shown & hidden
        assert all(not count or count >= USERS_MIN for code in shown for count in users[code].values())
        for utility in set(UTILITIES) - untold:
            folded_users = [users[code].get(utility, 0) for code in hidden if users[code].get(utility)]
            assert not folded_users or len(folded_users) >= REGIONS_MIN
            assert not folded_users or sum(folded_users) >= USERS_MIN
        assert not (shown and untold)

    @given(st.dictionaries(CODES, st.integers(USERS_MIN, 60), max_size=12))
    def test_shows_all_that_are_large_enough(self, users: dict[str, int]) -> None:
        assert disclosed(of_one(users)).shown == set(users)

    def test_lets_the_next_smallest_join_a_single_one(self) -> None:
        users = of_one({"US-CA": 900, "US-NY": 400, "US-WY": 3, "US-VT": 30})

        assert disclosed(users).hidden == {"US-WY", "US-VT"}

    def test_lets_the_next_smallest_join_few_users(self) -> None:
        users = of_one({"US-CA": 900, "US-NY": 400, "US-WY": 3, "US-VT": 4})

        assert disclosed(users).hidden == {"US-WY", "US-VT", "US-NY"}

    def test_lets_the_next_smallest_join_few_users_of_one_utility(self) -> None:
        few_with_gas = {Utility.ELECTRICITY: 300, Utility.GAS: 3}
        users = {"US-HI": few_with_gas, "US-FL": few_with_gas, "US-CA": dict.fromkeys(UTILITIES, 900)}

        assert disclosed(users) == (set(), set(users), {Utility.WATER})

    def test_tells_nothing_of_a_country_of_few_users(self) -> None:
        assert disclosed(of_one({"US-CA": 7, "US-NY": 7})).untold == {Utility.GAS}
        assert not disclosed(of_one({"US-CA": 7, "US-NY": 8})).untold


class TestNow:
    @given(COUNTRIES, st.booleans())
    def test_neither_a_figure_nor_a_difference_is_of_few_users(self, users: Counts, published: bool) -> None:
        uses = uses_of(users)
        rates = told(uses, judged(uses, users if published else {}))

        for utility in UTILITIES:
            known = [of[utility] for code, of in rates.items() if utility in of and code != "country"]
            assert all(users_in(rate) >= USERS_MIN for rate in known)
            country = rates["country"].get(utility, 0)
            for some in itertools.chain.from_iterable(
                itertools.combinations(known, size) for size in range(len(known))
            ):
                assert users_in(country - sum(some)) >= USERS_MIN

    @given(COUNTRIES, st.dictionaries(CODES, st.sampled_from([0, STALE_MS + 1]), max_size=12))
    def test_no_silence_of_a_hidden_region_changes_what_is_told_of_others(
        self, users: Counts, ages_ms: dict[str, int]
    ) -> None:
        fresh, later = uses_of(users), uses_of(users, ages_ms)

        before, after = told(fresh, judged(fresh, users)), told(later, judged(later, users))

        assert before.get(OTHER) == after.get(OTHER)

    @given(COUNTRIES, CODES)
    def test_no_hidden_region_that_is_heard_of_later_is_told_by_a_difference(
        self, users: Counts, late: str
    ) -> None:
        uses = uses_of(users)
        without = {code: of for code, of in uses.items() if code != late}
        found = judged(uses, users)

        before, after = told(without, judged(without, users)), told(uses, found)

        if late in found.disclosure.hidden:
            for utility, rate in before.get(OTHER, {}).items():
                assert after[OTHER][utility] == rate

    def test_others_that_are_all_silent_are_stale(self) -> None:
        users = of_one({"US-AK": 9, "US-WY": 9})
        uses = uses_of(users, dict.fromkeys(users, STALE_MS + 1))

        assert told(uses, judged(uses, users))["country"] == {}

    def test_a_region_that_few_were_heard_of_since_the_night_is_in_no_figure(self) -> None:
        users = of_one({"US-AK": 9, "US-WY": 9, "US-CA": 900})
        uses = uses_of({**users, "US-NE": {Utility.GAS: 1}, "US-TX": {Utility.GAS: 15}})
        found = judged(uses, users)

        assert found.uncounted == {"US-NE"}
        assert set(told(uses, found)) == {"US-CA", "US-TX", OTHER, "country"}
        assert users_in(told(uses, found)["country"][Utility.GAS]) == 9 + 9 + 900 + 15

    def test_an_empty_hash_is_no_region_of_no_users(self) -> None:
        users = of_one({"US-CA": 900, "US-VT": 30})
        uses = {**uses_of(users), "US-WY": {}}

        assert judged(uses, {}).disclosure.shown == {"US-CA", "US-VT"}
        assert judged(uses, users).disclosure.shown == {"US-CA", "US-VT"}
