import hypothesis
import hypothesis.strategies as st
import numpy as np

from batch.vee.shares import share

AMOUNTS = st.integers(0, 10**17)
WHOLES = st.integers(1, 10**18)


@hypothesis.settings(deadline=None)
@hypothesis.given(amount=AMOUNTS, whole=WHOLES, data=st.data())
def test_shares_grow_from_nothing_to_all_of_it(amount: int, whole: int, data: st.DataObject) -> None:
    parts = sorted(data.draw(st.lists(st.integers(0, whole), min_size=1, max_size=8)))

    shared = share(np.array(amount), np.array([0, *parts, whole]), np.array(whole)).tolist()

    assert (shared[0], shared[-1]) == (0, amount)
    assert shared == sorted(shared)
    # Great wholes are taken in coarser parts, one in 2**29 at worst.
    exact = [amount * part // whole for part in parts]
    assert all(
        abs(one - other) <= amount // 2**28 + 1 for one, other in zip(shared[1:-1], exact, strict=True)
    )


def test_of_no_whole_is_half() -> None:
    assert share(np.array([7, 0]), np.array([0, 0]), np.array([0, 0])).tolist() == [3, 0]
