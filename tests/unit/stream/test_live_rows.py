"""What the Redis script is handed: rows, from records made by hand."""

import numpy as np

from infra.contracts.live_state import NOW_DTYPE, live_key
from stream.fold import RECORD
from stream.live_rows import RECORDS_PER_CALL, USERS_PER_CALL, calls, live_rows


def records(*meters: tuple[int, int]):
    """RECORDs of (user, utility code); each number in one is made from its position."""
    rows = np.zeros(len(meters), RECORD)
    rows["user_id"], rows["utility"] = zip(*meters, strict=True)
    rows["rate"] = 10 + np.arange(len(meters))
    rows["sent_at"] = 2**40 + np.arange(len(meters))
    rows["register"] = 2**42 + np.arange(len(meters))
    rows["first_register"] = rows["register"] - 5
    return rows


class TestLiveRows:
    def test_a_user_with_one_record_of_each_utility_is_whole(self):
        made = records((10_000_000, 0), (10_000_000, 1), (10_000_000, 2))

        [row] = live_rows(made, epoch=3)

        assert row["key"] == live_key(10_000_000).encode()
        assert (row["whole"], row["records"]) == (1, 3)
        assert row["first_registers"].tolist() == made["first_register"].tolist()
        assert row["now"].dtype == NOW_DTYPE
        for name in ("sent_at", "register", "rate"):
            assert row["now"][name].tolist() == made[name].tolist()
        assert row["now"]["epoch"].tolist() == [3, 3, 3]

    def test_a_user_who_lacks_a_utility_or_has_one_twice_is_not(self):
        meters = [
            (1, 0),
            (1, 1),
            (2, 0),
            (2, 0),
            (2, 1),
            (3, 0),
            (3, 1),
            (3, 1),
            (3, 2),
            (4, 0),
            (4, 1),
            (4, 2),
        ]

        rows = live_rows(records(*((10_000_000 + user, utility) for user, utility in meters)), epoch=1)

        assert rows["whole"].tolist() == [0, 0, 0, 1]
        assert rows["records"].tolist() == [2, 3, 4, 3]
        assert rows["now"]["sent_at"][:3].tolist() == [[0, 0, 0]] * 3

    def test_spells_keys_as_the_contract_does(self):
        users = [10_000_000, 10_009_999, 12_345_678, 99_999_999]

        rows = live_rows(records(*((user, 0) for user in users)), epoch=1)

        assert [key.decode() for key in rows["key"]] == [live_key(user) for user in users]


class TestCalls:
    def test_hold_all_records_in_order_and_keep_a_user_in_one_call(self):
        count = 2 * USERS_PER_CALL + 7
        made = records(*((10_000_000 + user, code) for user in range(count) for code in range(user % 3 + 1)))

        cut = list(calls(made))

        assert np.concatenate(cut).tobytes() == made.tobytes()
        users = [set(call["user_id"].tolist()) for call in cut]
        assert [len(of_call) for of_call in users] == [USERS_PER_CALL, USERS_PER_CALL, 7]
        assert not users[0] & users[1]

    def test_cut_a_user_of_very_many_records(self):
        cut = list(calls(records(*[(10_000_000, 0)] * (RECORDS_PER_CALL + 1))))

        assert [len(call) for call in cut] == [RECORDS_PER_CALL, 1]

    def test_of_nothing_are_none(self):
        assert list(calls(records((10_000_000, 0))[:0])) == []
