import numpy as np
import pytest

from infra.contracts.heartbeat import MalformedHeartbeatError, decode, encode
from infra.contracts.utility import Utility
from simulator.faults import DELAY_MS_MAX, DELAY_MS_MIN, Fate, FaultError, Faults, delay_ms, garble
from simulator.hashes import hash_of

IDENTITY = hash_of(1, np.arange(2_000))[:, None]
SLOTS = np.arange(500)[None, :]


def test_each_fault_befalls_as_many_as_asked() -> None:
    faults = Faults.parse("late=1%, doubled=0.02,lost=3%,malformed=0.01%")

    shares = np.bincount(faults.fate_of(IDENTITY, SLOTS).ravel(), minlength=5) / 1_000_000

    assert shares[Fate.LATE] == pytest.approx(0.01, rel=0.05)
    assert shares[Fate.DOUBLED] == pytest.approx(0.02, rel=0.05)
    assert shares[Fate.LOST] == pytest.approx(0.03, rel=0.05)
    assert shares[Fate.MALFORMED] == pytest.approx(0.0001, rel=0.3)


def test_faults_are_written_as_they_are_read() -> None:
    faults = Faults.parse("late=1%,malformed=0.0001%")

    assert str(faults) == "late=1%,malformed=0.0001%"
    assert Faults.parse(str(faults)) == faults
    assert str(Faults()) == "none"


def test_without_faults_all_is_well() -> None:
    assert not Faults.parse("")
    assert (Faults().fate_of(IDENTITY, SLOTS) == Fate.ON_TIME).all()


def test_delays_stay_within_their_bounds() -> None:
    delays = delay_ms(IDENTITY, SLOTS)

    assert DELAY_MS_MIN <= delays.min() < delays.max() <= DELAY_MS_MAX


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tardy=1%", "fault 'tardy' is unknown"),
        ("late=often", "fault late is 'often'"),
        ("late=120%", "fault late is '120%'"),
        ("late=-1", "fault late is '-1'"),
        ("late", "fault late is ''"),
        ("late=60%,lost=60%", "more than 100%"),
    ],
)
def test_a_wrong_fault_is_named(text: str, complaint: str) -> None:
    with pytest.raises(FaultError, match=complaint):
        Faults.parse(text)


@pytest.mark.parametrize("utility", Utility)
def test_whatever_is_garbled_is_no_heartbeat(utility: Utility) -> None:
    sent_at = 1_795_000_000_123
    value = encode(utility, 10_000_042, sent_at, 77, 12, "US-CA")
    reasons = set()

    for draw in range(2_000):
        with pytest.raises(MalformedHeartbeatError) as caught:
            decode(utility, *garble(b"10000042", value, draw), sent_at)
        reasons.add(" ".join(str(caught.value).split()[:3]))

    assert len(reasons) >= 8
