import numpy as np
import pytest

from infra.contracts.live_state import LOAD_DTYPE, LOAD_SLOT_MS, LOAD_SLOTS, decode_load
from infra.contracts.utility import UTILITIES, Utility


def test_a_string_of_one_slot_is_its_course():
    packed = np.array([(LOAD_SLOTS * 20_000, 0, 412)], LOAD_DTYPE).tobytes()

    assert decode_load(packed) == {
        Utility.ELECTRICITY: [(LOAD_SLOTS * 20_000 * LOAD_SLOT_MS, 412)],
        Utility.GAS: [],
        Utility.WATER: [],
    }


def test_nothing_written_is_no_course():
    assert decode_load(b"") == {utility: [] for utility in UTILITIES}


@pytest.mark.parametrize("bytes_", [15, LOAD_DTYPE.itemsize * (3 * LOAD_SLOTS + 1)])
def test_a_string_of_another_length_is_refused(bytes_):
    with pytest.raises(ValueError, match=f"load has {bytes_} bytes, not up to 13824 by 16"):
        decode_load(bytes(bytes_))
