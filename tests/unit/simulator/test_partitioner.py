import numpy as np
import pytest
from kafka.partitioner.default import murmur2

from simulator.partitioner import keys_of, partition_of
from simulator.users import user_ids


@pytest.mark.parametrize("partitions", [1, 4, 7, 48])
def test_users_go_where_the_common_client_puts_them(partitions: int) -> None:
    user_id = np.concatenate((user_ids(2_000), np.arange(99_998_000, 100_000_000)))
    keys = keys_of(user_id)

    chosen = partition_of(keys, partitions)

    assert keys.tolist() == [b"%d" % user for user in user_id]
    assert chosen.tolist() == [(murmur2(key) & 0x7FFFFFFF) % partitions for key in keys.tolist()]
