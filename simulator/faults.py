"""What goes wrong with a heartbeat on its way, decided by a hash of meter and slot alone: pure."""

import dataclasses
import enum
import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from infra.contracts.heartbeat import DTYPE, VALUE_BYTES
from infra.contracts.utility import UTILITIES
from simulator.hashes import Draw, Hashes, Ints, below, hash_of

PARTS = 1_000_000
DELAY_MS_MIN = 20_000
DELAY_MS_MAX = 600_000
# Before 1970, and 2100-01-01Z, which no broker's clock comes near.
_IMPOSSIBLE_MS = (-999, 4_102_444_800_000)


class FaultError(ValueError):
    """A fault that cannot be understood."""


class Fate(enum.IntEnum):
    """What becomes of one heartbeat."""

    LATE = 0
    DOUBLED = 1
    LOST = 2
    MALFORMED = 3
    ON_TIME = 4


@dataclasses.dataclass(frozen=True)
class Faults:
    """How often each fault befalls a heartbeat, in parts per million; the rest goes well."""

    late_ppm: int = 0
    doubled_ppm: int = 0
    lost_ppm: int = 0
    malformed_ppm: int = 0

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Read `late=1%,lost=0.001`: percentages or fractions.

        :raises FaultError: naming the part, and what it may be.
        """
        values = read_shares("fault", text, [field.name for field in dataclasses.fields(cls)])
        if sum(values.values()) > PARTS:
            raise FaultError(f"faults {text!r} come to more than 100%. A heartbeat has one fate")
        return cls(**values)

    def __str__(self) -> str:
        """Return what `parse` reads, or `none`."""
        return shares_text(dataclasses.asdict(self))

    def __bool__(self) -> bool:
        return any(dataclasses.astuple(self))

    def fate_of(self, identity: Hashes, slot: Ints | int) -> Ints:
        """Return the fate of each meter's heartbeat in its slot, broadcast together."""
        ends = np.cumsum(dataclasses.astuple(self))
        drawn = below(hash_of(identity, Draw.FATE, slot), PARTS)
        return np.searchsorted(ends, drawn, side="right").astype(np.int64)


def read_shares(noun: str, text: str, fields: Iterable[str]) -> dict[str, int]:
    """Read `word=1%,other=0.001` into parts per million by field, a field being its word and `_ppm`.

    :raises FaultError: naming the part, and what it may be.
    """
    names = {name.removesuffix("_ppm"): name for name in fields}
    values: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        word, _, amount = part.partition("=")
        if word not in names:
            raise FaultError(f"{noun} {word!r} is unknown. Choose from {', '.join(names)}")
        if not re.fullmatch(r"\d+(\.\d+)?%?", amount) or (share := _share(amount)) > PARTS:
            raise FaultError(f"{noun} {word} is {amount!r}. Give a share such as 1% or 0.01")
        values[names[word]] = share
    return values


def shares_text(shares_ppm: Mapping[str, int]) -> str:
    """Return what `read_shares` reads, or `none`."""
    return (
        ",".join(f"{name.removesuffix('_ppm')}={ppm / 10_000:g}%" for name, ppm in shares_ppm.items() if ppm)
        or "none"
    )


def _share(amount: str) -> int:
    share = float(amount.removesuffix("%")) / (100 if amount.endswith("%") else 1)
    return round(share * PARTS)


def delay_ms(identity: Hashes, slot: Ints | int) -> Ints:
    """Return how long after its `sent_at` a late heartbeat leaves."""
    return DELAY_MS_MIN + below(hash_of(identity, Draw.DELAY, slot), DELAY_MS_MAX - DELAY_MS_MIN + 1)


def garble(key: bytes, value: bytes, draw: int) -> tuple[bytes | None, bytes | None]:
    """Return a key and value that are no heartbeat in one of ten ways; `draw` chooses."""
    way, chance = draw % len(_WAYS), draw // len(_WAYS)
    return _WAYS[way](key, value, chance)


_Way = Callable[[bytes, bytes, int], tuple[bytes | None, bytes | None]]


def _changed(value: bytes, **fields: int | bytes) -> bytes:
    row = np.frombuffer(value, DTYPE).copy()
    for name, field in fields.items():
        row[name] = field
    return row.tobytes()


def _field(value: bytes, name: str) -> int:
    return int(np.frombuffer(value, DTYPE)[name][0])


_WAYS: tuple[_Way, ...] = (
    lambda key, value, chance: (key, value[: chance % VALUE_BYTES]),
    lambda key, value, chance: (key, value + bytes(1 + chance % 40)),
    lambda key, value, chance: (key, _changed(value, version=2 + chance % 200)),
    lambda key, value, _: (key, _changed(value, utility=(_field(value, "utility") + 1) % len(UTILITIES))),
    lambda key, value, _: (key, _changed(value, region=b"\xffu.s.")),
    lambda key, value, chance: (key, _changed(value, user_id=_field(value, "user_id") ^ (1 + chance % 99))),
    lambda key, value, chance: (
        key,
        _changed(value, sent_at=_IMPOSSIBLE_MS[chance % 2] + chance % 999),
    ),
    lambda key, value, _: (key, b"user=%s;register=%d" % (key, _field(value, "register"))),
    lambda key, _value, _chance: (key, None),
    lambda key, value, chance: (b"meter-" + key if chance % 2 else None, value),
)
