import hypothesis
import hypothesis.strategies as st
import numpy as np
from kafka.record import MemoryRecords

from infra.contracts.heartbeat import DTYPE
from simulator.partitioner import keys_of
from simulator.record_batch import ROWS_MAX, Producer, Records, count_of, encode, restamp


def some_records(count: int, seed: int, spread_ms: int, *, ordered: bool) -> Records:
    chance = np.random.default_rng(seed)
    values = chance.integers(0, 256, count * DTYPE.itemsize, np.uint8).view(DTYPE)
    sent_at = 1_795_000_000_000 + chance.integers(0, spread_ms, count)
    values["sent_at"] = np.sort(sent_at) if ordered else sent_at
    odd_at = chance.integers(0, count, min(count, 5)).tolist()
    oddities = [(None, b"x"), (b"k" * 300, None), (b"", b""), (b"1", b"y" * 9_000), (b"2", b"z")]
    odd = dict(zip(odd_at, oddities, strict=False))
    return Records(keys_of(chance.integers(10_000_000, 99_999_999, count)), values, odd)


def decoded(batch: bytes) -> list[tuple[bytes | None, bytes | None, int]]:
    memory = MemoryRecords(batch)
    parsed = memory.next_batch()
    assert parsed.validate_crc()
    records = [(record.key, record.value, record.timestamp) for record in parsed]
    assert not memory.has_next()
    return records


@hypothesis.settings(deadline=None, max_examples=25)
@hypothesis.given(
    count=st.one_of(st.integers(1, 300), st.just(9_000)),
    seed=st.integers(0, 2**32),
    spread_ms=st.sampled_from([1, 60, 5_000, 600_000, 86_400_000]),
    ordered=st.booleans(),
)
def test_another_client_reads_the_same_messages(count: int, seed: int, spread_ms: int, ordered: bool) -> None:
    records = some_records(count, seed, spread_ms, ordered=ordered)

    assert decoded(encode(records, Producer(), 0)) == list(records.messages())


def test_a_full_batch_stays_below_the_usual_limit() -> None:
    records = some_records(ROWS_MAX, 1, 86_400_000, ordered=True)

    batch = encode(records, Producer(), 0)

    assert len(batch) < 1_000_000
    assert len(decoded(batch)) == ROWS_MAX


def test_the_header_names_producer_sequence_and_greatest_time() -> None:
    records = some_records(200, 2, 5_000, ordered=False)

    parsed = MemoryRecords(encode(records, Producer(71, 3), 1_000)).next_batch()

    assert (parsed.producer_id, parsed.producer_epoch, parsed.base_sequence) == (71, 3, 1_000)
    assert parsed.max_timestamp == records.values["sent_at"].max()
    assert parsed.last_offset_delta == 199


def test_a_cut_keeps_odd_records_in_their_place() -> None:
    records = some_records(50, 3, 5_000, ordered=True)

    parts = [*records.cut(0, 20).messages(), *records.cut(20, 50).messages()]

    assert parts == list(records.messages())


def test_a_restamped_batch_is_the_same_batch_of_another_producer() -> None:
    records = some_records(200, 4, 5_000, ordered=True)
    batch = encode(records, Producer(71, 3), 1_000)

    assert restamp(batch, Producer(80, 0), 7) == encode(records, Producer(80, 0), 7)
    assert count_of(batch) == 200
